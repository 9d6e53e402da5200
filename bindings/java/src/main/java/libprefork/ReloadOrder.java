// SPDX-License-Identifier: MIT
package libprefork;

/** The order of a replacement. */
public enum ReloadOrder {
    /** The new worker starts before the old one stops. The default. */
    START_FIRST(0),
    /** The old worker stops first: never more processes than slots. */
    STOP_FIRST(1);

    final int number;

    ReloadOrder(int number) {
        this.number = number;
    }
}
