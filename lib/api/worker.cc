// What a worker sends and receives, and what its pool gave it.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "os/channel/worker_link.h"
#include "os/service/daemon.h"
#include "os/spawn/identity.h"
#include "prefork.h"

namespace os = prefork::os;

int pf_worker_ready(void) {
    const os::WorkerLink *link = os::own_link();
    if (link == nullptr) {
        return -ECHILD;
    }
    if (link->is_spare) {
        return -EAGAIN;
    }
    os::worker_is_ready(); // before the launching process of a daemon can know
    return os::send_ready(*link);
}

int pf_worker_retire(void) {
    const os::WorkerLink *link = os::own_link();
    return link == nullptr ? -ECHILD : link->is_spare ? -EAGAIN : os::send_retire(*link);
}

int pf_worker_heartbeat(void) {
    const os::WorkerLink *link = os::own_link();
    return link == nullptr ? -ECHILD : link->is_spare ? 0 : os::send_heartbeat(*link);
}

int pf_worker_stop_fd(void) {
    const os::WorkerLink *link = os::own_link();
    return link == nullptr ? -ECHILD : os::stop_descriptor(*link);
}

int pf_worker_fd(const char *name) {
    return name == nullptr ? -EINVAL : os::worker_descriptor(name);
}

const char *pf_worker_pool_name(void) { return os::worker_pool(); }
