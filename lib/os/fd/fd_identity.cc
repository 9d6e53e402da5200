// SPDX-License-Identifier: MIT
#include "os/fd/fd_identity.h"

#include <errno.h>
#include <sys/stat.h>

namespace prefork::os {

bool FdIdentity::capture(int descriptor) {
    struct stat status {};
    if (fstat(descriptor, &status) != 0) {
        return false;
    }
    *this = {status.st_dev, status.st_ino};
    return true;
}

bool FdIdentity::matches(int descriptor) const {
    FdIdentity now;
    return now.capture(descriptor) ? now == *this : errno != EBADF;
}

bool is_pipe(int descriptor) {
    struct stat status {};
    return fstat(descriptor, &status) == 0 ? S_ISFIFO(status.st_mode) : errno != EBADF;
}

} // namespace prefork::os
