// SPDX-License-Identifier: MIT
#include "os/process/standard_files.h"

#include <fcntl.h>
#include <initializer_list>
#include <stdio.h>
#include <unistd.h>

#include "os/fd/borrowed_fd.h"

namespace prefork::os {

namespace {

BorrowedFd at_load[STDERR_FILENO + 1];

} // namespace

void note_standard_files() {
    for (int descriptor = 0; descriptor <= STDERR_FILENO; descriptor++) {
        (void)at_load[descriptor].borrow(descriptor);
    }
}

bool was_open_at_load(int descriptor) {
    return descriptor >= 0 && descriptor <= STDERR_FILENO && at_load[descriptor].get() >= 0;
}

bool is_standard_file(int descriptor, const struct stat &status) {
    if (!was_open_at_load(descriptor)) {
        return false;
    }
    if (at_load[descriptor].identity() == FdIdentity{status.st_dev, status.st_ino}) {
        return true;
    }
    const int flags = fcntl(descriptor, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

bool is_standard_file(int descriptor) {
    struct stat status {};
    return fstat(descriptor, &status) == 0 && is_standard_file(descriptor, status);
}

void flush_stdio() { fflush(nullptr); }

void flush_standard_output() {
    for (FILE *stream : {stdout, stderr}) {
        if (ftrylockfile(stream) == 0) {
            fflush(stream);
            funlockfile(stream);
        }
    }
}

} // namespace prefork::os
