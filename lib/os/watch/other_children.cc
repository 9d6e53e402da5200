// SPDX-License-Identifier: MIT
#include "os/watch/other_children.h"

#include "os/watch/child_list.h"
#include "os/watch/worker_registry.h"

namespace prefork::os {

bool reap_up_to_worker() {
    return reap_up_to_spared([](int32_t pid) { return !is_no_worker(pid); });
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
