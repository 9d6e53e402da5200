/// @file prefork/worker.hpp
/// What a worker calls, in namespace prefork::this_worker, and how it ends.
///
/// SPDX-License-Identifier: MIT
#ifndef PREFORK_WORKER_HPP
#define PREFORK_WORKER_HPP

#include <prefork.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <type_traits>
#include <unistd.h>

#include <prefork/error.hpp>

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace prefork {

/// The status of a worker whose function throws, EX_SOFTWARE of sysexits.h. The worker writes
/// what() to stderr first. It neither aborts nor unwinds into the supervisor's frames.
inline constexpr int exit_exception = 70;

/// Why this_worker::wait() returned.
enum class Wake { readable, stop, timeout };

namespace detail {

/// For poll(2) and pf_pool_dispatch(): -1 waits without a limit.
inline int poll_timeout(std::optional<std::chrono::milliseconds> timeout) noexcept {
    if (!timeout) {
        return -1;
    }
    return static_cast<int>(
        std::clamp<std::chrono::milliseconds::rep>(timeout->count(), 0, INT_MAX));
}

} // namespace detail

/// Functions for the worker that calls them, as those of std::this_thread.
namespace this_worker {

/// The task id of this worker, 0 to n-1; none in the supervisor and in a spare. Any thread may call
/// it, and so may signal handlers.
inline std::optional<int> task_id() noexcept {
    const int id = pf_task_id();
    return id < 0 ? std::nullopt : std::optional<int>(id);
}

/// Whether this process is a spare, which waits for a task id.
inline bool is_spare() noexcept { return pf_task_id() == PF_TASK_SPARE; }

/// The name of the pool that this worker belongs to; none in a process that is not a worker.
inline std::optional<std::string_view> pool_name() noexcept {
    const char *name = pf_worker_pool_name();
    return name == nullptr ? std::nullopt : std::optional<std::string_view>(name);
}

/// Reports that this worker can serve. Any thread may call it.
inline void ready(std::error_code &error) noexcept { detail::take(pf_worker_ready(), error); }
/// @throws std::system_error ECHILD in another process, ESRCH if the supervisor has ended.
inline void ready() { detail::require(pf_worker_ready(), "this_worker::ready"); }

/// Reports progress, for Settings::heartbeat_timeout. Any thread may call it.
inline void heartbeat(std::error_code &error) noexcept {
    detail::take(pf_worker_heartbeat(), error);
}
/// @throws std::system_error as ready()
inline void heartbeat() { detail::require(pf_worker_heartbeat(), "this_worker::heartbeat"); }

/// Requests a replacement of this worker, which works on until it is asked to stop. Any thread may
/// call it.
inline void retire(std::error_code &error) noexcept { detail::take(pf_worker_retire(), error); }
/// @throws std::system_error as ready()
inline void retire() { detail::require(pf_worker_retire(), "this_worker::retire"); }

/// A descriptor that is readable when this worker must stop, for poll and event loops. It belongs
/// to the library. With Settings::stop_signal 0 it is the only request.
inline int stop_descriptor(std::error_code &error) noexcept {
    return detail::take(pf_worker_stop_fd(), error);
}
/// @throws std::system_error ECHILD in another process, EOPNOTSUPP if the pool has none
inline int stop_descriptor() {
    return detail::require(pf_worker_stop_fd(), "this_worker::stop_descriptor");
}

/// The descriptor of Settings::descriptors with this name.
inline int descriptor(std::string_view name, std::error_code &error) {
    if (name.find('\0') != std::string_view::npos) {
        return detail::take(-EINVAL, error);
    }
    return detail::take(pf_worker_fd(std::string(name).c_str()), error);
}
/// @throws std::system_error ENOENT if the pool has no descriptor with this name, EINVAL for a NUL
inline int descriptor(std::string_view name) {
    return detail::require(pf_worker_fd(detail::text(name, "this_worker::descriptor").c_str()),
                           "this_worker::descriptor");
}

/// Waits until fd is readable, this worker must stop, or the time is over; without a time there is
/// no limit. A stop is reported first. With fd -1 it waits for the stop alone.
inline Wake wait(int fd, std::optional<std::chrono::milliseconds> timeout, std::error_code &error) {
    const int stop = stop_descriptor(error);
    if (error) {
        return Wake::stop;
    }
    constexpr std::chrono::milliseconds endless = std::chrono::hours(24 * 365 * 100);
    timeout = timeout && *timeout < endless ? timeout : std::nullopt; // the clock has no such end
    const auto end =
        std::chrono::steady_clock::now() + timeout.value_or(std::chrono::milliseconds(0));
    pollfd both[2] = {{stop, POLLIN, 0}, {fd, POLLIN, 0}};
    for (;;) {
        const int count = ::poll(both, 2, detail::poll_timeout(timeout));
        if (count < 0 && errno != EINTR) {
            error.assign(errno, std::system_category());
            return Wake::stop;
        }
        if (count > 0) {
            return both[0].revents != 0 ? Wake::stop : Wake::readable;
        }
        if (timeout) {
            const auto left = end - std::chrono::steady_clock::now();
            if (count == 0 && left.count() <= 0) {
                return Wake::timeout;
            }
            timeout = std::chrono::ceil<std::chrono::milliseconds>(left);
        }
    }
}
/// @throws std::system_error as stop_descriptor(), and for poll(2)
inline Wake wait(int fd, std::optional<std::chrono::milliseconds> timeout = std::nullopt) {
    return detail::or_throw("this_worker::wait",
                            [&](std::error_code &error) { return wait(fd, timeout, error); });
}

/// Whether this worker must stop. Does not wait.
inline bool should_stop() { return wait(-1, std::chrono::milliseconds(0)) == Wake::stop; }

/// Sleeps until this worker must stop, at most for a time. Returns whether it must.
inline bool wait_for_stop(std::optional<std::chrono::milliseconds> timeout = std::nullopt) {
    return wait(-1, timeout) == Wake::stop;
}

} // namespace this_worker

namespace detail {

/// A worker is called with its task id, or with nothing. Its status is its int, or 0 for void.
template <typename Worker>
inline constexpr bool is_worker =
    std::is_invocable_v<Worker &, int> || std::is_invocable_v<Worker &>;

template <typename Worker>
int call_worker(Worker &worker, int task_id) {
    if constexpr (std::is_invocable_v<Worker &, int>) {
        if constexpr (std::is_void_v<std::invoke_result_t<Worker &, int>>) {
            worker(task_id);
            return EXIT_SUCCESS;
        } else {
            return worker(task_id);
        }
    } else if constexpr (std::is_void_v<std::invoke_result_t<Worker &>>) {
        worker();
        return EXIT_SUCCESS;
    } else {
        return worker();
    }
}

/// Workers end by _exit(2), so what is buffered is written here.
inline void flush() noexcept {
    flush_streams();
    std::fflush(nullptr);
}

inline int report_exception(int task_id, const char *what) noexcept {
    flush();
    std::fprintf(stderr, "prefork: task %d ends by an exception: %s\n", task_id, what);
    return exit_exception;
}

/// Runs a worker. No exception leaves it.
template <typename Worker>
int status_of(Worker &worker, int task_id) noexcept {
    int status = exit_exception;
    try {
        status = call_worker(worker, task_id);
        flush();
#if defined(__GLIBCXX__)
    } catch (const abi::__forced_unwind &) { // pthread_exit(): it must not be caught and ended
        ::_exit(report_exception(task_id, "the main thread was ended"));
#endif
    } catch (const std::exception &exception) {
        status = report_exception(task_id, exception.what());
    } catch (...) {
        status = report_exception(task_id, "not a std::exception");
    }
    return status;
}

template <typename Worker>
int enter(int task_id, void *worker) noexcept {
    return status_of(*static_cast<Worker *>(worker), task_id);
}

} // namespace detail
} // namespace prefork

#endif
