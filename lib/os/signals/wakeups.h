// Waking every pool of the process from a signal handler.
//
// SPDX-License-Identifier: MIT
#pragma once

namespace prefork::os {

// Pools that run at the same time in one process.
inline constexpr int wakeups_max = 1024;

// Adds an eventfd, or the write end of a pipe. Returns 0 or -ENOSPC.
[[nodiscard]] int add_wakeup(int descriptor);
// Once it returns the descriptor may be closed: no handler in any thread writes to it any more.
void remove_wakeup(int descriptor);

// Makes one, or all of them, readable. Async-signal-safe.
void wake(int descriptor);
void wake_all();

} // namespace prefork::os
