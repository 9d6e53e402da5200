// SPDX-License-Identifier: MIT
#include "os/watch/process_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "os/fd/descriptor.h"
#include "os/fd/pidfd.h"
#include "os/fd/poll.h"
#include "os/process/clock.h"

namespace prefork::os {

namespace {

constexpr unsigned int to_process_group = 1U << 2; // PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9
constexpr int pause_max_ms = 50;

// Whether /proc shows the pids that this process knows.
bool has_own_proc() {
    char own_pid[16];
    char in_proc[16] = "";
    base::Text(own_pid, sizeof(own_pid)).add(int64_t{getpid()});
    return readlink("/proc/self", in_proc, sizeof(in_proc) - 1) > 0 &&
           strcmp(own_pid, in_proc) == 0;
}

// What /proc/PID/stat says: "PID (NAME) STATE PARENT ...".
ChildState state_in_proc(int32_t pid) {
    char path[32];
    char text[256];
    Descriptor file;
    base::Text(path, sizeof(path)).add("/proc/").add(int64_t{pid}).add("/stat");
    if (!has_own_proc()) {
        return ChildState::unknown;
    }
    if (int r = file.adopt(open(path, O_RDONLY | O_CLOEXEC)); r < 0) {
        return r == -ENOENT ? ChildState::none : ChildState::unknown;
    }
    const ssize_t length = read(file.get(), text, sizeof(text) - 1);
    if (length <= 0) {
        return ChildState::unknown;
    }
    text[length] = '\0';
    const char *name_end = strrchr(text, ')');
    if (name_end == nullptr || name_end[1] != ' ' || name_end[2] == '\0' || name_end[3] != ' ') {
        return ChildState::unknown;
    }
    if (static_cast<pid_t>(strtoul(name_end + 3, nullptr, 10)) != getpid()) {
        return ChildState::none;
    }
    return name_end[2] == 'Z' ? ChildState::zombie : ChildState::running;
}

// Another process may have the pid by now. Where nothing can be asked it is believed not to.
int send_by_pid(int32_t pid, int32_t target, int32_t signal) {
    if (state_of_child(pid) == ChildState::none) {
        return -ESRCH;
    }
    return kill(target, signal) < 0 ? -errno : 0;
}

bool send_by_pidfd(int pidfd, int32_t signal, unsigned int flags) {
    return pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, flags) == 0;
}

} // namespace

ChildState state_of_child(int32_t pid) {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
        return info.si_pid == pid ? ChildState::zombie : ChildState::running;
    }
    return errno == ECHILD ? ChildState::none : state_in_proc(pid);
}

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

EndWait::EndWait(base::Duration bound) : bound_(bound), deadline_(base::after(now(), bound)) {}

void EndWait::begin_anew() {
    deadline_ = base::after(now(), bound_);
    pause_ms_ = 1;
}

bool EndWait::wait(const ProcessHandle &process) {
    if (now() >= deadline_) {
        return false;
    }
    pollfd ended{};
    // One that has ended and cannot be collected is readable all the time.
    ended.fd = process.pidfd >= 0 && !has_ended(process.pidfd) ? process.pidfd : -1;
    ended.events = POLLIN;
    (void)poll_or_sleep(&ended, 1, pause_ms_); // interrupted: asked again
    pause_ms_ = pause_ms_ < pause_max_ms ? 2 * pause_ms_ : pause_max_ms;
    return true;
}

} // namespace prefork::os
