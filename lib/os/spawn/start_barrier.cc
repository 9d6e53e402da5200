// SPDX-License-Identifier: MIT
#include "os/spawn/start_barrier.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

namespace prefork::os {

void StartBarrier::release() const {
    const char byte = 0;
    (void)!write(pipe_.write_end(), &byte, sizeof(byte)); // fails only if the worker has ended
}

bool wait_at_barrier(int waiting_end, int supervisor_pidfd) {
    pollfd both[2] = {};
    both[0].fd = waiting_end;
    both[0].events = POLLIN;
    both[1].fd = supervisor_pidfd;
    both[1].events = POLLIN;
    while (poll(both, 2, -1) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    char byte = 0;
    return (both[0].revents & POLLIN) != 0 && read(waiting_end, &byte, 1) == 1;
}

} // namespace prefork::os
