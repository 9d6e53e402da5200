// SPDX-License-Identifier: MIT
#include "os/fd/pidfd.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace prefork::os {

bool has_ended(int pidfd) {
    pollfd ended{};
    ended.fd = pidfd;
    ended.events = POLLIN;
    return poll(&ended, 1, 0) > 0 && (ended.revents & (POLLIN | POLLHUP)) != 0;
}

bool is_pidfd(int descriptor) {
    return descriptor >= 0 &&
           (syscall(SYS_pidfd_send_signal, descriptor, 0, nullptr, 0) == 0 || errno != EBADF);
}

int Pidfd::open(int32_t pid) { return adopt(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

} // namespace prefork::os
