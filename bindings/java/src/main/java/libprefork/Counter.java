// SPDX-License-Identifier: MIT
package libprefork;

/**
 * What {@link Pool#counter} counts: over the life of the pool or, {@link #READY}, {@link #ALIVE}
 * and
 * {@link #SPARES}, at present.
 */
public enum Counter {
    /** Workers that were started. */
    STARTED(1),
    /** Workers that have ended. */
    EXITED(2),
    /** Of these: abnormally, without having been asked to end. */
    ABNORMAL(3),
    /** Workers started with {@link Reason#RESTART}. */
    RESTARTED(4),
    /** Starts that failed. */
    START_FAILED(5),
    /** Workers that were killed because they did not respond. */
    UNRESPONSIVE(6),
    /** Reloads that have begun. */
    RELOADS(7),
    /** Workers that are ready now. */
    READY(8),
    /** Processes now. */
    ALIVE(9),
    /** Events {@link EventType#RELOAD_FAILED}. */
    REPLACE_FAILED(10),
    /** Spares now, which {@link #ALIVE} does not include. */
    SPARES(11);

    final int number;

    Counter(int number) {
        this.number = number;
    }
}
