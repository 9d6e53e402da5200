// SPDX-License-Identifier: MIT
#include "os/service/process_end.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/process/standard_files.h"
#include "os/service/daemon.h"

namespace prefork::os {

void exit_normally() { exit(EXIT_SUCCESS); }

void die_of(int signal) {
    // What would be done at an exit, which this end replaces.
    flush_stdio();
    remove_pid_file();
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
    raise(signal); // to this thread: another one might act on it only after the exit
    _exit(128 + signal);
}

} // namespace prefork::os
