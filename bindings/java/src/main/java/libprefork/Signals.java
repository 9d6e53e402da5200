// SPDX-License-Identifier: MIT
package libprefork;

/**
 * Which signals of this process control a pool. QUIT and USR2 are the JVM's own and never do,
 * except
 * QUIT under {@code -Xrs}.
 */
public enum Signals {
    /** None. The default: TERM, INT and HUP end the JVM, and the workers with it. */
    NONE(0),
    /**
     * TERM, INT: graceful stop; again, at least 200 ms later: kill. HUP: reload. TTIN, TTOU: one
     * worker
     * more, one less. USR1, WINCH: sent to the workers.
     */
    STANDARD(1),
    /** TERM, INT and HUP: graceful stop. */
    STOP_ONLY(2);

    final int number;

    Signals(int number) {
        this.number = number;
    }
}
