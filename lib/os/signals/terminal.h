// What the terminal of this process has to do with its signals.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <signal.h>

namespace prefork::os {

// The session that this process shares with a terminal; 0: it has no terminal.
int32_t session_with_terminal();

// Whether a SIGHUP says that the terminal of that session is gone: it is the kernel's, or that of
// the session's leader, as a shell passes on what it got. Async-signal-safe.
bool is_hangup(const siginfo_t &info, int32_t session);

// Whether the kernel stops a background job that touched its terminal. Async-signal-safe.
bool is_job_control(int signal, const siginfo_t &info);

// Ends when the process goes on after a stop, or at once where the kernel does not stop it. The
// signal has its default disposition. Async-signal-safe.
void stop_by(int signal);

} // namespace prefork::os
