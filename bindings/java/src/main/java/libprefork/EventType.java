// SPDX-License-Identifier: MIT
package libprefork;

/** What an event reports. {@link #UNKNOWN} is a type of a later library. */
public enum EventType {
    /** The pool begins to start its workers. */
    STARTING(1),
    /** A worker was started. */
    STARTED(2),
    /** A worker reported that it is ready. */
    READY(3),
    /** A worker ended. */
    EXITED(4),
    /** Too many restarts: all workers stop, or a slot is given up. */
    GAVE_UP(5),
    /** A worker could not be started. It is tried again later. */
    START_FAILED(6),
    /** The pool begins to stop its workers. */
    STOPPING(7),
    /** A worker did not stop in time and was sent SIGKILL. */
    KILLED(8),
    /** A worker was not ready in time, sends no heartbeats, or could not be sent a signal. */
    UNRESPONSIVE(9),
    /** A reload begins. */
    RELOADING(10),
    /** All workers have been replaced. */
    RELOADED(11),
    /** A new worker failed. The old worker stays. */
    RELOAD_FAILED(12),
    /** The pool has another number of slots. */
    RESIZED(13),
    /** The pool has ended. It is the last event. */
    DONE(14),
    /** Never sent to a pool of this package. */
    FORK_WANTED(15),
    /** A signal of the set does not control the pool. */
    SIGNAL_UNAVAILABLE(16),
    /** Never sent to a pool of this package. */
    ADOPTED(17),
    /** A spare was started. */
    SPARE_STARTED(18),
    /** A spare ended without having had a slot. */
    SPARE_EXITED(19),
    /** Not known to this version of the package. */
    UNKNOWN(-1);

    final int number;

    EventType(int number) {
        this.number = number;
    }

    static EventType of(int number) {
        for (EventType value : values()) {
            if (value.number == number) {
                return value;
            }
        }
        return UNKNOWN;
    }
}
