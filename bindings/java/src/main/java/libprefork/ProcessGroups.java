// SPDX-License-Identifier: MIT
package libprefork;

/**
 * Whether each worker leads a process group, what is left of which is killed when the worker
 * ends.
 */
public enum ProcessGroups {
    /** Workers stay in the group of the supervisor. The default. */
    NONE(0),
    /** Each signal goes to the group. */
    SIGNALS(1),
    /** Signals go to the worker alone. */
    KILL(2);

    final int number;

    ProcessGroups(int number) {
        this.number = number;
    }
}
