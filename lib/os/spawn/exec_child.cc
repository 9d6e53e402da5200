// SPDX-License-Identifier: MIT
#include "os/spawn/exec_child.h"

#include <errno.h>
#include <fcntl.h>
#include <initializer_list>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "os/net/activation.h"
#include "os/process/standard_files.h"
#include "os/service/daemon.h"
#include "os/spawn/environment.h"
#include "os/spawn/program.h"

namespace prefork::os {

namespace {

// Handlers could run between the return of the host's mask and the program, in the memory of the
// parent. What the host ignores stays ignored, as over a fork.
void reset_handlers(bool ignores_children) {
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction action {};
        if (sigaction(signal, nullptr, &action) == 0 &&
            ((action.sa_flags & SA_SIGINFO) != 0 ||
             (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN))) {
            action.sa_flags = 0;
            action.sa_handler = signal == SIGCHLD && ignores_children ? SIG_IGN : SIG_DFL;
            sigaction(signal, &action, nullptr);
        }
    }
}

int set_close_on_exec(int descriptor, bool on) {
    return fcntl(descriptor, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

// The worker's descriptors go to their numbers, one after the other. Those that have a number of
// another are moved away first. Under their old numbers they end here, whatever their flags.
int place_descriptors(const ExecChild &child, int numbers_end) {
    const uint32_t count = child.fds->count();
    for (uint32_t index = 0; index < count; index++) {
        int &source = child.fds->descriptor(index);
        if (source >= first_passed_descriptor && source < numbers_end) {
            source = fcntl(source, F_DUPFD_CLOEXEC, numbers_end);
            if (source < 0) {
                return -errno;
            }
        } else if (source >= first_passed_descriptor) {
            (void)set_close_on_exec(source, true);
        }
    }
    int number = first_passed_descriptor;
    for (uint32_t index = 0; index < count; index++) {
        if (dup2(child.fds->descriptor(index), number++) < 0) {
            return -errno;
        }
    }
    return 0;
}

// Lets the program have one of the library's descriptors, whatever its number, which is passed on;
// -1 is none.
int keep_beyond(int numbers_end, int *descriptor) {
    if (*descriptor >= numbers_end) {
        return set_close_on_exec(*descriptor, false);
    }
    if (*descriptor >= 0) {
        *descriptor = fcntl(*descriptor, F_DUPFD, numbers_end);
        return *descriptor < 0 ? -errno : 0;
    }
    return 0;
}

// What connects the worker with its supervisor, wherever it is.
int keep_link(const ExecChild &child, int numbers_end) {
    WorkerLink link = child.parameters->link;
    link.pidfd = child.parameters->supervisor_pidfd;
    link.is_awaited = child.parameters->awaits_own_ready() && is_launching();
    for (int *descriptor : {&link.pidfd, &link.liveness, &link.up, &link.down}) {
        if (int r = keep_beyond(numbers_end, descriptor); r < 0) {
            return r;
        }
    }
    child.environment->set_supervisor(link);
    return 0;
}

// Standard input, output and error stay; the host's other descriptors stay as the host has marked
// them. All of the library's are close-on-exec.
int place_all_descriptors(const ExecChild &child) {
    const int numbers_end = first_passed_descriptor + static_cast<int>(child.fds->count());
    if (int r = child.parameters->foreign ? 0 : keep_link(child, numbers_end); r < 0) {
        return r;
    }
    if (int r = place_descriptors(child, numbers_end); r < 0) {
        return r;
    }
    for (int descriptor = 0; descriptor < first_passed_descriptor; descriptor++) {
        if (is_standard_file(descriptor)) { // one that the host has closed stays closed
            (void)set_close_on_exec(descriptor, false);
        }
    }
    return 0;
}

// Returns a negative errno, or not at all.
int enter_program(const ExecChild &child) {
    const SpawnParameters &parameters = *child.parameters;
    reset_handlers(child.ignores_children);
    if (parameters.group) {
        setpgid(0, 0);
    }
    if (parameters.link.death_signal != 0) {
        prctl(PR_SET_PDEATHSIG, parameters.link.death_signal);
    }
    if (supervisor_is_gone(parameters)) {
        _exit(EXIT_FAILURE); // there is nobody to report it to
    }
    if (is_launching() && !parameters.awaits_own_ready()) {
        redirect_stdio_to_null();
    }
    if (int r = place_all_descriptors(child); r < 0) {
        return r;
    }
    child.environment->set_pid(getpid());
    pthread_sigmask(SIG_SETMASK, child.mask, nullptr);
    return child.program->execute(child.environment->get());
}

} // namespace

int run_exec_child(void *argument) {
    constexpr int status_not_executed = 127;
    auto &child = *static_cast<ExecChild *>(argument);
    child.error = enter_program(child);
    _exit(status_not_executed);
}

} // namespace prefork::os
