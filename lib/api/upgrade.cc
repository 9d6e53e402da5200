// Another program in the place of this one, which goes on with its workers.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "api/pool.h"
#include "os/process/process_lock.h"
#include "os/signals/signals.h"
#include "os/spawn/program.h"
#include "os/upgrade/execute.h"
#include "os/upgrade/handed_over.h"
#include "prefork.h"

using prefork::api::is_supervisor;
using prefork::api::Stage;
namespace os = prefork::os;

namespace {

pf_pool *first_pool = nullptr; // of those that have started, also those of a parent process

// Applies a function to each pool that runs in this process, until one returns a negative errno.
template <typename Function>
int for_each_running(Function function) {
    for (pf_pool *pool = first_pool; pool != nullptr; pool = pool->next) {
        if (is_supervisor(pool) && pool->stage == Stage::running) {
            if (int r = function(pool); r < 0) {
                return r;
            }
        }
    }
    return 0;
}

// While it lives no other thread is in a call that runs a pool, nor is this one.
class AllPools {
  public:
    [[nodiscard]] int enter() {
        const os::ProcessLock lock;
        return for_each_running([](pf_pool *pool) {
            if (pool->working.exchange(true)) {
                return -EBUSY;
            }
            pool->entered_for_upgrade = true;
            return 0;
        });
    }
    ~AllPools() {
        const os::ProcessLock lock;
        for (pf_pool *pool = first_pool; pool != nullptr; pool = pool->next) {
            if (pool->entered_for_upgrade) {
                pool->entered_for_upgrade = false;
                pool->working = false;
            }
        }
    }
    AllPools() = default;
    AllPools(const AllPools &) = delete;
    AllPools &operator=(const AllPools &) = delete;
};

// Returns a negative errno, or not at all.
int execute(const os::Program &program) {
    os::SignalBlock block;
    if (int r = for_each_running([](pf_pool *pool) { return pool->pool.prepare_upgrade(); });
        r < 0) {
        return r;
    }
    os::UpgradeWriter writer;
    const sigset_t *held = os::held_mask(); // by an upgrade before this one
    writer.open(held != nullptr ? *held : block.host_mask());
    (void)for_each_running([&writer](pf_pool *pool) {
        pool->pool.announce_upgrade(true);
        pool->pool.hand_over(pool->resources->pool_name(), &writer);
        return 0;
    });
    const int result = os::execute_upgrade(program, &writer);
    (void)for_each_running([](pf_pool *pool) {
        pool->pool.announce_upgrade(false);
        return 0;
    });
    return result;
}

} // namespace

void prefork::api::add_pool(pf_pool *pool) {
    const os::ProcessLock lock;
    pool->next = first_pool;
    first_pool = pool;
}

void prefork::api::remove_pool(pf_pool *pool) {
    const os::ProcessLock lock;
    pf_pool **place = &first_pool;
    while (*place != nullptr && *place != pool) {
        place = &(*place)->next;
    }
    if (*place != nullptr) {
        *place = pool->next;
    }
}

int pf_upgrade(const char *path, const char *const *argv, const char *const *envp) {
    os::Program program;
    if (int r = program.choose(path, argv, envp); r < 0) {
        return r;
    }
    if (int r = os::check_upgrade(program); r < 0) {
        return r;
    }
    if (prefork::api::is_in_fork_processes()) {
        return -EBUSY;
    }
    AllPools pools;
    const int result = pools.enter();
    return result < 0 ? result : execute(program);
}
