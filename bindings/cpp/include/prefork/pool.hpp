/// @file prefork/pool.hpp
/// A pool of worker processes.
///
/// SPDX-License-Identifier: MIT
#ifndef PREFORK_POOL_HPP
#define PREFORK_POOL_HPP

#include <prefork.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <type_traits>
#include <unistd.h>
#include <utility>
#include <vector>

#include <prefork/error.hpp>
#include <prefork/event.hpp>
#include <prefork/events.hpp>
#include <prefork/settings.hpp>
#include <prefork/worker.hpp>

namespace prefork {

/// The state of a slot.
enum class WorkerState : int {
    empty = PF_WORKER_EMPTY,       ///< no worker, and none will be started
    starting = PF_WORKER_STARTING, ///< not started or not ready yet
    ready = PF_WORKER_READY,
    stopping = PF_WORKER_STOPPING, ///< asked to end
    backoff = PF_WORKER_BACKOFF,   ///< will be restarted after a delay
    done = PF_WORKER_DONE,         ///< exited normally; not restarted
};

/// What Pool::counter() counts, over the pool's life or, ready, alive and spares, at present.
enum class Counter : int {
    started = PF_COUNT_STARTED,
    exited = PF_COUNT_EXITED,
    abnormal = PF_COUNT_ABNORMAL,
    restarted = PF_COUNT_RESTARTED,
    start_failed = PF_COUNT_START_FAILED,
    unresponsive = PF_COUNT_UNRESPONSIVE,
    reloads = PF_COUNT_RELOADS,
    ready = PF_COUNT_READY,
    alive = PF_COUNT_ALIVE,
    replace_failed = PF_COUNT_REPLACE_FAILED,
    spares = PF_COUNT_SPARES,
};

/// A slot: its state, and its worker.
struct WorkerInfo {
    WorkerState state{};                ///< of the slot
    pid_t pid = 0;                      ///< 0: no process now
    int restarts = 0;                   ///< counted ones
    std::chrono::milliseconds uptime{}; ///< since the start of the process
};

/// A pool of workers that this process supervises. It is used once, by run() or by start(). Its
/// destructor kills the workers that are still alive; in Settings::on_event of this pool it aborts.
///
/// It belongs to one thread at a time. Any thread and any signal handler may call stop(), kill(),
/// reload(), handle_signal() and wake(), in the overload with an error code. In a process that did
/// not make the pool, as a child of fork(2), every call fails with ECHILD.
class Pool {
  public:
    /// Makes a pool.
    /// @throws std::system_error that names the setting and its value; ENOMEM; ENOTSUP if the
    /// loaded
    ///   library is older than this header
    explicit Pool(Settings settings = {}) {
        detail::require_version();
        detail::require(pf_pool_new(&pool_), "Pool");
        try {
            detail::apply(pool_, settings);
            set_callback(std::move(settings.on_event));
        } catch (...) {
            pf_pool_free(pool_);
            throw;
        }
    }
    /// Makes a pool, or an empty one and the error.
    Pool(Settings settings, std::error_code &error) : pool_(nullptr) {
        error.clear();
        try {
            *this = Pool(std::move(settings));
        } catch (const std::system_error &failure) {
            error = failure.code();
        }
    }
    /// Leaves the other one empty: its functions fail with EINVAL.
    Pool(Pool &&other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), callback_(std::move(other.callback_)) {}
    /// Kills the workers that this pool still has.
    Pool &operator=(Pool &&other) noexcept {
        if (this != &other) {
            detail::free_pool(pool_);
            pool_ = std::exchange(other.pool_, nullptr);
            callback_ = std::move(other.callback_);
        }
        return *this;
    }
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;
    ~Pool() { detail::free_pool(pool_); }

    /// For the functions of prefork.h. It stays the pool's.
    pf_pool *native_handle() const noexcept { return pool_; }

    // ---- Running ------------------------------------------------------------------------

    /// Starts the workers and supervises them until the pool is done.
    ///
    /// Each worker calls `worker` with its task id, or with nothing, and exits with the int that it
    /// returns, or with 0; it never comes back. If it throws, it exits with exit_exception. In a
    /// worker by exec the same call enters `worker` at once.
    ///
    /// An exception of Settings::on_event stops the pool, and is thrown at its end.
    template <typename Worker, std::enable_if_t<detail::is_worker<Worker>, int> = 0>
    void run(Worker &&worker, std::error_code &error) {
        auto enter = [&worker](int task_id) { return detail::call_worker(worker, task_id); };
        detail::take(pf_pool_set_worker_fn(pool_, detail::enter<decltype(enter)>, &enter, nullptr),
                     error);
        if (!error) {
            // The next try has a worker of its own. A pool that has begun has no next one.
            const std::unique_ptr<pf_pool, void (*)(pf_pool *)> reset(pool_, [](pf_pool *pool) {
                pf_pool_set_worker_fn(pool, nullptr, nullptr, nullptr);
            });
            run(error);
        }
    }
    /// @throws std::system_error errc::gave_up, errc::fatal, errc::threads, EALREADY and others
    template <typename Worker, std::enable_if_t<detail::is_worker<Worker>, int> = 0>
    void run(Worker &&worker) {
        detail::or_throw("Pool::run", [&](std::error_code &error) { run(worker, error); });
    }

    /// The same without a function: returns the task id in each worker, and none in the supervisor
    /// when the pool is done. In a worker nothing else may be called with the pool.
    std::optional<int> run(std::error_code &error) {
        int task_id = -1;
        detail::flush();
        detail::take(pf_pool_run(pool_, &task_id), error);
        rethrow();
        return error || task_id < 0 ? std::nullopt : std::optional<int>(task_id);
    }
    /// @throws std::system_error as above
    std::optional<int> run() {
        return detail::or_throw("Pool::run", [&](std::error_code &error) { return run(error); });
    }

    /// Starts a pool of workers by exec, or of Settings::host_fork, for dispatch() and events().
    void start(std::error_code &error) {
        detail::flush();
        detail::take(pf_pool_start(pool_), error);
    }
    /// @throws std::system_error EINVAL without a way to make workers, errc::threads and others
    void start() {
        detail::or_throw("Pool::start", [&](std::error_code &error) { start(error); });
    }
    /// Starts a pool whose workers are forked and call a copy of `worker`, as in run().
    template <typename Worker, std::enable_if_t<detail::is_worker<std::decay_t<Worker>>, int> = 0>
    void start(Worker &&worker, std::error_code &error) {
        using Plain = std::decay_t<Worker>;
        auto own = std::make_unique<Plain>(std::forward<Worker>(worker));
        detail::take(pf_pool_set_worker_fn(pool_, detail::enter<Plain>, own.release(),
                                           [](void *user) { delete static_cast<Plain *>(user); }),
                     error);
        if (!error) {
            start(error);
        }
    }
    /// @throws std::system_error as above
    template <typename Worker, std::enable_if_t<detail::is_worker<std::decay_t<Worker>>, int> = 0>
    void start(Worker &&worker) {
        detail::or_throw("Pool::start", [&](std::error_code &error) {
            start(std::forward<Worker>(worker), error);
        });
    }

    /// The descriptor that is readable while dispatch() has work or events are pending.
    int descriptor(std::error_code &error) const noexcept {
        return detail::take(pf_pool_fd(pool_), error);
    }
    /// @throws std::system_error instead
    int descriptor() const { return detail::require(pf_pool_fd(pool_), "Pool::descriptor"); }

    /// Does the pending work. Waits for work at most for a time; none: no limit. Returns whether
    /// the pool still runs.
    bool dispatch(std::optional<std::chrono::milliseconds> timeout, std::error_code &error) {
        detail::flush_streams();
        const int alive =
            detail::take(pf_pool_dispatch(pool_, detail::poll_timeout(timeout)), error);
        rethrow();
        return alive > 0;
    }
    /// @throws std::system_error as run(); then the ends of all workers are pending events
    bool dispatch(std::optional<std::chrono::milliseconds> timeout = std::nullopt) {
        return detail::or_throw("Pool::dispatch",
                                [&](std::error_code &error) { return dispatch(timeout, error); });
    }

    /// All events until the pool is done, dispatching and waiting as needed: an input range.
    /// Throws after the last event if the pool has failed.
    Events events() { return {pool_, callback_.get(), true, nullptr}; }
    /// The same; the range ends with the error.
    Events events(std::error_code &error) { return {pool_, callback_.get(), true, &error}; }
    /// The events that are pending now.
    Events pending() { return {pool_, callback_.get(), false, nullptr}; }

    /// Forks the worker that an EventType::fork_wanted asks for. Returns false if the pool does not
    /// want it any more. The child calls `worker` as in run(), and never comes back.
    /// @param fork the host's own function, if a library must see each fork
    template <typename Worker, std::enable_if_t<detail::is_worker<std::decay_t<Worker>>, int> = 0>
    bool fork_worker(int task_id, Worker &&worker, pid_t (*fork)() = ::fork) {
        detail::flush();
        int result = pf_pool_fork_prepare(pool_, task_id);
        if (result == 0) {
            const pid_t pid = fork_by(fork, task_id);
            if (pid == 0) {
                result = pf_pool_fork_child(pool_, task_id);
                if (result < 0) { // a spare that is not needed any more has not failed
                    ::_exit(task_id == PF_TASK_SPARE ? EXIT_SUCCESS : EXIT_FAILURE);
                }
                ::_exit(detail::status_of(worker, result > 0 ? result : pf_task_id()));
            }
            result = pf_pool_fork_parent(pool_, task_id, pid < 0 ? -errno : pid);
        }
        if (result == -ESRCH) {
            return false;
        }
        detail::require(result, "Pool::fork_worker");
        return true;
    }

    // ---- Requests: each in a throwing version, and one for any thread --------------------

    /// Stops all workers gracefully.
    void stop(std::error_code &error) const noexcept { detail::take(pf_pool_stop(pool_), error); }
    /// @throws std::system_error instead
    void stop() const { detail::require(pf_pool_stop(pool_), "Pool::stop"); }

    /// Stops all workers by SIGKILL.
    void kill(std::error_code &error) const noexcept { detail::take(pf_pool_kill(pool_), error); }
    /// @throws std::system_error instead
    void kill() const { detail::require(pf_pool_kill(pool_), "Pool::kill"); }

    /// Replaces all workers, one after the other.
    void reload(std::error_code &error) const noexcept {
        detail::take(pf_pool_reload(pool_), error);
    }
    /// @throws std::system_error instead
    void reload() const { detail::require(pf_pool_reload(pool_), "Pool::reload"); }

    /// Makes the running dispatch() return at once, or the next one.
    void wake(std::error_code &error) const noexcept { detail::take(pf_pool_wake(pool_), error); }
    /// @throws std::system_error instead
    void wake() const { detail::require(pf_pool_wake(pool_), "Pool::wake"); }

    /// Handles a signal that the host received, as Signals::standard does.
    void handle_signal(int signal, std::error_code &error) const noexcept {
        detail::take(pf_pool_handle_signal(pool_, signal), error);
    }
    /// @throws std::system_error instead
    void handle_signal(int signal) const {
        require(pf_pool_handle_signal(pool_, signal), "handle_signal", signal);
    }

    // ---- Changes of a pool that runs -----------------------------------------------------

    /// Changes the number of slots, 1 to 65,536.
    void resize(int count, std::error_code &error) noexcept {
        detail::take(pf_pool_resize(pool_, count), error);
    }
    /// @throws std::system_error instead
    void resize(int count) { require(pf_pool_resize(pool_, count), "resize", count); }

    /// Replaces one worker, which does not count as a restart.
    void replace(int task_id, std::error_code &error) noexcept {
        detail::take(pf_pool_replace_worker(pool_, task_id), error);
    }
    /// @throws std::system_error instead
    void replace(int task_id) {
        require(pf_pool_replace_worker(pool_, task_id), "replace", task_id);
    }

    /// Stops one worker, and leaves its slot empty until replace().
    void stop_worker(int task_id, std::error_code &error) noexcept {
        detail::take(pf_pool_stop_worker(pool_, task_id), error);
    }
    /// @throws std::system_error instead
    void stop_worker(int task_id) {
        require(pf_pool_stop_worker(pool_, task_id), "stop_worker", task_id);
    }

    /// Sends a signal to one worker, or to all (-1). It is not a request to stop.
    void send_signal(int task_id, int signal, std::error_code &error) noexcept {
        detail::take(pf_pool_send_signal(pool_, task_id, signal), error);
    }
    /// @throws std::system_error instead
    void send_signal(int task_id, int signal) {
        require(pf_pool_send_signal(pool_, task_id, signal), "send_signal", task_id);
    }

    /// Changes the number of spares.
    void set_spares(int count, std::error_code &error) noexcept {
        detail::take(pf_pool_set_spares(pool_, count), error);
    }
    /// @throws std::system_error instead
    void set_spares(int count) { require(pf_pool_set_spares(pool_, count), "set_spares", count); }

    /// Changes the program of later starts, in a pool whose workers are made by exec.
    void set_exec(const Program &program, std::error_code &error) {
        detail::caught([&] { set_exec(program); }, error);
    }
    /// @throws std::system_error instead
    void set_exec(const Program &program) {
        detail::require(detail::set_exec(pool_, program), "Pool::set_exec");
    }

    // ---- State ---------------------------------------------------------------------------

    /// Slots; 0 before the start.
    int worker_count() const noexcept { return std::max(pf_pool_worker_count(pool_), 0); }
    /// Processes.
    int alive_count() const noexcept { return std::max(pf_pool_alive_count(pool_), 0); }
    /// One slot; while it is being replaced, the old worker.
    /// @throws std::system_error EINVAL if there is no such slot
    WorkerInfo worker(int task_id) const {
        const int state = pf_pool_worker_state(pool_, task_id);
        require(state, "worker", task_id);
        return {static_cast<WorkerState>(state), pf_pool_worker_pid(pool_, task_id),
                pf_pool_worker_restarts(pool_, task_id),
                std::chrono::milliseconds(pf_pool_worker_uptime_ms(pool_, task_id))};
    }
    /// All slots, in the order of their task ids.
    std::vector<WorkerInfo> workers() const {
        std::vector<WorkerInfo> all;
        all.reserve(static_cast<std::size_t>(worker_count()));
        for (int task_id = 0; task_id < worker_count(); task_id++) {
            all.push_back(worker(task_id));
        }
        return all;
    }
    /// A number for metrics; 0 before the start.
    std::uint64_t counter(Counter which) const noexcept {
        return pf_pool_counter(pool_, static_cast<int>(which));
    }
    /// The signal that stopped the pool; 0: none. See die_of_signal().
    int stop_signal() const noexcept { return std::max(pf_pool_stop_signal(pool_), 0); }

  private:
    void set_callback(std::function<void(const Event &)> callback) {
        if (callback) {
            callback_ = std::make_unique<detail::Callback>(pool_, std::move(callback));
            detail::require(pf_pool_set_event_callback(pool_, detail::Callback::deliver,
                                                       callback_.get(), nullptr),
                            "on_event");
        }
    }

    /// If the function throws, the fork has failed. In a child nothing unwinds further.
    pid_t fork_by(pid_t (*fork)(), int task_id) {
        const pid_t self = ::getpid();
        try {
            return fork();
        } catch (...) {
            if (::getpid() != self) {
                ::_exit(exit_exception);
            }
            pf_pool_fork_parent(pool_, task_id, -EAGAIN);
            throw;
        }
    }

    void rethrow() const {
        if (callback_) {
            callback_->rethrow();
        }
    }

    static void require(int result, const char *what, int argument) {
        if (result < 0) {
            detail::fail(error_of(result),
                         std::string("Pool::") + what + "(" + std::to_string(argument) + ")");
        }
    }

    pf_pool *pool_ = nullptr;
    std::unique_ptr<detail::Callback> callback_;
};

} // namespace prefork

#endif
