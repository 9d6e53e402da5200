// How many times this process and its ancestors became workers of a pool, or left one that they
// were forked from. Tables of an earlier generation describe what a new worker has closed or given
// back.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

// Never 0.
uint32_t generation();

// In a new process, while it has one thread. Async-signal-safe.
void begin_generation();

} // namespace prefork::os
