// What the former program of this process has handed over: found when the library is loaded.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <signal.h>

#include "os/upgrade/reader.h"

namespace prefork::os {

struct HandedPool {
    UpgradePoolView view;
    bool is_claimed; // both are written under the lock of the process
    bool is_adopted; // by its claimant
};

// 0, or a negative errno if it cannot be read: then no pool may start, or two would serve. The
// workers end with this process.
[[nodiscard]] int handed_over_error();

// Claims the pool of that name that nobody has claimed; nullptr: there is none.
[[nodiscard]] HandedPool *claim_handed_pool(const char *name);
// The claimant has adopted it: the workers and the descriptors are its own.
void note_adopted(HandedPool *pool);
// Gives it back if it was not adopted. nullptr: there was none.
void end_claim(HandedPool *pool);

// The signals that the former program had not blocked are blocked in each thread until its first
// pool has its handlers. The mask to be restored in this thread; nullptr: there is none. After the
// first thread another one has a mask of its own unless that still blocks all. Once the main thread
// has the mask, others inherit it.
[[nodiscard]] const sigset_t *held_mask();
// The first pool of this thread has its handlers.
void restore_held_mask();

// A pool is about to wait. What nobody has claimed by then nobody will.
[[nodiscard]] bool has_unclaimed();
// Whether there are pools among that, or workers of some, or a pool that its claimant has not
// adopted yet. Sockets alone may be lost.
[[nodiscard]] bool has_unclaimed_pools();
// How many workers nobody has claimed.
[[nodiscard]] uint32_t unclaimed_count();
// Pops one of them, once all its pool's descriptors but the pidfd are closed; returns false, and
// ends the time for claims, if there is none any more.
bool pop_unclaimed(UpgradeProcess *ret_process);

} // namespace prefork::os
