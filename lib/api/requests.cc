// What any thread and any signal handler may ask of a pool.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "api/pool.h"
#include "os/signals/pool_signals.h"
#include "prefork.h"

using prefork::api::check_started;
using prefork::api::Stage;
namespace os = prefork::os;

int prefork::api::check_started(const pf_pool *pool) {
    if (pool == nullptr) {
        return -EINVAL;
    }
    if (!is_supervisor(pool)) {
        return -ECHILD;
    }
    return pool->stage == Stage::settings ? -EINVAL : 0;
}

int pf_pool_stop(pf_pool *pool) {
    const int result = check_started(pool);
    if (result == 0 && pool->stage == Stage::running) {
        pool->pool.request_stop();
    }
    return result;
}

int pf_pool_kill(pf_pool *pool) {
    const int result = check_started(pool);
    if (result == 0 && pool->stage == Stage::running) {
        pool->pool.request_kill();
    }
    return result;
}

int pf_pool_reload(pf_pool *pool) {
    const int result = check_started(pool);
    if (result == 0 && pool->stage == Stage::running) {
        pool->pool.request_reload();
    }
    return result;
}

int pf_pool_wake(pf_pool *pool) {
    const int result = check_started(pool);
    if (result == 0 && pool->stage == Stage::running) {
        pool->pool.wake();
    }
    return result;
}

int pf_pool_handle_signal(pf_pool *pool, int signal) {
    if (int r = check_started(pool); r < 0) {
        return r;
    }
    const int index = os::standard_index(signal);
    if (index < 0) {
        return -EINVAL;
    }
    if (pool->stage == Stage::running) {
        pool->pool.request_signal(static_cast<uint32_t>(index));
    }
    return 0;
}
