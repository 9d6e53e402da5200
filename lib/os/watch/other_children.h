// Reaping the children of this process that are no workers, where nobody else waits for them.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <sys/wait.h>

#include "os/signals/wakeups.h"

namespace prefork::os {

// How many are reaped before other work gets its turn: processes may end faster than they are
// reaped.
inline constexpr int reaped_per_round = 1000;

// Reaps children that have ended, up to the first that is spared. Returns whether there was such a
// one, which hides those behind it. After a full round it wakes all pools, which reap the others.
// Async-signal-safe, if is_spared is.
template <typename IsSpared>
bool reap_up_to_spared(const IsSpared &is_spared) {
    for (int count = 0; count < reaped_per_round; count++) {
        siginfo_t info{};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) {
            return false;
        }
        if (is_spared(info.si_pid)) {
            return true;
        }
        wait4(info.si_pid, nullptr, WNOHANG, nullptr);
    }
    wake_all();
    return false;
}

// Reaps those that have ended, up to the first that may be a worker. Returns whether there was
// such a one, which hides those behind it. Async-signal-safe.
bool reap_up_to_worker();

// Reaps all of them that have ended.
void reap_other_children();

} // namespace prefork::os
