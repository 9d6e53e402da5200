// SPDX-License-Identifier: MIT
#include "os/signals/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace prefork::os {

namespace {

// What cannot be known for want of descriptors counts as there.
bool has_terminal() {
    const int terminal = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (terminal >= 0) {
        close(terminal);
    }
    return terminal >= 0 || (errno != ENXIO && errno != ENOENT && errno != ENOTDIR);
}

} // namespace

int32_t session_with_terminal() { return has_terminal() ? getsid(0) : 0; }

bool is_hangup(const siginfo_t &info, int32_t session) {
    if (info.si_code == SI_KERNEL) {
        return true;
    }
    // A sender outside of this pid namespace is 0.
    return info.si_code == SI_USER && info.si_pid != 0 && info.si_pid == session && !has_terminal();
}

bool is_job_control(int signal, const siginfo_t &info) {
    return (signal == SIGTTIN || signal == SIGTTOU) && info.si_code == SI_KERNEL;
}

// By the signal itself and not by SIGSTOP: so the parent learns why, and a process group that
// nobody could continue is not stopped.
void stop_by(int signal) {
    sigset_t only;
    sigset_t before;
    sigemptyset(&only);
    sigaddset(&only, signal);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
    pthread_sigmask(SIG_UNBLOCK, &only, &before); // stops here
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

} // namespace prefork::os
