// How a child ended, also when somebody else has reaped it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/exit.h"
#include "os/fd/pidfd.h"
#include "os/watch/process_handle.h"

namespace prefork::os {

// Reaps the process, in the first way that the system allows. Returns false if it has not ended
// yet, or is held by a tracer. What somebody else has reaped may be unknown. Says whether the wait
// has shown that the number is still that of the process's pidfd.
bool collect_exit(const ProcessHandle &process, base::Exit *ret_exit, bool *ret_is_pidfd);

// Kills and reaps a process that was started but cannot be watched. One that does not end within a
// bound is left. The pidfd may be missing.
void discard_process(int32_t pid, const Pidfd &pidfd = {});

// Whether the kernel reports how a process ended that somebody else has reaped.
bool can_ask_for_exit(int pidfd);

// Whether there is a way to collect children: 0, or the negative errno of the refusal. The pidfd is
// this process's own; -1: none.
[[nodiscard]] int check_waits(int pidfd_of_self);

} // namespace prefork::os
