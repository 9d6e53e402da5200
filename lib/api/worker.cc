// What a worker can say and hear.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "os/cells.h"
#include "os/worker_process.h"
#include "prefork.h"

namespace os = prefork::os;

int pf_worker_ready(void) {
    const os::Post *post = os::own_post();
    return post == nullptr ? -ECHILD : os::say_ready(*post);
}

int pf_worker_heartbeat(void) { return os::beat(); }

int pf_worker_stop_fd(void) {
    const os::Post *post = os::own_post();
    return post == nullptr ? -ECHILD : os::stop_descriptor(*post);
}
