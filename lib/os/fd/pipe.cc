// SPDX-License-Identifier: MIT
#include "os/fd/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace prefork::os {

namespace {

// The C library's pipe() calls pipe2 as well. Some machines lack the older call, and on some it
// returns the ends in registers.
int pipe_without_flags(int ret_ends[2]) {
#if defined(SYS_pipe) && !defined(__mips__) && !defined(__sparc__) && !defined(__alpha__) &&       \
    !defined(__sh__)
    return static_cast<int>(syscall(SYS_pipe, ret_ends));
#else
    (void)ret_ends;
    return -1;
#endif
}

bool set_flags(int end, int flags) {
    return fcntl(end, F_SETFD, FD_CLOEXEC) == 0 && fcntl(end, F_SETFL, flags) == 0;
}

} // namespace

// Where pipe2 is refused, a program that another thread executes between the two calls inherits the
// ends. It can hold back the end of file of that pipe.
int make_pipe(int ret_ends[2], int flags) {
    if (pipe2(ret_ends, O_CLOEXEC | flags) == 0) {
        return 0;
    }
    const int error = -errno;
    if (error == -EMFILE || error == -ENFILE || pipe_without_flags(ret_ends) < 0) {
        return error;
    }
    if (set_flags(ret_ends[0], flags) && set_flags(ret_ends[1], flags)) {
        return 0;
    }
    close(ret_ends[0]);
    close(ret_ends[1]);
    return error;
}

int open_pipe(Descriptor *ret_read_end, Descriptor *ret_write_end, bool nonblocking) {
    int ends[2] = {-1, -1};
    if (int r = make_pipe(ends, nonblocking ? O_NONBLOCK : 0); r < 0) {
        return r;
    }
    Descriptor read_end;
    Descriptor write_end;
    const int read_result = read_end.adopt(ends[0]);
    const int write_result = write_end.adopt(ends[1]);
    if (read_result < 0 || write_result < 0) {
        return read_result < 0 ? read_result : write_result;
    }
    ret_read_end->attach(read_end.release());
    ret_write_end->attach(write_end.release());
    return 0;
}

void put_write_end_first(Descriptor *read_end, Descriptor *write_end) {
    const int first = read_end->get();
    const int second = write_end->get();
    const int copy = first < second ? fcntl(first, F_DUPFD_CLOEXEC, second) : -1;
    if (copy < 0) {
        return;
    }
    // Where the first one succeeds, so does the second: both replace what is open.
    if (dup3(second, first, O_CLOEXEC) >= 0 && dup3(copy, second, O_CLOEXEC) >= 0) {
        const int write_number = write_end->release();
        write_end->attach(read_end->release());
        read_end->attach(write_number);
    }
    close(copy);
}

} // namespace prefork::os
