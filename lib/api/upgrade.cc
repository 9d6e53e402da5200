// Another program in the place of this one, which goes on with its workers.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "api/pool.h"
#include "os/process/clock.h"
#include "os/process/process_id.h"
#include "os/process/process_lock.h"
#include "os/process/threads.h"
#include "os/signals/signals.h"
#include "os/spawn/program.h"
#include "os/upgrade/execute.h"
#include "os/upgrade/handed_over.h"
#include "prefork.h"

using prefork::api::Holder;
using prefork::api::is_supervisor;
using prefork::api::Stage;
namespace os = prefork::os;

namespace {

// All of this is written under the lock of the process.
pf_pool *first_pool = nullptr;      // of those that start or have started, also those of a parent
pf_pool *first_held = nullptr;      // by the upgrade, in which only the main thread uses the list
os::ProcessId upgraded_process = 0; // in an upgrade, which a child does not share

[[nodiscard]] bool hold_for(Holder holder, pf_pool *pool) {
    Holder none = Holder::none;
    return pool->holder.compare_exchange_strong(none, holder);
}

// While it lives no other thread is in a call that changes a pool, nor is this one.
class AllPools {
  public:
    [[nodiscard]] int enter() {
        const os::ProcessLock lock;
        upgraded_process = os::own_process_id();
        first_held = nullptr; // in a child, its parent's
        pf_pool **end = &first_held;
        for (pf_pool *pool = first_pool; pool != nullptr; pool = pool->next) {
            if (!is_supervisor(pool) || pool->stage == Stage::ended) {
                continue;
            }
            if (!hold_for(Holder::upgrade, pool)) {
                return -EBUSY;
            }
            pool->next_held = nullptr;
            *end = pool;
            end = &pool->next_held;
        }
        return 0;
    }
    ~AllPools() {
        const os::ProcessLock lock; // until then nobody frees them
        upgraded_process = 0;
        for (pf_pool *pool = first_held; pool != nullptr; pool = pool->next_held) {
            prefork::api::let_go(pool);
        }
    }
    AllPools() = default;
    AllPools(const AllPools &) = delete;
    AllPools &operator=(const AllPools &) = delete;
};

// Returns a negative errno, or not at all.
int execute(const os::Program &program) {
    os::SignalBlock block;
    for (pf_pool *pool = first_held; pool != nullptr; pool = pool->next_held) {
        if (int r = pool->pool.prepare_upgrade(); r < 0) {
            return r;
        }
    }
    os::UpgradeWriter writer;
    const sigset_t *held = os::held_mask(); // by an upgrade before this one
    writer.open(held != nullptr ? *held : block.host_mask());
    for (pf_pool *pool = first_held; pool != nullptr; pool = pool->next_held) {
        pool->pool.announce_upgrade(true);
        pool->pool.hand_over(pool->resources->pool_name(), &writer);
    }
    const int result = os::execute_upgrade(program, &writer);
    for (pf_pool *pool = first_held; pool != nullptr; pool = pool->next_held) {
        pool->pool.announce_upgrade(false);
    }
    return result;
}

} // namespace

int prefork::api::hold(pf_pool *pool, Holder holder) {
    while (!hold_for(holder, pool)) {
        const Holder other = pool->holder;
        if (other == Holder::call || (other == Holder::upgrade && os::is_main_thread())) {
            return -EBUSY;
        }
        os::sleep_for_a_moment();
    }
    return 0;
}

int prefork::api::hold_and_list(pf_pool *pool) {
    for (;;) {
        {
            const os::ProcessLock lock;
            if (!os::is_this_process(upgraded_process)) {
                if (!hold_for(Holder::call, pool)) {
                    return -EBUSY;
                }
                pool->next = first_pool;
                first_pool = pool;
                return 0;
            }
        }
        if (os::is_main_thread()) {
            return -EBUSY; // the upgrade is around this call
        }
        os::sleep_for_a_moment();
    }
}

void prefork::api::unlist(pf_pool *pool) {
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
    if (prefork::api::is_in_fork_processes() || os::is_this_process(upgraded_process)) {
        return -EBUSY; // also in a function of the host's that writes a stream
    }
    AllPools pools;
    const int result = pools.enter();
    return result < 0 ? result : execute(program);
}
