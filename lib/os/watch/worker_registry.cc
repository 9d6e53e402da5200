// SPDX-License-Identifier: MIT
#include "os/watch/worker_registry.h"

#include <atomic>

#include "base/flag.h"
#include "os/process/process_id.h"
#include "os/process/process_lock.h"
#include "os/signals/wakeups.h"
#include "os/watch/children.h"

namespace prefork::os {

namespace {

// Guarded by the lock of the process, but for the counter, which is written with each start.
struct {
    ProcessId owner;
    const Children *pools[wakeups_max]; // nullptr: unused
    int pools_end;
} registry{};

// What a new worker writes. Not zero, so that it lies on the page of the other data that a worker
// writes.
struct {
    uint32_t is_not_zero;
    std::atomic<int32_t> starts;
    base::Flag postponed;
} counted = {1, {}, {}};

// A child has none of its parent's workers.
void forget_workers_of_parent() {
    const ProcessId own = own_process_id();
    if (registry.owner == own) {
        return;
    }
    registry.owner = own;
    counted.starts.store(0);
    for (int index = 0; index < registry.pools_end; index++) {
        registry.pools[index] = nullptr;
    }
    registry.pools_end = 0;
}

} // namespace

void register_workers(const Children *workers) {
    const ProcessLock lock;
    forget_workers_of_parent();
    int index = 0;
    while (index < wakeups_max && registry.pools[index] != nullptr) {
        index++;
    }
    if (index < wakeups_max) {
        registry.pools[index] = workers;
        registry.pools_end = index < registry.pools_end ? registry.pools_end : index + 1;
    }
}

void unregister_workers(const Children *workers) {
    const ProcessLock lock;
    for (int index = 0; index < registry.pools_end; index++) {
        if (registry.pools[index] == workers) {
            registry.pools[index] = nullptr;
        }
    }
}

void begin_starts() { counted.starts.fetch_add(1); }

void end_starts() {
    if (counted.starts.fetch_sub(1) == 1 && counted.postponed.exchange(0) != 0) {
        wake_all();
    }
}

bool is_no_worker(int32_t pid) {
    const ProcessLock lock;
    forget_workers_of_parent();
    if (counted.starts.load() > 0) {
        counted.postponed.store(1);
        if (counted.starts.load() > 0) { // else its end may have been missed
            return false;
        }
    }
    for (int index = 0; index < registry.pools_end; index++) {
        if (registry.pools[index] != nullptr && registry.pools[index]->knows(pid)) {
            return false;
        }
    }
    return true;
}

} // namespace prefork::os
