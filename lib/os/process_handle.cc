// SPDX-License-Identifier: MIT
#include "os/process_handle.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"

namespace prefork::os {

namespace {

constexpr unsigned int to_process_group = 1U << 2; // PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9
constexpr int pause_max_ms = 50;

bool is_readable(int pidfd) {
    pollfd ended{};
    ended.fd = pidfd;
    ended.events = POLLIN;
    return poll(&ended, 1, 0) > 0;
}

// Whether another process may have the pid by now. Without a way to look it is believed not to.
bool is_reaped(int32_t pid) {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) < 0 &&
           errno == ECHILD;
}

int send_by_pid(int32_t pid, int32_t target, int32_t signal) {
    if (is_reaped(pid)) {
        return -ESRCH;
    }
    return kill(target, signal) < 0 ? -errno : 0;
}

bool send_by_pidfd(int pidfd, int32_t signal, unsigned int flags) {
    return pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, flags) == 0;
}

} // namespace

int send_signal(const ProcessHandle &process, int32_t signal) {
    if (send_by_pidfd(process.pidfd, signal, 0)) {
        return 0;
    }
    return send_by_pid(process.pid, process.pid, signal);
}

int send_signal_to_group(const ProcessHandle &process, int32_t signal) {
    if (send_by_pidfd(process.pidfd, signal, to_process_group)) {
        return 0;
    }
    return send_by_pid(process.pid, -process.pid, signal);
}

EndWait::EndWait(base::Duration bound) : deadline_(base::after(now(), bound)) {}

bool EndWait::wait(const ProcessHandle &process) {
    if (now() >= deadline_) {
        return false;
    }
    pollfd ended{};
    // One that has ended and can not be collected is readable all the time.
    ended.fd = process.pidfd >= 0 && !is_readable(process.pidfd) ? process.pidfd : -1;
    ended.events = POLLIN;
    (void)poll(&ended, 1, pause_ms_); // interrupted: asked again
    pause_ms_ = pause_ms_ < pause_max_ms ? 2 * pause_ms_ : pause_max_ms;
    return true;
}

} // namespace prefork::os
