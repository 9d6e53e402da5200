// SPDX-License-Identifier: MIT
package libprefork;

/** What an exit status means. */
public enum ExitAction {
    /** The restart policy decides. */
    DEFAULT(0),
    /** The worker is restarted, and the restart counts. */
    RESTART(1),
    /** The slot has finished, as with status 0. */
    DONE(2),
    /** All workers stop, and the pool fails. */
    FATAL(3);

    final int number;

    ExitAction(int number) {
        this.number = number;
    }
}
