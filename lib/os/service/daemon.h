// Becoming a daemon, and reporting the result to the process that launched it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "os/fd/borrowed_fd.h"

namespace prefork::os {

// Returns 0 in the daemon. The launching process waits until the daemon is ready and exits, with
// status 1 if the daemon has ended before; it returns only if there is no daemon: a negative errno,
// -EEXIST if a living process holds the pid file.
[[nodiscard]] int daemonize(const char *pid_file);

// The daemon is ready. Returns 0, also in no daemon; -ECHILD in a child of it.
int daemon_ready();

// By itself the daemon is ready once all pools have been ready that began before any pool waited.
// Returns whether a pool that begins is one of these.
[[nodiscard]] bool await_pool();
// One of these has been ready, or is freed without that.
void awaited_pool_is_ready();
void awaited_pool_is_gone();
// A pool is about to wait.
void await_no_more_pools();

// Before a pool opens descriptors. The host may have closed some of the daemon, and have files of
// its own under their numbers, which workers must not close.
void let_go_of_lost_files();

// What a child that is older than the readiness of its daemon does with the stdio of the launching
// process, which would be kept open by it.
enum class Stdio : uint8_t { kept, detached, until_ready };

// In a new child, before the library's descriptors are closed there. Async-signal-safe.
void begin_in_child(Stdio stdio);
// Ends the time that stdio was left to it.
void worker_is_ready();

// The same for a worker by exec. Before that, in the memory of its parent, nothing is written.
bool is_launching();
void redirect_stdio_to_null();
// In the worker, when it is loaded.
void keep_stdio_until_ready();

// Whether this process is a daemon, and whether its launching process waits for it.
bool is_daemon();
bool is_launcher_waiting();
// The file with its pid; nullptr: none.
const BorrowedFd *own_pid_file();
// In a program that a daemon has executed in its place: it is the daemon, which is ready. The file
// with its pid is locked; -1: none. daemonize() returns 0 once. Returns 0 or a negative errno.
[[nodiscard]] int adopt_daemon(int pid_file);

// At the end of the daemon; in other processes it does nothing.
void remove_pid_file();

} // namespace prefork::os
