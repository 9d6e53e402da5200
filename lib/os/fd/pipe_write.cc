// SPDX-License-Identifier: MIT
#include "os/fd/pipe_write.h"

#include <errno.h>
#include <initializer_list>
#include <time.h>
#include <unistd.h>

namespace prefork::os {

namespace {

constexpr int write_signals[] = {SIGPIPE, SIGXFSZ};

// A signal that is ignored is pending no more, nor for other threads. Returns whether it was done.
bool discard_by_ignoring(const sigset_t &signals) {
    bool all = true;
    for (const int signal : write_signals) {
        if (sigismember(&signals, signal) == 1) {
            struct sigaction ignore {};
            struct sigaction before {};
            ignore.sa_handler = SIG_IGN;
            all = sigaction(signal, &ignore, &before) == 0 &&
                  sigaction(signal, &before, nullptr) == 0 && all;
        }
    }
    return all;
}

// Returns whether none of them is pending for this thread afterwards.
bool discard(const sigset_t &signals) {
    const timespec at_once{};
    int discarded = 0;
    do {
        discarded = sigtimedwait(&signals, nullptr, &at_once);
    } while (discarded > 0 || errno == EINTR);
    return errno == EAGAIN || discard_by_ignoring(signals);
}

} // namespace

// The kernel sends these signals to the thread that writes, so its mask alone has to change.
WriteSignalBlock::WriteSignalBlock() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : write_signals) {
        sigaddset(&signals, signal);
    }
    error_ = -pthread_sigmask(SIG_BLOCK, &signals, &before_);
    unexpected_ = signals;
    // One can be pending only where it was blocked. Another one then changes nothing. Where that
    // cannot be asked for, it is better to discard one too many: one that is left can end the host.
    sigset_t pending;
    bool asked = false;
    bool known = false;
    for (const int signal : write_signals) {
        if (error_ == 0 && sigismember(&before_, signal) == 1) {
            known = asked ? known : sigpending(&pending) == 0;
            asked = true;
            if (known && sigismember(&pending, signal) == 1) {
                sigdelset(&unexpected_, signal);
            }
        }
    }
}

ssize_t WriteSignalBlock::result(ssize_t count) {
    if (count >= 0) {
        return count;
    }
    failed_ = failed_ || errno == EPIPE || errno == EFBIG;
    return -errno;
}

WriteSignalBlock::~WriteSignalBlock() {
    if (error_ != 0) {
        return;
    }
    const int saved_errno = errno;
    // If the system does not let us take a signal away, it stays blocked rather than end the host.
    if (!failed_ || discard(unexpected_)) {
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    errno = saved_errno;
}

ssize_t write_without_sigpipe(int descriptor, const void *data, size_t size) {
    WriteSignalBlock block;
    return block.error() != 0 ? block.error() : block.result(write(descriptor, data, size));
}

} // namespace prefork::os
