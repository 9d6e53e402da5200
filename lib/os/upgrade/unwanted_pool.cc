// SPDX-License-Identifier: MIT
#include "os/upgrade/unwanted_pool.h"

#include <unistd.h>

#include "os/channel/notify_socket.h"
#include "os/channel/record.h"
#include "os/fd/descriptor.h"
#include "os/fd/fd_identity.h"
#include "os/fd/pipe_write.h"

namespace prefork::os {

namespace {

// Workers see it where they wait for it, and are sent a signal besides.
void write_stop(int stop_end) {
    const Command stop{CommandKind::stop, 0, {}, 0};
    if (stop_end >= 0 && is_pipe(stop_end)) {
        (void)write_without_sigpipe(stop_end, &stop, sizeof(stop));
    }
}

} // namespace

void close_handed_over(int descriptor) {
    if (descriptor >= 0) {
        forget_descriptor(descriptor);
        close(descriptor);
    }
}

void close_unwanted_pool(const UpgradePoolView &view) {
    UpgradePool pool = view.pool;
    NotifySocket notifications; // removes its file, too
    if (notifications.adopt(pool.notifications) == 0) {
        pool.notifications.socket = -1;
        pool.notifications.place = -1;
    }
    for (uint32_t worker = 0; worker < pool.worker_count; worker++) {
        const int stop_end = view.worker(worker).channel.stop_end;
        write_stop(stop_end);
        close_handed_over(stop_end);
    }
    for (const int descriptor : pool.descriptors()) {
        close_handed_over(descriptor);
    }
}

} // namespace prefork::os
