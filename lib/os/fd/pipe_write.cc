// SPDX-License-Identifier: MIT
#include "os/fd/pipe_write.h"

#include <errno.h>
#include <fcntl.h>
#include <initializer_list>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

// O_NONBLOCK is of the open file, which all that inherited it share. Who clears it and fills the
// pipe has to do that in the moment between these calls.
ssize_t write_if_ready(int descriptor, const void *data, size_t size) {
    (void)fcntl(descriptor, F_SETFL, O_NONBLOCK);
    pollfd room{descriptor, POLLOUT, 0};
    if (poll(&room, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(descriptor, data, size);
}

} // namespace

bool is_refused(int error) {
    return error == ENOSYS || error == EPERM || error == EINVAL || error == EOPNOTSUPP;
}

ssize_t write_no_wait(int descriptor, const void *data, size_t size) {
#if defined(SYS_pwritev2) && defined(RWF_NOWAIT)
    constexpr long at_current_offset = -1;
    iovec part{const_cast<void *>(data), size};
    return syscall(SYS_pwritev2, descriptor, &part, 1L, at_current_offset, at_current_offset,
                   RWF_NOWAIT);
#else
    (void)descriptor;
    (void)data;
    (void)size;
    errno = ENOSYS;
    return -1;
#endif
}

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

ssize_t write_to_shared_pipe(int descriptor, const void *data, size_t size) {
    WriteSignalBlock block;
    if (block.error() != 0) {
        return block.error();
    }
    ssize_t count = write_no_wait(descriptor, data, size);
    if (count < 0 && is_refused(errno)) {
        count = write_if_ready(descriptor, data, size);
    }
    return block.result(count);
}

} // namespace prefork::os
