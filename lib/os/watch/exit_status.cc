// SPDX-License-Identifier: MIT
#include "os/watch/exit_status.h"

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

#include "os/fd/pidfd_info.h"
#include "os/watch/process_handle.h"

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

// What one way of waiting has found out.
enum class Found : uint8_t { running, ended, reaped, refused };

Found found_nothing(long result) {
    if (result == 0) {
        return Found::running;
    }
    return errno == ECHILD ? Found::reaped : Found::refused;
}

Found wait_by_id(int type, int id, base::Exit *ret_exit, int32_t *ret_pid = nullptr) {
    siginfo_t info{};
    rusage usage{};
    long result = 0;
    // The C library's waitid has no place for the usage.
    do {
        result = syscall(SYS_waitid, type, id, &info, WEXITED | WNOHANG, &usage);
    } while (result < 0 && errno == EINTR);
    if (result < 0 || info.si_pid == 0) {
        return found_nothing(result);
    }
    static_assert(CLD_EXITED < CLD_DUMPED && CLD_KILLED < CLD_DUMPED && CLD_DUMPED < CLD_TRAPPED);
    if (info.si_code > CLD_DUMPED) {
        return Found::running; // a stop, see below
    }
    base::Exit exit;
    exit.kind = info.si_code == CLD_EXITED ? base::Exit::Kind::exited : base::Exit::Kind::signaled;
    exit.code = info.si_status;
    exit.core_dumped = info.si_code == CLD_DUMPED;
    add_usage(usage, &exit);
    *ret_exit = exit;
    if (ret_pid != nullptr) {
        *ret_pid = info.si_pid;
    }
    return Found::ended;
}

// A worker can make its supervisor its tracer. Then every wait shows its stops, whatever was asked.
Found wait_by_pid(int32_t pid, base::Exit *ret_exit) {
    int status = 0;
    rusage usage{};
    pid_t result = 0;
    do {
        result = wait4(pid, &status, WNOHANG, &usage);
    } while (result < 0 && errno == EINTR);
    if (result != pid) {
        return found_nothing(result);
    }
    *ret_exit = from_wait_status(status);
    if (ret_exit->kind == base::Exit::Kind::unknown) {
        return Found::running;
    }
    add_usage(usage, ret_exit);
    return Found::ended;
}

} // namespace

bool collect_exit(const ProcessHandle &process, base::Exit *ret_exit, bool *ret_is_pidfd) {
    const bool by_pidfd = process.pidfd >= 0;
    Found found = Found::refused;
    *ret_is_pidfd = false;
    if (by_pidfd) {
        int32_t pid = 0;
        found = wait_by_id(wait_by_pidfd, process.pidfd, ret_exit, &pid);
        *ret_is_pidfd = found == Found::ended && pid == process.pid;
    }
    if (found == Found::refused) {
        found = wait_by_pid(process.pid, ret_exit);
    }
    if (found == Found::refused) {
        found = wait_by_id(P_PID, process.pid, ret_exit);
    }
    if (found == Found::running || found == Found::ended) {
        return found == Found::ended;
    }
    // No error of a wait proves an end.
    if (by_pidfd ? !has_ended(process.pidfd)
                 : found == Found::refused && state_of_child(process.pid) != ChildState::none) {
        return false;
    }
    *ret_exit = by_pidfd && found == Found::reaped ? stolen_exit(process.pidfd) : base::Exit{};
    return true;
}

void discard_process(int32_t pid, const Pidfd &pidfd) {
    const ProcessHandle process = {pid, pidfd.get()};
    (void)send_signal(process, SIGKILL);
    EndWait wait(discard_timeout);
    base::Exit exit;
    bool is_pidfd = false;
    while (!collect_exit(process, &exit, &is_pidfd) && wait.wait(process)) {
    }
}

// While the process lives, the answer is the same on kernels that know exit codes and on those that
// do not: their version decides.
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

int check_waits(int pidfd_of_self) {
    base::Exit exit;
    // A process is no child of its own, and the kernel says so where the call is allowed.
    if (pidfd_of_self >= 0 && wait_by_id(wait_by_pidfd, pidfd_of_self, &exit) == Found::reaped) {
        return 0;
    }
    if (wait_by_pid(getpid(), &exit) == Found::reaped) {
        return 0;
    }
    const int error = -errno;
    return wait_by_id(P_PID, getpid(), &exit) == Found::reaped ? 0 : error;
}

} // namespace prefork::os
