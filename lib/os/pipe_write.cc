// SPDX-License-Identifier: MIT
#include "os/pipe_write.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

namespace prefork::os {

// The kernel sends SIGPIPE to the thread that writes. It is held back there, and taken away if it
// is this write's: one that was pending before is the host's.
ssize_t write_without_sigpipe(int descriptor, const void *data, size_t size) {
    sigset_t pipe_only;
    sigset_t before;
    sigset_t pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    sigpending(&pending);
    const ssize_t count = write(descriptor, data, size);
    const ssize_t result = count < 0 ? -errno : count;
    if (result == -EPIPE && sigismember(&pending, SIGPIPE) == 0) {
        constexpr timespec at_once = {0, 0};
        while (sigtimedwait(&pipe_only, nullptr, &at_once) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return result;
}

} // namespace prefork::os
