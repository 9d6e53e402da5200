// SPDX-License-Identifier: MIT
package libprefork;

/** How the end of a worker is noticed. */
public enum Backend {
    /** The best that the system has. The default. */
    AUTO(0),
    /** By pidfds. */
    PIDFD(1),
    /** By SIGCHLD. */
    SIGCHLD(2);

    final int number;

    Backend(int number) {
        this.number = number;
    }
}
