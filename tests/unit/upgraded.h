// A supervisor whose program is replaced, driven by hand.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "supervised.h"

namespace tests {

// Replaces the supervisor's memory: a second one goes on with what the first one says of itself.
inline bool upgrade(const Supervised &old, Supervised *fresh, uint32_t workers,
                    Settings settings = {}) {
    const PoolSnapshot pool = old.core.snapshot();
    std::vector<SlotSnapshot> slots;
    uint32_t count = old.core.capacity() / instances;
    for (uint32_t slot = 0; slot < count; slot++) {
        slots.push_back(old.core.snapshot(slot));
    }
    std::vector<WorkerSnapshot> spares;
    for (uint32_t place = 0; place < old.core.spare_places(); place++) {
        spares.push_back(old.core.worker_snapshot(prefork::base::first_spare + place));
    }
    settings.workers = workers;
    fresh->now = old.now;
    fresh->next_pid = old.next_pid;
    if (!fresh->core.open(settings) || !fresh->core.reserve(count, old.core.spare_places())) {
        return false;
    }
    fresh->core.adopt(pool, slots, spares, fresh->now);
    return fresh->core.audit() && !fresh->core.broken();
}

} // namespace tests
