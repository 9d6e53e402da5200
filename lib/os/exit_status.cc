// SPDX-License-Identifier: MIT
#include "os/exit_status.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "os/process/pidfd_info.h"
#include "os/process_handle.h"

namespace prefork::os {

namespace {

constexpr int wait_by_pidfd = 3; // P_PIDFD, which older headers lack

// While another thread is reaping the process, the kernel has no answer for a moment.
constexpr int reaping_attempts = 10'000;

constexpr base::Duration discard_timeout = 1 * base::second;

uint64_t microseconds(const timeval &time) {
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000 + static_cast<uint64_t>(time.tv_usec);
}

void add_usage(const rusage &usage, base::Exit *exit) {
    exit->user_us = microseconds(usage.ru_utime);
    exit->system_us = microseconds(usage.ru_stime);
    exit->max_rss_kib = static_cast<uint64_t>(usage.ru_maxrss);
}

base::Exit from_wait_status(int status) {
    base::Exit exit;
    if (WIFEXITED(status)) {
        exit.kind = base::Exit::Kind::exited;
        exit.code = WEXITSTATUS(status);
    } else if (WIFSIGNALED(status)) {
        exit.kind = base::Exit::Kind::signaled;
        exit.code = WTERMSIG(status);
        exit.core_dumped = WCOREDUMP(status);
    }
    return exit;
}

// The process has been reaped, not by us: SIGCHLD is ignored, or the host waited for any child.
base::Exit stolen_exit(int pidfd) {
    for (int attempt = 0; attempt < reaping_attempts; attempt++) {
        PidfdInfo info{};
        info.mask = pidfd_info_exit;
        if (ioctl(pidfd, pidfd_get_info, &info) == 0) {
            if ((info.mask & pidfd_info_exit) != 0) {
                return from_wait_status(info.exit_code);
            }
        } else if (errno != ESRCH) {
            break;
        }
        sched_yield();
    }
    return base::Exit{};
}

} // namespace

bool collect_exit(int pidfd, base::Exit *ret_exit) {
    siginfo_t info{};
    rusage usage{};
    long result = 0;
    // The C library's waitid has no place for the usage.
    do {
        result = syscall(SYS_waitid, wait_by_pidfd, pidfd, &info, WEXITED | WNOHANG, &usage);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        *ret_exit = stolen_exit(pidfd);
        return true;
    }
    if (info.si_pid == 0) {
        return false;
    }
    base::Exit exit;
    exit.kind = info.si_code == CLD_EXITED ? base::Exit::Kind::exited : base::Exit::Kind::signaled;
    exit.code = info.si_status;
    exit.core_dumped = info.si_code == CLD_DUMPED;
    add_usage(usage, &exit);
    *ret_exit = exit;
    return true;
}

bool collect_exit_by_pid(int32_t pid, base::Exit *ret_exit) {
    int status = 0;
    rusage usage{};
    pid_t result = 0;
    do {
        result = wait4(pid, &status, WNOHANG, &usage);
    } while (result < 0 && errno == EINTR);
    if (result == 0) {
        return false;
    }
    base::Exit exit;
    if (result == pid) {
        exit = from_wait_status(status);
        add_usage(usage, &exit);
    }
    *ret_exit = exit;
    return true;
}

void discard_process(int32_t pid, int pidfd) {
    const ProcessHandle process = {pid, pidfd};
    (void)send_signal(process, SIGKILL);
    EndWait wait(discard_timeout);
    base::Exit exit;
    while (!(pidfd >= 0 ? collect_exit(pidfd, &exit) : collect_exit_by_pid(pid, &exit)) &&
           wait.wait(process)) {
    }
    if (pidfd >= 0) {
        close(pidfd);
    }
}

int open_pidfd(int32_t pid) {
    return above_stdio(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

// While the process lives, the answer is the same on kernels that know exit codes and on those that
// do not: their version tells.
bool can_ask_for_exit(int pidfd) {
    PidfdInfo info{};
    info.mask = pidfd_info_exit;
    utsname kernel{};
    if (ioctl(pidfd, pidfd_get_info, &info) < 0 || uname(&kernel) < 0) {
        return false;
    }
    char *rest = nullptr;
    const unsigned long major = strtoul(kernel.release, &rest, 10);
    const unsigned long minor = *rest == '.' ? strtoul(rest + 1, nullptr, 10) : 0;
    return major > 6 || (major == 6 && minor >= 15);
}

bool can_wait_for_pidfd(int pidfd) {
    siginfo_t info{};
    return syscall(SYS_waitid, wait_by_pidfd, pidfd, &info, WEXITED | WNOHANG, nullptr) == 0 ||
           errno != EINVAL;
}

} // namespace prefork::os
