// SPDX-License-Identifier: MIT
#include "os/watch/epoll.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/stat.h>

namespace prefork::os {

namespace {

// The kernel refuses the others with the error that a filter would have.
bool is_of_a_kind_that_can_be_registered(int descriptor) {
    struct stat status {};
    return fstat(descriptor, &status) != 0 || S_ISFIFO(status.st_mode) ||
           S_ISSOCK(status.st_mode) || (status.st_mode & S_IFMT) == 0;
}

} // namespace

bool set_registered(int epoll, int descriptor, uint32_t events, uint32_t number) {
    epoll_event event{};
    event.events = events;
    event.data.u32 = number;
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) == 0) {
        return true;
    }
    if (errno == EPERM) {
        return is_of_a_kind_that_can_be_registered(descriptor);
    }
    return errno != EBADF && errno != EINVAL && errno != ENOENT;
}

} // namespace prefork::os
