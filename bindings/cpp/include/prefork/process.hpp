/// @file prefork/process.hpp
/// Functions of the whole process: the one call, daemons, upgrades, version.
///
/// SPDX-License-Identifier: MIT
#ifndef PREFORK_PROCESS_HPP
#define PREFORK_PROCESS_HPP

#include <prefork.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <prefork/error.hpp>
#include <prefork/event.hpp>
#include <prefork/settings.hpp>
#include <prefork/worker.hpp>

namespace prefork {

/// The processors that this process may use, by affinity and control groups. At least 1.
inline int cpu_count() noexcept { return pf_cpu_count(); }

/// The version of the loaded library, "MAJOR.MINOR.PATCH".
inline std::string_view version() noexcept { return pf_version(); }

/// 10,000 * MAJOR + 100 * MINOR + PATCH of the loaded library.
inline int version_number() noexcept { return pf_version_number(); }

namespace detail {

inline std::unique_ptr<std::function<void(const Event &)>> &process_callback() {
    static std::unique_ptr<std::function<void(const Event &)>> callback;
    return callback;
}

inline void deliver_to_process(const pf_event *event, void *) noexcept {
    try {
        (*process_callback())(Event(event));
    } catch (const std::exception &exception) {
        std::fprintf(stderr, "prefork: an event callback throws: %s\n", exception.what());
    } catch (...) {
        std::fprintf(stderr, "prefork: an event callback throws\n");
    }
    flush_streams();
}

} // namespace detail

/// Sets the function that later calls of fork_processes() report events to; an empty one restores
/// the default, stderr. What it throws is written to stderr and ignored, for fork_processes() has
/// nowhere to throw it to. Set it before other threads use the library.
inline void set_event_callback(std::function<void(const Event &)> callback) {
    if (!callback) {
        pf_set_event_callback(nullptr, nullptr);
        detail::process_callback().reset();
        return;
    }
    detail::process_callback() =
        std::make_unique<std::function<void(const Event &)>>(std::move(callback));
    pf_set_event_callback(detail::deliver_to_process, nullptr);
}

/// Forks workers and supervises them until all have finished. Returns the task id, in each worker.
/// The supervisor calls exit(0) in it when all went well. Call it from the main thread, without
/// other threads.
///
/// @param workers 0: cpu_count()
/// @param max_restarts of all workers together; -1: 100; or `unlimited`
inline int fork_processes(int workers, int max_restarts, std::error_code &error) {
    detail::flush();
    return detail::take(pf_fork_processes(workers, max_restarts), error);
}
/// @throws std::system_error in the supervisor: errc::gave_up, errc::threads and others
inline int fork_processes(int workers = 0, int max_restarts = -1) {
    return detail::or_throw("fork_processes", [&](std::error_code &error) {
        return fork_processes(workers, max_restarts, error);
    });
}

/// Executes another program in this process, which goes on with the workers of this one. Returns
/// only if it failed: the pools are as they were. Only the main thread may call it, outside of all
/// callbacks, between two calls of Pool::dispatch().
inline void upgrade(const Program &program, std::error_code &error) {
    detail::flush();
    int result = 0;
    detail::caught([&] { result = detail::with_program(program, pf_upgrade); }, error);
    if (!error) {
        detail::take(result, error);
    }
}
/// @throws std::system_error always, if it returns at all
[[noreturn]] inline void upgrade(const Program &program = {}) {
    detail::flush();
    detail::fail(error_of(detail::with_program(program, pf_upgrade)),
                 "upgrade(" + program.path + ")");
}

/// Continues as a daemon. The launching process ends when all workers are ready. An empty pid_file:
/// none. Call it before sockets are bound and pools are made.
inline void daemonize(std::string_view pid_file, std::error_code &error) {
    const std::string path(pid_file);
    if (path.find('\0') != std::string::npos) {
        error = std::make_error_code(std::errc::invalid_argument);
        return;
    }
    detail::flush();
    detail::take(pf_daemonize(path.empty() ? nullptr : path.c_str()), error);
}
/// @throws std::system_error in the launching process: EEXIST if a living daemon holds the file
inline void daemonize(std::string_view pid_file = {}) {
    detail::text(pid_file, "daemonize: pid_file");
    std::error_code error;
    daemonize(pid_file, error);
    if (error) {
        detail::fail(error, "daemonize(" + std::string(pid_file) + ")");
    }
}

/// Reports to the launching process that the daemon is ready, without waiting for workers.
inline void daemon_ready(std::error_code &error) noexcept {
    detail::take(pf_daemon_ready(), error);
}
/// @throws std::system_error ECHILD in a child of the daemon
inline void daemon_ready() { detail::require(pf_daemon_ready(), "daemon_ready"); }

/// Ends this process as a signal would, usually that of Pool::stop_signal(). Free the pools before.
inline void die_of_signal(int signal, std::error_code &error) noexcept {
    detail::flush();
    detail::take(pf_die_of_signal(signal), error);
}
/// @throws std::system_error EINVAL if no process ends by this signal
[[noreturn]] inline void die_of_signal(int signal) {
    std::error_code error;
    die_of_signal(signal, error);
    detail::fail(error, "die_of_signal(" + std::to_string(signal) + ")");
}

} // namespace prefork

#endif
