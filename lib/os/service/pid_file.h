// The pid file of a daemon: one living owner, and no other file is ever changed in its place.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "os/fd/borrowed_fd.h"

namespace prefork::os {

// Makes the file of this process, or takes over one that no living process holds, and locks it.
// Returns 0, with a descriptor that is noted and stays open; -EEXIST if a living process holds the
// file; or another negative errno. Then everything is as it was.
[[nodiscard]] int create_pid_file(const char *path, BorrowedFd *ret_file);

// Removes it, wherever it is by now, or makes it empty where it cannot be removed.
void remove_pid_file(const BorrowedFd &file);

} // namespace prefork::os
