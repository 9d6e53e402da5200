// SPDX-License-Identifier: MIT
#include "os/fd/open_file.h"

#include <errno.h>
#include <sys/stat.h>

namespace prefork::os {

bool look_at(int descriptor, OpenFile *ret_file) {
    struct stat status {};
    if (fstat(descriptor, &status) != 0) {
        return false;
    }
    *ret_file = {descriptor, status.st_dev, status.st_ino};
    return true;
}

bool is_still_open(const OpenFile &file) { return is_same_file(file.descriptor, file); }

bool is_same_file(int descriptor, const OpenFile &file) {
    OpenFile now{};
    if (!look_at(descriptor, &now)) {
        return errno != EBADF; // where nobody may look it is believed to be so
    }
    return now.device == file.device && now.inode == file.inode;
}

bool is_pipe(int descriptor) {
    struct stat status {};
    return fstat(descriptor, &status) == 0 ? S_ISFIFO(status.st_mode) : errno != EBADF;
}

} // namespace prefork::os
