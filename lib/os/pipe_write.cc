// SPDX-License-Identifier: MIT
#include "os/pipe_write.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

namespace prefork::os {

namespace {

// Returns whether no SIGPIPE is pending for this thread afterwards.
bool discard_sigpipe(const sigset_t &sigpipe) {
    const timespec at_once{};
    int discarded = 0;
    do {
        discarded = sigtimedwait(&sigpipe, nullptr, &at_once);
    } while (discarded < 0 && errno == EINTR);
    return discarded >= 0 || errno == EAGAIN;
}

bool sigpipe_is_pending() {
    sigset_t pending;
    return sigpending(&pending) != 0 || sigismember(&pending, SIGPIPE) == 1;
}

} // namespace

ssize_t write_without_sigpipe(int descriptor, const void *data, size_t size) {
    // The kernel sends SIGPIPE to the thread that writes, so its mask alone has to change.
    sigset_t sigpipe;
    sigset_t before;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    if (const int error = pthread_sigmask(SIG_BLOCK, &sigpipe, &before); error != 0) {
        return -error;
    }
    // It can be pending only where it was blocked: then one more changes nothing, and must stay.
    const bool was_blocked = sigismember(&before, SIGPIPE) == 1;
    const bool was_pending = was_blocked && sigpipe_is_pending();
    const ssize_t count = write(descriptor, data, size);
    const ssize_t result = count < 0 ? -errno : count;
    const bool is_gone = result != -EPIPE || was_pending || discard_sigpipe(sigpipe);
    // If the system does not let us take the signal away, it stays blocked rather than end the
    // host.
    if (!was_blocked && is_gone) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    return result;
}

} // namespace prefork::os
