// The workers of all pools of this process, so that code that reaps other children skips them.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

class Children;

// From its opening to its end, with the same address. There is room for as many as wakeups.
void register_workers(const Children *workers);
void unregister_workers(const Children *workers);

// Around forks, up to the time when the new workers are known: a child meanwhile may be one.
void begin_starts();
void end_starts();

// Whether an ended child is certainly no worker of any pool. If that cannot be known for a start
// that is under way, all pools are woken when that is over.
bool is_no_worker(int32_t pid);

} // namespace prefork::os
