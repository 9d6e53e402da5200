// The one call: Tornado's contract as a small client of a pool.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "api/event_callback.h"
#include "api/pool.h"
#include "base/heap_object.h"
#include "os/cpu/processors.h"
#include "os/process/process_id.h"
#include "os/process/threads.h"
#include "os/service/process_end.h"
#include "os/spawn/identity.h"
#include "os/spawn/worker_process.h"
#include "prefork.h"
#include "runtime/pool.h"

using prefork::os::SignalSet;
using prefork::runtime::Pool;
using prefork::runtime::PoolOptions;
namespace base = prefork::base;
namespace core = prefork::core;
namespace os = prefork::os;

static_assert(PF_EGAVEUP == base::code_gave_up && PF_ETHREADS == base::code_threads);
static_assert(PF_UNLIMITED == core::restarts_unlimited);

namespace {

constexpr int32_t init_pid = 1;

// The pool of the call under way. A worker keeps the pointer, and with it the memory, for releasing
// it would cost more than it is worth.
Pool *pool_of_call = nullptr;

// In the supervisor, at the end: returns a negative code, or not at all.
int end_call(int result) {
    const int signal = pool_of_call->supervisor().stop_signal();
    base::destroy(pool_of_call);
    pool_of_call = nullptr;
    if (signal != 0) {
        os::die_of(signal);
    }
    if (result == 0) {
        os::exit_normally();
    }
    return result;
}

// Runs the pool to its end. Returns the task id in a worker.
int run_to_the_end() {
    int task_id = -1;
    const int result = pool_of_call->run(&task_id);
    if (task_id >= 0) {
        return task_id;
    }
    return result == -ECHILD ? result : end_call(result);
}

} // namespace

bool prefork::api::is_in_fork_processes() {
    return pool_of_call != nullptr && pool_of_call->is_of_this_process();
}

int pf_fork_processes(int num_processes, int max_restarts) {
    if (num_processes > static_cast<int>(core::workers_max)) {
        return -EINVAL;
    }
    // Its pool is the one without a name.
    int task_id = -1;
    if (int r = os::claim_identity("", &task_id); r != 0) {
        return r < 0 ? r : task_id;
    }
    if (os::is_worker()) {
        return -EALREADY;
    }
    if (prefork::api::is_in_fork_processes()) {
        return -EBUSY;
    }
    if (os::has_lasting_threads()) {
        return PF_ETHREADS;
    }
    PoolOptions options;
    options.settings.workers = num_processes > 0 ? static_cast<uint32_t>(num_processes) : 0;
    options.settings.max_restarts = max_restarts < 0 ? core::restarts_default : max_restarts;
    options.on_event = prefork::api::event_callback.function;
    options.event_user = prefork::api::event_callback.user;
    options.signals = SignalSet::stops;
    // The host's own children are the host's, as it may have forked some before.
    options.reap_orphans = os::own_pid() == init_pid ? os::ReapMode::adopted : os::ReapMode::none;

    Pool *pool = base::make<Pool>();
    if (pool == nullptr) {
        return -ENOMEM;
    }
    if (int r = prefork::api::open_pool("", &options, pool); r < 0) {
        base::destroy(pool);
        return r;
    }
    os::restore_held_mask();
    pool_of_call = pool;
    return run_to_the_end();
}

int pf_task_id(void) { return os::task_id(); }

int pf_cpu_count(void) { return os::processor_count(); }
