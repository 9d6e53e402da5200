// SPDX-License-Identifier: MIT
package libprefork;

/** The state of a worker. {@link #UNKNOWN} is a state of a later library. */
public enum WorkerState {
    /** No worker, and none will be started. */
    EMPTY(0),
    /** Not started or not ready yet. */
    STARTING(1),
    /** Ready. */
    READY(2),
    /** Asked to end. */
    STOPPING(3),
    /** Will be restarted after a delay. */
    BACKOFF(4),
    /** Exited normally; not restarted. */
    DONE(5),
    /** Not known to this version of the package. */
    UNKNOWN(-1);

    final int number;

    WorkerState(int number) {
        this.number = number;
    }

    static WorkerState of(int number) {
        for (WorkerState value : values()) {
            if (value.number == number) {
                return value;
            }
        }
        return UNKNOWN;
    }
}
