// What a worker can say and hear, and what it was given.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "os/cells.h"
#include "os/identity.h"
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

int pf_worker_fd(const char *name) {
    return name == nullptr ? -EINVAL : os::worker_descriptor(name);
}

const char *pf_worker_pool(void) { return os::worker_pool(); }
