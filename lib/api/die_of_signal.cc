// SPDX-License-Identifier: MIT
#include <errno.h>

#include "os/service/process_end.h"
#include "os/signals/signals.h"
#include "prefork.h"

int pf_die_of_signal(int signal) {
    if (!prefork::os::ends_a_process(signal)) {
        return -EINVAL;
    }
    prefork::os::die_of(signal);
}
