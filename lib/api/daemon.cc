// SPDX-License-Identifier: MIT
#include "os/service/daemon.h"
#include "os/process/threads.h"
#include "os/spawn/identity.h"
#include "os/spawn/worker_process.h"
#include "prefork.h"

namespace os = prefork::os;

int pf_daemonize(const char *pid_file) {
    if (os::is_worker()) {
        return 0;
    }
    if (int r = os::may_supervise(); r < 0) {
        return r;
    }
    return os::has_lasting_threads() ? PF_ETHREADS : os::daemonize(pid_file);
}

int pf_daemon_ready(void) { return os::daemon_ready(); }
