// SPDX-License-Identifier: MIT
package libprefork;

import java.lang.foreign.MemorySegment;
import java.time.Duration;

/**
 * A fact about the pool or one worker. Which type has which fields is in pf_event(3).
 *
 * @param type what happened
 * @param level as in syslog(3): 3 error, 4 warning, 5 notice, 6 information, 7 debug
 * @param message one line in English, without newline
 * @param taskId -1: the whole pool; -2: a spare
 * @param pid 0: none
 * @param exitCode -1: the worker did not exit, or unknown
 * @param signal the signal that ended the worker, or that the event is about; 0: none
 * @param coreDumped whether the worker left a core dump
 * @param willRestart whether it is restarted
 * @param error a negative code as in {@link PreforkException#code}; 0: none
 * @param restarts counted so far in the pool
 * @param delay before the next try
 * @param uptime of the worker that ended
 * @param timeNanos when it happened, on the clock of {@link System#nanoTime}
 * @param userTime CPU time of the worker in user mode
 * @param systemTime CPU time of the worker in the kernel
 * @param maxRssKib largest resident set of the worker, in KiB
 * @param workerCount slots of STARTING, RESIZED, RELOADING and RELOADED, and processes of ADOPTED
 *     and STOPPING; 0: none
 * @param reason why
 */
public record Event(
        EventType type,
        int level,
        String message,
        int taskId,
        int pid,
        int exitCode,
        int signal,
        boolean coreDumped,
        boolean willRestart,
        int error,
        int restarts,
        Duration delay,
        Duration uptime,
        long timeNanos,
        Duration userTime,
        Duration systemTime,
        long maxRssKib,
        int workerCount,
        Reason reason) {

    static Event of(MemorySegment event) {
        return new Event(
                EventType.of(Native.integer("pf_event_type", event)),
                Native.integer("pf_event_level", event),
                Native.string("pf_event_message", event),
                Native.integer("pf_event_task_id", event),
                Native.integer("pf_event_pid", event),
                Native.integer("pf_event_exit_code", event),
                Native.integer("pf_event_signal", event),
                Native.integer("pf_event_core_dumped", event) == 1,
                Native.integer("pf_event_will_restart", event) == 1,
                Native.integer("pf_event_error", event),
                Native.integer("pf_event_restarts", event),
                Duration.ofMillis(Native.number("pf_event_delay_ms", event)),
                Duration.ofMillis(Native.number("pf_event_uptime_ms", event)),
                Native.number("pf_event_time_ns", event),
                Duration.ofNanos(1000 * Native.number("pf_event_user_us", event)),
                Duration.ofNanos(1000 * Native.number("pf_event_system_us", event)),
                Native.number("pf_event_max_rss_kib", event),
                Native.integer("pf_event_worker_count", event),
                Reason.of(Native.integer("pf_event_reason", event)));
    }

    void log(System.Logger logger) {
        logger.log(level <= 3 ? System.Logger.Level.ERROR
                : level == 4 ? System.Logger.Level.WARNING
                : level <= 6 ? System.Logger.Level.INFO : System.Logger.Level.DEBUG, message);
    }

    /**
     * Whether a worker ended abnormally. Only such an end has the level warning, whatever its
     * reason: a worker that does not get ready in time is killed, but was not asked to stop.
     */
    boolean isAbnormalExit() {
        return type == EventType.EXITED && level <= 4;
    }
}
