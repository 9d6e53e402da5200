/// @file prefork/settings.hpp
/// The settings of a pool, as a struct for designated initializers.
///
/// SPDX-License-Identifier: MIT
#ifndef PREFORK_SETTINGS_HPP
#define PREFORK_SETTINGS_HPP

#include <prefork.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <prefork/error.hpp>
#include <prefork/event.hpp>

namespace prefork {

/// No limit on the number of restarts.
inline constexpr int unlimited = PF_UNLIMITED;

/// Which ends lead to a restart.
enum class Restart : int {
    on_failure = PF_RESTART_ON_FAILURE,
    always = PF_RESTART_ALWAYS,
    never = PF_RESTART_NEVER,
};

/// At a limit: stop all and fail with errc::gave_up, or leave that slot empty.
enum class LimitAction : int { stop = PF_LIMIT_STOP, degrade = PF_LIMIT_DEGRADE };

/// What an exit status means.
enum class ExitAction : int {
    by_policy = PF_EXIT_DEFAULT, ///< Settings::restart decides
    restart = PF_EXIT_RESTART,   ///< the worker is restarted, which counts
    done = PF_EXIT_DONE,         ///< the slot has finished, as with status 0
    fatal = PF_EXIT_FATAL,       ///< all workers stop; the pool fails with errc::fatal
};

/// Whether a replacement starts before the old worker stops, or after.
enum class ReloadOrder : int {
    start_first = PF_RELOAD_START_FIRST,
    stop_first = PF_RELOAD_STOP_FIRST
};

/// Which signals of this process control the pool; see pf_pool_set_signals(3).
enum class Signals : int {
    none = PF_SIGNALS_NONE,
    standard = PF_SIGNALS_STANDARD,   ///< TERM, INT, QUIT stop; HUP reloads; TTIN, TTOU resize
    stop_only = PF_SIGNALS_STOP_ONLY, ///< TERM, INT, QUIT and HUP stop
};

/// How the end of a worker is noticed.
enum class Backend : int {
    automatic = PF_BACKEND_AUTO,
    pidfd = PF_BACKEND_PIDFD,
    sigchld = PF_BACKEND_SIGCHLD,
};

/// Which children are reaped besides the workers.
enum class ReapOrphans : int { none = 0, adopted = PF_REAP_ADOPTED, all = PF_REAP_ALL };

/// Whether each worker leads a process group.
enum class ProcessGroups : int { none = 0, signals = PF_GROUP_SIGNALS, kill = PF_GROUP_KILL };

/// Whether workers may be forked while other threads run.
enum class Threads : int { refuse = PF_THREADS_REFUSE, allow = PF_THREADS_ALLOW };

/// A program that is executed. What is left out is that of this program.
struct Program {
    std::string path{};                                    ///< empty: this program
    std::optional<std::vector<std::string>> arguments{};   ///< the name first
    std::optional<std::vector<std::string>> environment{}; ///< "NAME=value"
};

/// A pool's settings. What is left out has the default of the library.
///
/// With C++20: `Pool pool({.ready_timeout = 10s, .workers = 4});` Designators are in the order of
/// the members, which is that of the alphabet.
struct Settings {
    /// Other durations convert to it.
    using Duration = std::chrono::milliseconds;
    /// At most max restarts in any window.
    struct Window {
        int max = 0;       ///< 1 to 65,536; 0: no such limit
        Duration window{}; ///< 0: no such limit
    };
    /// A delay that doubles from first to max.
    struct Backoff {
        Duration first{}; ///< before the first restart
        Duration max{};   ///< at most
    };
    /// An age of max plus a random part of jitter.
    struct Lifetime {
        Duration max{};    ///< at least
        Duration jitter{}; ///< at most this is added
    };

    std::optional<Backend> backend{}; ///< how ends are noticed; default automatic
    std::optional<Backoff> backoff{}; ///< before a restart; default none
    std::optional<int> boot_limit{};  ///< ends in a row before any worker is ready; 0: none
    /// Descriptors for the workers, by name; the caller keeps them open.
    std::vector<std::pair<std::string, int>> descriptors{};
    std::optional<Program> exec{};               ///< workers are made by exec; default by fork
    std::map<int, ExitAction> exit_actions{};    ///< by exit status
    std::optional<bool> foreign_workers{};       ///< the program of exec does not use this library
    std::optional<Duration> heartbeat_timeout{}; ///< for this_worker::heartbeat(); 0: none
    std::optional<bool> host_fork{};             ///< Pool::fork_worker() makes the workers
    std::optional<Lifetime> lifetime{};          ///< after it a worker is replaced; default never
    std::optional<LimitAction> limit_action{};   ///< default stop
    std::optional<bool> manager_notify{};        ///< messages to systemd; default false
    std::optional<int> max_restarts{};    ///< in the life of the pool; default 100, or `unlimited`
    std::optional<Duration> min_uptime{}; ///< of a start that went well; default 1 s
    std::string name{};                   ///< at most 63 bytes
    /// Called with each event in run() and dispatch(), instead of stderr and of Pool::events(). If
    /// it throws, the pool is stopped, and run() or dispatch() throws this at its end.
    std::function<void(const Event &)> on_event{};
    std::optional<int> parent_death_signal{};      ///< default SIGTERM; 0: none
    std::optional<ProcessGroups> process_groups{}; ///< default none
    std::optional<Duration> ready_timeout{};       ///< for this_worker::ready(); 0 (default): none
    std::optional<ReapOrphans> reap_orphans{};     ///< default none
    std::optional<ReloadOrder> reload_order{};     ///< default start_first
    std::optional<int> replace_width{};            ///< slots replaced at a time; default 1
    std::optional<Restart> restart{};              ///< which ends lead to one; default on_failure
    std::optional<Window> restart_window{};        ///< a second limit; default none
    std::optional<Signals> signals{};              ///< default none
    std::optional<int> spares{};                   ///< workers started ahead of need; default 0
    std::optional<bool> stop_descriptor{};         ///< this_worker::stop_descriptor(); default true
    std::optional<int> stop_signal{};       ///< default SIGTERM; 0: the stop descriptor alone
    std::optional<Duration> stop_timeout{}; ///< then SIGKILL; default 10 s; 0: never
    std::optional<Threads> threads{};       ///< default refuse
    std::optional<int> workers{};           ///< slots, at most 65,536; 0 (default): cpu_count()
};

namespace detail {

/// argv or envp: pointers into the strings, and NULL.
class Vector {
  public:
    Vector(const std::optional<std::vector<std::string>> &strings, const char *what) {
        if (strings) {
            for (const std::string &string : *strings) {
                text(string, what);
                pointers_.push_back(string.c_str());
            }
            pointers_.push_back(nullptr);
        }
    }
    const char *const *get() const noexcept {
        return pointers_.empty() ? nullptr : pointers_.data();
    }

  private:
    std::vector<const char *> pointers_;
};

/// Calls function(path, argv, envp) with those of the program.
template <typename Function>
int with_program(const Program &program, Function function) {
    const Vector arguments(program.arguments, "Program::arguments");
    const Vector environment(program.environment, "Program::environment");
    const std::string path = text(program.path, "Program::path");
    return function(path.empty() ? nullptr : path.c_str(), arguments.get(), environment.get());
}

/// Says which setting was refused, and why.
class Applier {
  public:
    explicit Applier(pf_pool *pool) : pool_(pool) {}

    void check(const char *name, const std::string &value, int result) const {
        if (result < 0) {
            fail(error_of(result), std::string("Settings::") + name + " = " + value);
        }
    }

    template <typename T>
    void number(const char *name, const std::optional<T> &value, int (*set)(pf_pool *, int)) const {
        if (value) {
            const int plain = static_cast<int>(*value);
            check(name, std::to_string(plain), set(pool_, plain));
        }
    }

    void time(const char *name, const std::optional<Settings::Duration> &value,
              int (*set)(pf_pool *, std::uint64_t)) const {
        if (value) {
            check(name, show(*value), set(pool_, count(name, *value)));
        }
    }

    void times(const char *name, Settings::Duration first, Settings::Duration second,
               int (*set)(pf_pool *, std::uint64_t, std::uint64_t)) const {
        check(name, "{" + show(first) + ", " + show(second) + "}",
              set(pool_, count(name, first), count(name, second)));
    }

    static std::string show(Settings::Duration value) {
        return std::to_string(value.count()) + " ms";
    }

    /// In C a time is not negative.
    std::uint64_t count(const char *name, Settings::Duration value) const {
        check(name, show(value), value.count() < 0 ? -EINVAL : 0);
        return static_cast<std::uint64_t>(value.count());
    }

    pf_pool *pool() const noexcept { return pool_; }

  private:
    pf_pool *pool_;
};

inline void apply_numbers(const Applier &to, const Settings &from) {
    to.number("workers", from.workers, pf_pool_set_workers);
    to.number("restart", from.restart, pf_pool_set_restart_policy);
    to.number("max_restarts", from.max_restarts, pf_pool_set_max_restarts);
    to.number("boot_limit", from.boot_limit, pf_pool_set_boot_limit);
    to.number("limit_action", from.limit_action, pf_pool_set_limit_action);
    to.number("reload_order", from.reload_order, pf_pool_set_reload_order);
    to.number("replace_width", from.replace_width, pf_pool_set_replace_width);
    to.number("signals", from.signals, pf_pool_set_signals);
    to.number("threads", from.threads, pf_pool_set_thread_policy);
    to.number("stop_descriptor", from.stop_descriptor, pf_pool_set_stop_fd);
    to.number("process_groups", from.process_groups, pf_pool_set_process_groups);
    to.number("parent_death_signal", from.parent_death_signal, pf_pool_set_parent_death_signal);
    to.number("reap_orphans", from.reap_orphans, pf_pool_set_reap_orphans);
    to.number("manager_notify", from.manager_notify, pf_pool_set_manager_notify);
    to.number("backend", from.backend, pf_pool_set_backend);
    to.number("foreign_workers", from.foreign_workers, pf_pool_set_foreign_workers);
    to.number("host_fork", from.host_fork, pf_pool_set_host_fork);
    to.number("spares", from.spares, pf_pool_set_spares);
}

inline void apply_times(const Applier &to, const Settings &from) {
    to.time("ready_timeout", from.ready_timeout, pf_pool_set_ready_timeout);
    to.time("min_uptime", from.min_uptime, pf_pool_set_min_uptime);
    to.time("heartbeat_timeout", from.heartbeat_timeout, pf_pool_set_heartbeat_timeout);
    if (from.backoff) {
        to.times("backoff", from.backoff->first, from.backoff->max, pf_pool_set_backoff);
    }
    if (from.lifetime) {
        to.times("lifetime", from.lifetime->max, from.lifetime->jitter, pf_pool_set_lifetime);
    }
    if (from.restart_window) {
        const auto &[max, window] = *from.restart_window;
        to.check("restart_window", "{" + std::to_string(max) + ", " + Applier::show(window) + "}",
                 pf_pool_set_restart_window(to.pool(), max, to.count("restart_window", window)));
    }
    if (from.stop_signal || from.stop_timeout) {
        constexpr Settings::Duration usual(10000);
        const int signal = from.stop_signal.value_or(SIGTERM);
        const auto timeout = from.stop_timeout.value_or(usual);
        to.check("stop_signal, stop_timeout",
                 std::to_string(signal) + ", " + Applier::show(timeout),
                 pf_pool_set_stop(to.pool(), signal, to.count("stop_timeout", timeout)));
    }
}

inline int set_exec(pf_pool *pool, const Program &program) {
    return with_program(program, [pool](const char *path, const char *const *arguments,
                                        const char *const *environment) {
        return pf_pool_set_exec(pool, path, arguments, environment);
    });
}

/// All but on_event.
inline void apply(pf_pool *pool, const Settings &from) {
    const Applier to(pool);
    const std::string name = text(from.name, "Settings::name");
    to.check("name", name, pf_pool_set_name(pool, name.c_str()));
    if (from.exec) {
        to.check("exec", from.exec->path, set_exec(pool, *from.exec));
    }
    apply_numbers(to, from);
    apply_times(to, from);
    for (const auto &[code, action] : from.exit_actions) {
        to.check("exit_actions", std::to_string(code),
                 pf_pool_set_exit_action(pool, code, static_cast<int>(action)));
    }
    for (const auto &[key, fd] : from.descriptors) {
        to.check("descriptors", key,
                 pf_pool_add_fd(pool, text(key, "Settings::descriptors").c_str(), fd));
    }
}

} // namespace detail
} // namespace prefork

#endif
