// SPDX-License-Identifier: MIT
package libprefork;

/**
 * Why a worker was started or stopped, or why the pool ends. {@link #UNKNOWN} is a reason of a
 * later
 * library.
 */
public enum Reason {
    /** The worker ended by itself, or no reason is known. */
    NONE(0),
    /** The pool starts. */
    START(1),
    /** The worker before it ended. */
    RESTART(2),
    /** {@link Pool#replaceWorker}. */
    REPLACE(3),
    /** A reload of all workers. */
    RELOAD(4),
    /** The age of {@link PoolBuilder#lifetime}. */
    LIFETIME(5),
    /** {@link Worker#retire}. */
    RETIRE(6),
    /** The pool has more slots, or fewer. */
    RESIZE(7),
    /** The program or a signal stops the pool, or one worker. */
    STOP(8),
    /** The worker was not ready in time. */
    READY_TIMEOUT(9),
    /** It sent no heartbeats. */
    HEARTBEAT_TIMEOUT(10),
    /** A limit of restarts was reached. */
    LIMIT(11),
    /** It sent more messages than any correct worker. */
    PROTOCOL(12),
    /** SIGKILL; the kernel has killed for lack of memory. */
    OUT_OF_MEMORY(13),
    /** Not known to this version of the package. */
    UNKNOWN(-1);

    final int number;

    Reason(int number) {
        this.number = number;
    }

    static Reason of(int number) {
        for (Reason value : values()) {
            if (value.number == number) {
                return value;
            }
        }
        return UNKNOWN;
    }
}
