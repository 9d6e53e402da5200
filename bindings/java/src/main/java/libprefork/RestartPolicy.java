// SPDX-License-Identifier: MIT
package libprefork;

/** Which ends of workers lead to a restart. */
public enum RestartPolicy {
    /** Abnormal ends. The default. */
    ON_FAILURE(0),
    /** All ends. */
    ALWAYS(1),
    /** None. */
    NEVER(2);

    final int number;

    RestartPolicy(int number) {
        this.number = number;
    }
}
