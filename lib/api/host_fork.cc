// Around a fork of the host's, in both processes.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "api/pool.h"
#include "base/codes.h"
#include "base/worker_array.h"
#include "os/process/process_id.h"
#include "prefork.h"

using prefork::api::check_started;
using prefork::api::Hold;
using prefork::api::Stage;
namespace base = prefork::base;
namespace core = prefork::core;
namespace os = prefork::os;

namespace {

constexpr int32_t errno_max = 4095;

// Also for a slot that a resize has removed meanwhile.
bool asks_for_forks(const pf_pool *pool, int task_id) {
    const bool asks = pool->options.host_fork && pool->stage != Stage::settings;
    return asks && (task_id == base::task_spare ||
                    (task_id >= 0 && static_cast<uint32_t>(task_id) <
                                         pool->pool.supervisor().capacity() / core::instances));
}

int answer(pf_pool *pool, int task_id, int32_t pid) {
    const bool valid = pid != 0 && (pid >= -errno_max || pid == PF_ETHREADS);
    return valid && asks_for_forks(pool, task_id) ? pool->pool.fork_parent(task_id, pid) : -EINVAL;
}

int become_worker(pf_pool *pool, int task_id) {
    if (!asks_for_forks(pool, task_id)) {
        return -EINVAL;
    }
    if (pool->stage == Stage::ended) {
        return pool->pool.finished() ? -ESRCH : -EALREADY;
    }
    pool->stage = Stage::ended; // in this process
    return pool->pool.fork_child(task_id);
}

} // namespace

int pf_pool_fork_prepare(pf_pool *pool, int task_id) {
    if (int r = check_started(pool); r < 0) {
        return r;
    }
    const Hold held(pool);
    return asks_for_forks(pool, task_id) ? pool->pool.fork_prepare(task_id) : -EINVAL;
}

int pf_pool_fork_parent(pf_pool *pool, int task_id, int32_t pid) {
    if (int r = check_started(pool); r < 0) {
        return r;
    }
    const Hold held(pool);
    const int result = answer(pool, task_id, pid);
    pool->pool.fork_done();
    return result;
}

int pf_pool_fork_child(pf_pool *pool, int task_id) {
    if (pool == nullptr || os::is_this_process(pool->owner)) {
        return -EINVAL;
    }
    const int result = become_worker(pool, task_id);
    pool->pool.fork_done();
    return result;
}
