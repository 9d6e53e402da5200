// SPDX-License-Identifier: MIT
#include "os/fd/poll.h"

#include <errno.h>
#include <time.h>

namespace prefork::os {

int poll_or_sleep(pollfd *descriptors, nfds_t count, int timeout_ms) {
    const int ready = poll(descriptors, count, timeout_ms);
    if (ready >= 0 || errno == EINTR) {
        return ready;
    }
    constexpr timespec moment = {0, 10'000'000};
    nanosleep(&moment, nullptr);
    for (nfds_t index = 0; index < count; index++) {
        descriptors[index].revents = 0;
    }
    return 0;
}

} // namespace prefork::os
