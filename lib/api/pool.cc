// A pool's life and control.
//
// SPDX-License-Identifier: MIT
#include "api/pool.h"

#include <errno.h>

#include "base/heap_object.h"
#include "os/process/clock.h"
#include "os/process/threads.h"
#include "os/spawn/identity.h"
#include "os/spawn/worker_process.h"
#include "prefork.h"

using prefork::api::check_started;
using prefork::api::Hold;
using prefork::api::Holder;
using prefork::api::is_supervisor;
using prefork::api::Stage;
using prefork::core::State;
using prefork::runtime::Pool;
using prefork::runtime::PoolOptions;
namespace base = prefork::base;
namespace core = prefork::core;
namespace os = prefork::os;

static_assert(PF_EFATAL == base::code_fatal);
static_assert(PF_COUNT_STARTED == static_cast<int>(core::Counter::started));
static_assert(PF_COUNT_EXITED == static_cast<int>(core::Counter::exited));
static_assert(PF_COUNT_ABNORMAL == static_cast<int>(core::Counter::abnormal));
static_assert(PF_COUNT_RESTARTED == static_cast<int>(core::Counter::restarted));
static_assert(PF_COUNT_START_FAILED == static_cast<int>(core::Counter::start_failed));
static_assert(PF_COUNT_UNRESPONSIVE == static_cast<int>(core::Counter::unresponsive));
static_assert(PF_COUNT_RELOADS == static_cast<int>(core::Counter::reloads));
static_assert(PF_COUNT_READY == static_cast<int>(core::Counter::ready));
static_assert(PF_COUNT_ALIVE == static_cast<int>(core::Counter::alive));
static_assert(PF_COUNT_REPLACE_FAILED == static_cast<int>(core::Counter::replace_failed));
static_assert(PF_COUNT_SPARES == static_cast<int>(core::Counter::spares));

namespace {

int check_running(const pf_pool *pool) {
    const int result = check_started(pool);
    return result == 0 && pool->stage == Stage::ended ? -ECANCELED : result;
}

bool is_slot(const pf_pool *pool, int task_id) {
    return task_id >= 0 && static_cast<uint32_t>(task_id) < pool->pool.supervisor().slots();
}

int check_slot(const pf_pool *pool, int task_id) {
    const int result = check_started(pool);
    return result < 0 || is_slot(pool, task_id) ? result : -EINVAL;
}

// The slot's current worker.
const core::Worker &worker_of(const pf_pool *pool, int task_id) {
    const core::Supervisor &supervisor = pool->pool.supervisor();
    return supervisor.worker(supervisor.current(static_cast<uint32_t>(task_id)));
}

// Kills the workers.
void end(Pool *pool) {
    pool->~Pool();
    new (pool) Pool();
}

// Returns 0, or a negative code.
int open(pf_pool *pool) {
    const PoolOptions &options = pool->options;
    if (options.foreign_workers && (options.exec == nullptr || options.settings.spares > 0)) {
        return -EINVAL;
    }
    if (options.exec == nullptr && !options.host_fork && !options.allow_threads &&
        os::has_lasting_threads()) {
        return PF_ETHREADS;
    }
    if (options.exec != nullptr) {
        // Its workers would pass for those of the pool around it.
        if (os::is_worker_of(pool->resources->pool_name())) {
            return -ELOOP;
        }
        if (int r = pool->exec.open(&pool->program,
                                    {pool->resources, options.notify, options.foreign_workers,
                                     options.has_foreign_reports()});
            r < 0) {
            return r;
        }
    }
    const int result =
        prefork::api::open_pool(pool->resources->pool_name(), &pool->options, &pool->pool);
    if (result < 0) {
        end(&pool->pool);
    }
    return result;
}

// Returns 0, and this call holds the pool, or a negative code with which the pool is as it was.
int start(pf_pool *pool) {
    if (int r = prefork::api::hold_and_list(pool); r < 0) {
        return r;
    }
    if (int r = open(pool); r < 0) {
        prefork::api::unlist(pool);
        prefork::api::let_go(pool);
        return r;
    }
    pool->stage = Stage::running;
    os::restore_held_mask();
    return 0;
}

// In a worker by exec: from here on this process is what the pool in its supervisor has made it
// for, and this pool is nothing.
int be_worker(pf_pool *pool, int task_id, int *ret_task_id) {
    pool->stage = Stage::of_worker;
    if (pool->options.worker != nullptr) {
        os::end_worker(pool->options.worker(task_id, pool->options.worker_user), false);
    }
    *ret_task_id = task_id;
    return 0;
}

// What run and dispatch have in common once they have returned.
int settle(pf_pool *pool, int result) {
    if (pool->pool.finished()) {
        pool->result = result;
        pool->stage = Stage::ended;
    }
    prefork::api::let_go(pool);
    return result;
}

} // namespace

int pf_pool_new(pf_pool **ret_pool) {
    if (ret_pool == nullptr) {
        return -EINVAL;
    }
    pf_pool *pool = base::make<pf_pool>();
    if (pool == nullptr) {
        return -ENOMEM;
    }
    pool->resources = base::make<os::WorkerResources>();
    if (pool->resources == nullptr) {
        base::destroy(pool);
        return -ENOMEM;
    }
    pool->owner = os::own_process_id();
    pool->options.resources = pool->resources;
    pool->options.settings.workers = 0; // as many as processors
    *ret_pool = pool;
    return 0;
}

pf_pool *pf_pool_free(pf_pool *pool) {
    if (pool == nullptr) {
        return nullptr;
    }
    const bool ours = os::is_this_process(pool->owner);
    if (ours ? prefork::api::hold(pool) < 0 : pool->is_being_freed || pool->pool.is_in_callback()) {
        return pool; // also while a free_user function of this pool runs
    }
    if (ours) {
        pool->is_being_freed = true;
        pool->event_data.release();
        if (os::is_this_process(pool->owner)) { // that function may have forked
            pool->worker_data.release();
        }
    }
    if (!os::is_this_process(pool->owner)) { // and this one
        pool->pool.disown();
    }
    end(&pool->pool); // until then no upgrade goes past it
    prefork::api::unlist(pool);
    os::drop(pool->resources);
    base::destroy(pool);
    return nullptr;
}

int pf_pool_run(pf_pool *pool, int *ret_task_id) {
    if (pool == nullptr || ret_task_id == nullptr) {
        return -EINVAL;
    }
    if (!is_supervisor(pool)) {
        return -ECHILD;
    }
    if (pool->holder == Holder::call) {
        return -EBUSY;
    }
    if (pool->stage == Stage::ended || pool->options.dispatched) {
        return -EALREADY;
    }
    if (pool->options.host_fork) {
        return -EINVAL;
    }
    int task_id = -1;
    if (pool->stage == Stage::settings) {
        if (int r = os::claim_identity(pool->resources->pool_name(), &task_id); r != 0) {
            return r < 0 ? r : be_worker(pool, task_id, ret_task_id);
        }
    }
    if (int r = pool->stage == Stage::settings ? start(pool) : prefork::api::hold(pool); r < 0) {
        return r;
    }
    const int result = settle(pool, pool->pool.run(&task_id));
    if (result == 0) {
        *ret_task_id = task_id;
    }
    return result;
}

int pf_pool_start(pf_pool *pool) {
    if (pool == nullptr) {
        return -EINVAL;
    }
    if (!is_supervisor(pool)) {
        return -ECHILD;
    }
    if (pool->stage != Stage::settings) {
        return -EALREADY;
    }
    if (pool->holder == Holder::call) {
        return -EBUSY; // it is being freed
    }
    // A host that forks needs the events that say when.
    const bool has_way = pool->options.host_fork
                             ? pool->options.on_event == nullptr && pool->options.exec == nullptr
                             : pool->options.worker != nullptr || pool->options.exec != nullptr;
    if (!has_way) {
        return -EINVAL;
    }
    if (int r = os::may_supervise(); r < 0) {
        return r;
    }
    pool->options.dispatched = true;
    const int result = start(pool);
    pool->options.dispatched = result == 0;
    if (result == 0) {
        prefork::api::let_go(pool);
    }
    return result;
}

int pf_pool_fd(const pf_pool *pool) {
    const int result = check_started(pool);
    return result < 0 ? result : pool->pool.descriptor();
}

int pf_pool_dispatch(pf_pool *pool, int timeout_ms) {
    if (int r = check_started(pool); r < 0) {
        return r;
    }
    if (timeout_ms < -1 || !pool->options.dispatched) {
        return -EINVAL;
    }
    if (int r = prefork::api::hold(pool); r < 0) {
        return r;
    }
    if (pool->stage == Stage::ended) {
        prefork::api::let_go(pool);
        return pool->result;
    }
    return settle(pool, pool->pool.dispatch(timeout_ms));
}

int pf_pool_next_event(pf_pool *pool, const pf_event **ret_event) {
    if (int r = check_started(pool); r < 0) {
        return r;
    }
    if (ret_event == nullptr) {
        return -EINVAL;
    }
    const Hold held(pool);
    if (pool->options.on_event != nullptr || !pool->options.dispatched ||
        !pool->pool.next_event(&pool->event)) {
        return 0;
    }
    *ret_event = &pool->event;
    return 1;
}

int pf_pool_resize(pf_pool *pool, int count) {
    if (int r = check_running(pool); r < 0) {
        return r;
    }
    if (count < 1 || count > static_cast<int>(core::workers_max)) {
        return -EINVAL;
    }
    const Hold held(pool);
    return pool->pool.resize(static_cast<uint32_t>(count));
}

int pf_pool_replace_worker(pf_pool *pool, int task_id) {
    if (int r = check_running(pool); r < 0) {
        return r;
    }
    const Hold held(pool);
    return is_slot(pool, task_id) ? pool->pool.restart(static_cast<uint32_t>(task_id)) : -EINVAL;
}

int pf_pool_stop_worker(pf_pool *pool, int task_id) {
    if (int r = check_running(pool); r < 0) {
        return r;
    }
    const Hold held(pool);
    return is_slot(pool, task_id) ? pool->pool.stop_worker(static_cast<uint32_t>(task_id))
                                  : -EINVAL;
}

int pf_pool_send_signal(pf_pool *pool, int task_id, int signal) {
    if (int r = check_running(pool); r < 0) {
        return r;
    }
    const Hold held(pool);
    if (!os::is_signal_or_none(signal) || (task_id != -1 && !is_slot(pool, task_id))) {
        return -EINVAL;
    }
    if (task_id == -1) {
        return pool->pool.signal_all(signal);
    }
    return pool->pool.signal(static_cast<uint32_t>(task_id), signal);
}

int pf_pool_worker_count(const pf_pool *pool) {
    const int result = check_started(pool);
    return result < 0 ? result : static_cast<int>(pool->pool.supervisor().slots());
}

int pf_pool_alive_count(const pf_pool *pool) {
    const int result = check_started(pool);
    return result < 0 ? result : static_cast<int>(pool->pool.supervisor().alive());
}

int32_t pf_pool_worker_pid(const pf_pool *pool, int task_id) {
    if (int r = check_slot(pool, task_id); r < 0) {
        return r;
    }
    return worker_of(pool, task_id).pid;
}

int pf_pool_worker_state(const pf_pool *pool, int task_id) {
    if (int r = check_slot(pool, task_id); r < 0) {
        return r;
    }
    switch (worker_of(pool, task_id).state) {
    case State::empty:
        return PF_WORKER_EMPTY;
    case State::waiting:
    case State::requested:
    case State::starting:
    case State::running:
        return PF_WORKER_STARTING;
    case State::ready:
        return PF_WORKER_READY;
    case State::aborting:
    case State::stopping:
    case State::killing:
    case State::abandoned:
        return PF_WORKER_STOPPING;
    case State::backing_off:
        return PF_WORKER_BACKOFF;
    case State::done:
        return PF_WORKER_DONE;
    }
    return PF_WORKER_EMPTY;
}

int pf_pool_worker_restarts(const pf_pool *pool, int task_id) {
    const int result = check_slot(pool, task_id);
    return result < 0 ? result : pool->pool.supervisor().restarts(static_cast<uint32_t>(task_id));
}

uint64_t pf_pool_worker_uptime_ms(const pf_pool *pool, int task_id) {
    if (check_slot(pool, task_id) < 0 || !core::is_alive(worker_of(pool, task_id).state)) {
        return 0;
    }
    return base::elapsed(worker_of(pool, task_id).started, os::now()) / base::millisecond;
}

uint64_t pf_pool_counter(const pf_pool *pool, int which) {
    if (check_started(pool) < 0 || which < PF_COUNT_STARTED || which > PF_COUNT_SPARES) {
        return 0;
    }
    return pool->pool.supervisor().counter(static_cast<core::Counter>(which));
}

int pf_pool_stop_signal(const pf_pool *pool) {
    const int result = check_started(pool);
    return result < 0 ? result : pool->pool.supervisor().stop_signal();
}
