// SPDX-License-Identifier: MIT
package libprefork;

/** What happens at a limit of restarts. */
public enum LimitAction {
    /** All workers stop, and the pool fails. The default. */
    STOP(0),
    /** The slot stays empty. */
    DEGRADE(1);

    final int number;

    LimitAction(int number) {
        this.number = number;
    }
}
