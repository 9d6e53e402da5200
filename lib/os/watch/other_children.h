// Reaping the children of this process that are no workers, where nobody else waits for them.
//
// SPDX-License-Identifier: MIT
#pragma once

namespace prefork::os {

// How many are reaped before other work gets its turn: processes may end faster than they are
// reaped. Who stops there wakes all pools, which then reap the others.
inline constexpr int reaped_per_round = 1000;

// Reaps those that have ended, up to the first that may be a worker. Returns whether there was
// such a one, which hides those behind it. Async-signal-safe.
bool reap_up_to_worker();

// Reaps all of them that have ended.
void reap_other_children();

} // namespace prefork::os
