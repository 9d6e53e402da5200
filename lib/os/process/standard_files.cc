// SPDX-License-Identifier: MIT
#include "os/process/standard_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "os/fd/open_file.h"

namespace prefork::os {

namespace {

struct {
    bool was_open;
    OpenFile file;
} at_load[STDERR_FILENO + 1];

} // namespace

void note_standard_files() {
    for (int descriptor = 0; descriptor <= STDERR_FILENO; descriptor++) {
        at_load[descriptor].was_open = look_at(descriptor, &at_load[descriptor].file);
    }
}

bool was_open_at_load(int descriptor) {
    return descriptor >= 0 && descriptor <= STDERR_FILENO && at_load[descriptor].was_open;
}

bool is_standard_file(int descriptor, const struct stat &status) {
    if (!was_open_at_load(descriptor)) {
        return false;
    }
    const OpenFile &file = at_load[descriptor].file;
    if (status.st_dev == file.device && status.st_ino == file.inode) {
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

} // namespace prefork::os
