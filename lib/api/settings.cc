// What can be chosen for a pool before it starts.
//
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <utility>

#include "api/pool.h"
#include "base/text.h"
#include "base/worker_array.h"
#include "os/signals/pool_signals.h"
#include "os/signals/signals.h"
#include "os/spawn/worker_process.h"
#include "os/watch/event_loop.h"
#include "prefork.h"

using prefork::api::check_setting;
using prefork::api::HostData;
using prefork::api::Stage;
namespace base = prefork::base;
namespace core = prefork::core;
namespace os = prefork::os;

static_assert(PF_RESTART_ON_FAILURE == static_cast<int>(core::RestartWhen::on_failure));
static_assert(PF_RESTART_ALWAYS == static_cast<int>(core::RestartWhen::always));
static_assert(PF_RESTART_NEVER == static_cast<int>(core::RestartWhen::none));
static_assert(PF_LIMIT_STOP == static_cast<int>(core::OnLimit::stop));
static_assert(PF_LIMIT_DEGRADE == static_cast<int>(core::OnLimit::degrade));
static_assert(PF_EXIT_DEFAULT == static_cast<int>(core::ExitAction::standard));
static_assert(PF_EXIT_RESTART == static_cast<int>(core::ExitAction::restart));
static_assert(PF_EXIT_DONE == static_cast<int>(core::ExitAction::done));
static_assert(PF_EXIT_FATAL == static_cast<int>(core::ExitAction::fatal));
static_assert(PF_RELOAD_START_FIRST == static_cast<int>(core::ReloadOrder::start_first));
static_assert(PF_RELOAD_STOP_FIRST == static_cast<int>(core::ReloadOrder::stop_first));
static_assert(PF_REAP_ADOPTED == static_cast<int>(os::ReapMode::adopted));
static_assert(PF_TASK_SPARE == base::task_spare);
static_assert(PF_REAP_ALL == static_cast<int>(os::ReapMode::all));
static_assert(PF_GROUP_SIGNALS == static_cast<int>(os::GroupMode::signals));
static_assert(PF_GROUP_KILL == static_cast<int>(os::GroupMode::kill));
static_assert(PF_BACKEND_AUTO == static_cast<int>(os::Backend::automatic));
static_assert(PF_BACKEND_PIDFD == static_cast<int>(os::Backend::pidfd));
static_assert(PF_BACKEND_SIGCHLD == static_cast<int>(os::Backend::sigchld));

namespace {

int check(const pf_pool *pool, bool in_range) {
    const int result = check_setting(pool);
    return result < 0 || in_range ? result : -EINVAL;
}

bool is_flag(int value) { return value == 0 || value == 1; }

constexpr uint64_t duration_max_ms = base::never / base::millisecond / 2;

bool is_duration(uint64_t milliseconds) { return milliseconds <= duration_max_ms; }

core::Duration duration_of(uint64_t milliseconds) { return milliseconds * base::millisecond; }

} // namespace

int prefork::api::check_setting(const pf_pool *pool) {
    if (pool == nullptr) {
        return -EINVAL;
    }
    if (!is_supervisor(pool)) {
        return -ECHILD;
    }
    return pool->stage == Stage::settings && !pool->is_being_freed ? 0 : -EBUSY;
}

int prefork::api::check_change(const pf_pool *pool) {
    const int result = check_setting(pool);
    if (result != -EBUSY || pool->is_being_freed) {
        return result;
    }
    return pool->stage == Stage::running ? 0 : -ECANCELED;
}

int pf_pool_set_name(pf_pool *pool, const char *name) {
    const bool fits =
        name != nullptr && base::length_of(name) < os::WorkerResources::pool_name_size;
    if (int r = check(pool, fits); r < 0) {
        return r;
    }
    pool->resources->set_pool_name(name);
    return 0;
}

int pf_pool_set_workers(pf_pool *pool, int count) {
    if (int r = check(pool, count <= static_cast<int>(core::workers_max)); r < 0) {
        return r;
    }
    pool->options.settings.workers = count > 0 ? static_cast<uint32_t>(count) : 0;
    return 0;
}

int pf_pool_set_restart_policy(pf_pool *pool, int when) {
    if (int r = check(pool, when >= PF_RESTART_ON_FAILURE && when <= PF_RESTART_NEVER); r < 0) {
        return r;
    }
    pool->options.settings.restart = static_cast<core::RestartWhen>(when);
    return 0;
}

int pf_pool_set_max_restarts(pf_pool *pool, int max) {
    if (int r = check_setting(pool); r < 0) {
        return r;
    }
    pool->options.settings.max_restarts = max < 0 ? core::restarts_default : max;
    return 0;
}

int pf_pool_set_restart_window(pf_pool *pool, int max, uint64_t window_ms) {
    const bool off = max == 0 && window_ms == 0;
    const bool on = max > 0 && max <= static_cast<int>(core::window_restarts_max) &&
                    window_ms > 0 && is_duration(window_ms);
    if (int r = check(pool, off || on); r < 0) {
        return r;
    }
    pool->options.settings.window_max = static_cast<uint32_t>(max);
    pool->options.settings.window = duration_of(window_ms);
    return 0;
}

int pf_pool_set_backoff(pf_pool *pool, uint64_t first_ms, uint64_t max_ms) {
    const bool off = first_ms == 0 && max_ms == 0;
    const bool on = first_ms > 0 && first_ms <= max_ms && is_duration(max_ms);
    if (int r = check(pool, off || on); r < 0) {
        return r;
    }
    pool->options.settings.backoff_first = duration_of(first_ms);
    pool->options.settings.backoff_max = duration_of(max_ms);
    return 0;
}

int pf_pool_set_boot_limit(pf_pool *pool, int max) {
    if (int r = check(pool, max >= 0); r < 0) {
        return r;
    }
    pool->options.settings.boot_limit = static_cast<uint32_t>(max);
    return 0;
}

int pf_pool_set_limit_action(pf_pool *pool, int action) {
    if (int r = check(pool, action == PF_LIMIT_STOP || action == PF_LIMIT_DEGRADE); r < 0) {
        return r;
    }
    pool->options.settings.on_limit = static_cast<core::OnLimit>(action);
    return 0;
}

int pf_pool_set_stop(pf_pool *pool, int signal, uint64_t timeout_ms) {
    if (int r = check(pool, os::is_signal_or_none(signal) && is_duration(timeout_ms)); r < 0) {
        return r;
    }
    pool->options.settings.stop_signal = signal;
    pool->options.settings.stop_timeout = duration_of(timeout_ms);
    return 0;
}

int pf_pool_set_exit_action(pf_pool *pool, int code, int action) {
    const bool is_status = code >= 0 && code < core::ExitActions::statuses;
    const bool is_action = action >= PF_EXIT_DEFAULT && action <= PF_EXIT_FATAL;
    if (int r = check(pool, is_status && is_action); r < 0) {
        return r;
    }
    pool->options.settings.exit_actions.set(code, static_cast<core::ExitAction>(action));
    return 0;
}

int pf_pool_set_ready_timeout(pf_pool *pool, uint64_t timeout_ms) {
    if (int r = check(pool, is_duration(timeout_ms)); r < 0) {
        return r;
    }
    pool->options.settings.ready_timeout = duration_of(timeout_ms);
    return 0;
}

int pf_pool_set_min_uptime(pf_pool *pool, uint64_t uptime_ms) {
    if (int r = check(pool, is_duration(uptime_ms)); r < 0) {
        return r;
    }
    pool->options.settings.minimum_uptime = duration_of(uptime_ms);
    return 0;
}

int pf_pool_set_heartbeat_timeout(pf_pool *pool, uint64_t timeout_ms) {
    if (int r = check(pool, is_duration(timeout_ms)); r < 0) {
        return r;
    }
    pool->options.settings.heartbeat_timeout = duration_of(timeout_ms);
    return 0;
}

int pf_pool_set_lifetime(pf_pool *pool, uint64_t max_ms, uint64_t jitter_ms) {
    const bool in_range =
        is_duration(max_ms) && is_duration(jitter_ms) && (max_ms > 0 || jitter_ms == 0);
    if (int r = check(pool, in_range); r < 0) {
        return r;
    }
    pool->options.settings.lifetime = duration_of(max_ms);
    pool->options.settings.lifetime_jitter = duration_of(jitter_ms);
    return 0;
}

int pf_pool_set_reload_order(pf_pool *pool, int order) {
    const bool in_range = order == PF_RELOAD_START_FIRST || order == PF_RELOAD_STOP_FIRST;
    if (int r = check(pool, in_range); r < 0) {
        return r;
    }
    pool->options.settings.reload_order = static_cast<core::ReloadOrder>(order);
    return 0;
}

int pf_pool_set_replace_width(pf_pool *pool, int count) {
    if (int r = check(pool, count >= 1 && count <= static_cast<int>(core::workers_max)); r < 0) {
        return r;
    }
    pool->options.settings.reload_width = static_cast<uint32_t>(count);
    return 0;
}

int pf_pool_set_signals(pf_pool *pool, int set) {
    if (int r = check(pool, set >= PF_SIGNALS_NONE && set <= PF_SIGNALS_STOP_ONLY); r < 0) {
        return r;
    }
    pool->options.signals = static_cast<os::SignalSet>(set);
    return 0;
}

int pf_pool_set_thread_policy(pf_pool *pool, int policy) {
    if (int r = check(pool, policy == PF_THREADS_REFUSE || policy == PF_THREADS_ALLOW); r < 0) {
        return r;
    }
    pool->options.allow_threads = policy == PF_THREADS_ALLOW;
    return 0;
}

int pf_pool_set_host_fork(pf_pool *pool, int on) {
    if (int r = check(pool, is_flag(on)); r < 0) {
        return r;
    }
    pool->options.host_fork = on == 1;
    return 0;
}

int pf_pool_set_spares(pf_pool *pool, int count) {
    const int result = prefork::api::check_change(pool);
    if (result < 0 && result != -ECANCELED) {
        return result;
    }
    const bool is_setting = pool->stage == Stage::settings;
    if (count < 0 || count > static_cast<int>(base::spares_max) ||
        (!is_setting && pool->options.foreign_workers)) {
        return -EINVAL;
    }
    const auto wanted = static_cast<uint32_t>(count);
    if (is_setting) {
        pool->options.settings.spares = wanted;
        return 0;
    }
    if (result < 0) {
        return result;
    }
    const prefork::api::Hold held(pool);
    return pool->pool.set_spares(wanted);
}

int pf_pool_set_foreign_workers(pf_pool *pool, int on) {
    if (int r = check(pool, is_flag(on)); r < 0) {
        return r;
    }
    pool->options.foreign_workers = on == 1;
    return 0;
}

int pf_pool_set_stop_fd(pf_pool *pool, int on) {
    if (int r = check(pool, is_flag(on)); r < 0) {
        return r;
    }
    pool->options.stop_descriptors = on == 1;
    return 0;
}

int pf_pool_set_process_groups(pf_pool *pool, int mode) {
    if (int r = check(pool, mode >= 0 && mode <= PF_GROUP_KILL); r < 0) {
        return r;
    }
    pool->options.process_groups = static_cast<os::GroupMode>(mode);
    return 0;
}

int pf_pool_set_parent_death_signal(pf_pool *pool, int signal) {
    if (int r = check(pool, os::is_signal_or_none(signal)); r < 0) {
        return r;
    }
    pool->options.death_signal = signal;
    return 0;
}

int pf_pool_set_reap_orphans(pf_pool *pool, int mode) {
    if (int r = check(pool, mode >= 0 && mode <= PF_REAP_ALL); r < 0) {
        return r;
    }
    pool->options.reap_orphans = static_cast<os::ReapMode>(mode);
    return 0;
}

int pf_pool_set_manager_notify(pf_pool *pool, int on) {
    if (int r = check(pool, is_flag(on)); r < 0) {
        return r;
    }
    pool->options.notify = on == 1;
    return 0;
}

int pf_pool_set_backend(pf_pool *pool, int backend) {
    if (int r = check(pool, backend >= PF_BACKEND_AUTO && backend <= PF_BACKEND_SIGCHLD); r < 0) {
        return r;
    }
    const auto chosen = static_cast<os::Backend>(backend);
    if (!os::EventLoop::supports(chosen)) {
        return -ENOTSUP;
    }
    pool->options.backend = chosen;
    return 0;
}

int pf_pool_set_event_callback(pf_pool *pool, pf_event_fn fn, void *user,
                               void (*free_user)(void *)) {
    HostData data{user, free_user};
    const int result = check_setting(pool);
    if (result == 0) {
        std::swap(pool->event_data, data);
        pool->options.on_event = fn;
        pool->options.event_user = user;
    }
    data.release(); // of the callback before, or of the one that was refused
    return result;
}

int pf_pool_set_worker_fn(pf_pool *pool, int (*fn)(int task_id, void *user), void *user,
                          void (*free_user)(void *)) {
    HostData data{user, free_user};
    const int result = check_setting(pool);
    if (result == 0) {
        std::swap(pool->worker_data, data);
        pool->options.worker = fn;
        pool->options.worker_user = user;
    }
    data.release();
    return result;
}
