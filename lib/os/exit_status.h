// How a child ended, also when somebody else has reaped it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/exit.h"

namespace prefork::os {

// Reaps the process behind the pidfd. Returns false if it has not ended yet.
bool collect_exit(int pidfd, base::Exit *ret_exit);

// The same by pid, where there are no pidfds. What somebody else has reaped is unknown.
bool collect_exit_by_pid(int32_t pid, base::Exit *ret_exit);

// Ends a process that was started but can not be watched, reaps it and closes its pidfd, which may
// be -1. One that does not end within a bound is left.
void discard_process(int32_t pid, int pidfd);

// Returns a descriptor, close-on-exec, or a negative errno.
int open_pidfd(int32_t pid);

// Whether the kernel tells how a process ended that somebody else has reaped.
bool can_ask_for_exit(int pidfd);

// Linux 5.3 has pidfds, but no way to wait for them.
bool can_wait_for_pidfd(int pidfd);

} // namespace prefork::os
