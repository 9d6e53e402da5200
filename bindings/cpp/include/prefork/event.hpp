/// @file prefork/event.hpp
/// What happened to the pool or one worker.
///
/// SPDX-License-Identifier: MIT
#ifndef PREFORK_EVENT_HPP
#define PREFORK_EVENT_HPP

#include <prefork.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <system_error>

#include <prefork/error.hpp>

namespace prefork {

/// What happened. A program ignores values that it does not know: later versions add some.
enum class EventType : int {
    starting = PF_EVENT_STARTING,           ///< the pool begins to start its workers
    started = PF_EVENT_STARTED,             ///< a worker was started
    ready = PF_EVENT_READY,                 ///< a worker reported that it is ready
    exited = PF_EVENT_EXITED,               ///< a worker ended
    gave_up = PF_EVENT_GAVE_UP,             ///< too many restarts
    start_failed = PF_EVENT_START_FAILED,   ///< a worker could not be started; tried again
    stopping = PF_EVENT_STOPPING,           ///< the pool begins to stop its workers
    killed = PF_EVENT_KILLED,               ///< a worker did not stop in time
    unresponsive = PF_EVENT_UNRESPONSIVE,   ///< not ready in time, or without heartbeats
    reloading = PF_EVENT_RELOADING,         ///< a reload begins
    reloaded = PF_EVENT_RELOADED,           ///< all workers have been replaced
    reload_failed = PF_EVENT_RELOAD_FAILED, ///< a new worker failed; the old one stays
    resized = PF_EVENT_RESIZED,             ///< the pool has another number of slots
    done = PF_EVENT_DONE,                   ///< the pool has ended; its last event
    fork_wanted = PF_EVENT_FORK_WANTED,     ///< the host must fork: Pool::fork_worker()
    signal_unavailable = PF_EVENT_SIGNAL_UNAVAILABLE, ///< a signal does not control the pool
    adopted = PF_EVENT_ADOPTED,                       ///< instead of starting, after upgrade()
    spare_started = PF_EVENT_SPARE_STARTED,           ///< a spare was started
    spare_exited = PF_EVENT_SPARE_EXITED,             ///< a spare ended without having had a slot
};

/// Why a worker was started, why it was stopped, or why the pool ends.
enum class Reason : int {
    none = PF_REASON_NONE,
    start = PF_REASON_START,
    restart = PF_REASON_RESTART,
    replace = PF_REASON_REPLACE,
    reload = PF_REASON_RELOAD,
    lifetime = PF_REASON_LIFETIME,
    retire = PF_REASON_RETIRE,
    resize = PF_REASON_RESIZE,
    stop = PF_REASON_STOP,
    ready_timeout = PF_REASON_READY_TIMEOUT,
    heartbeat_timeout = PF_REASON_HEARTBEAT_TIMEOUT,
    limit = PF_REASON_LIMIT,
    protocol = PF_REASON_PROTOCOL,
    out_of_memory = PF_REASON_OUT_OF_MEMORY,
};

/// A name for logs and metrics, such as "worker_exited"; empty for an unknown type.
inline std::string_view to_string(EventType type) noexcept {
    const char *name = pf_event_type_name(static_cast<int>(type));
    return name == nullptr ? std::string_view() : name;
}

/// A fact about the pool or one worker. It owns its text, and stays valid. The table in pf_event(3)
/// shows which fields a type has; the others have the values given here.
struct Event {
    EventType type{};                           ///< what happened
    Reason reason = Reason::none;               ///< why
    int level = 0;                              ///< as syslog(3): 3 error to 7 debug
    std::string message;                        ///< one line, without a newline
    int task_id = -1;                           ///< -1: the whole pool; PF_TASK_SPARE: a spare
    pid_t pid = 0;                              ///< 0: none
    std::optional<int> exit_status;             ///< none: did not exit, or unknown
    int signal = 0;                             ///< that ended it; 0: none
    bool core_dumped = false;                   ///< it left a core dump
    bool will_restart = false;                  ///< it is restarted
    std::error_code error;                      ///< none: no error
    int restarts = 0;                           ///< counted so far in the pool
    int worker_count = 0;                       ///< slots; adopted, stopping: processes
    std::chrono::milliseconds delay{};          ///< before the next try, rounded up
    std::chrono::milliseconds uptime{};         ///< of the worker that ended
    std::chrono::steady_clock::time_point time; ///< when
    std::chrono::microseconds user_time{};      ///< CPU time in user mode
    std::chrono::microseconds system_time{};    ///< CPU time in the kernel
    std::uint64_t max_rss_kib = 0;              ///< largest resident set

    Event() = default;

    /// Copies an event of the C interface.
    explicit Event(const pf_event *event)
        : type(static_cast<EventType>(pf_event_type(event))),
          reason(static_cast<Reason>(pf_event_reason(event))), level(pf_event_level(event)),
          message(pf_event_message(event)), task_id(pf_event_task_id(event)),
          pid(pf_event_pid(event)), signal(pf_event_signal(event)),
          core_dumped(pf_event_core_dumped(event) != 0),
          will_restart(pf_event_will_restart(event) != 0), error(error_of(pf_event_error(event))),
          restarts(pf_event_restarts(event)), worker_count(pf_event_worker_count(event)),
          delay(pf_event_delay_ms(event)), uptime(pf_event_uptime_ms(event)),
          time(std::chrono::duration_cast<std::chrono::steady_clock::duration>(
              std::chrono::nanoseconds(pf_event_time_ns(event)))),
          user_time(pf_event_user_us(event)), system_time(pf_event_system_us(event)),
          max_rss_kib(pf_event_max_rss_kib(event)) {
        if (const int code = pf_event_exit_code(event); code >= 0) {
            exit_status = code;
        }
    }

    /// The name of the type.
    std::string_view name() const noexcept { return to_string(type); }
};

} // namespace prefork

#endif
