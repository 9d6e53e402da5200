// A file in a directory that may belong to somebody who is not trusted: the directory is opened
// once, and everything that concerns the file is done there.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <limits.h>
#include <sys/stat.h>

#include "os/fd/descriptor.h"

namespace prefork::os {

class FilePlace {
  public:
    // Opens the directory of a path. Returns 0 or a negative errno.
    [[nodiscard]] int open(const char *path);

    // For the calls that end with "at".
    [[nodiscard]] int directory() const;
    // The last part of the path; "." if it ends with a slash.
    [[nodiscard]] const char *name() const { return name_; }

    // The status of the file itself, not of what a link leads to. Returns 0 or a negative errno.
    [[nodiscard]] int look(const char *name, struct stat *ret_status) const;
    void remove(const char *name) const;

  private:
    Descriptor directory_; // none: the current one
    char name_[NAME_MAX + 1] = "";
};

// A right that one process has at a time: a locked file beside another, which is there as long as
// that.
class PathLock {
  public:
    PathLock() = default;
    PathLock(const PathLock &) = delete;
    PathLock &operator=(const PathLock &) = delete;
    ~PathLock();

    // Both must outlive the lock. Returns 0, -EWOULDBLOCK if another process has it, or another
    // negative errno.
    [[nodiscard]] int acquire(const FilePlace &place, const char *suffix);

  private:
    [[nodiscard]] int try_once(const FilePlace &place);

    const FilePlace *place_ = nullptr;
    Descriptor file_;
    char name_[NAME_MAX + 1];
};

} // namespace prefork::os
