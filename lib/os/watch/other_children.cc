// SPDX-License-Identifier: MIT
#include "os/watch/other_children.h"

#include <cstdint>
#include <sys/wait.h>

#include "os/signals/wakeups.h"
#include "os/watch/child_list.h"
#include "os/watch/worker_registry.h"

namespace prefork::os {

namespace {

constexpr int32_t first_pid = 2; // after PID 1

} // namespace

bool reap_up_to_worker() {
    for (int count = 0; count < reaped_per_round; count++) {
        siginfo_t info{};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) {
            return false;
        }
        if (!is_no_worker(info.si_pid)) {
            return true;
        }
        wait4(info.si_pid, nullptr, WNOHANG, nullptr);
    }
    wake_all();
    return false;
}

void reap_other_children() {
    if (!reap_up_to_worker()) {
        return;
    }
    // The worker stays, and the kernel would show it again and again.
    ChildList children;
    if (!(has_own_proc() ? children.read() : children.probe(first_pid))) {
        return;
    }
    for (uint32_t index = 0; index < children.count(); index++) {
        if (is_no_worker(children[index])) {
            wait4(children[index], nullptr, WNOHANG, nullptr);
        }
    }
}

} // namespace prefork::os
