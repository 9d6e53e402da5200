// SPDX-License-Identifier: MIT
#include "os/fd/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

namespace prefork::os {

int open_pipe(Descriptor *ret_read_end, Descriptor *ret_write_end, bool nonblocking) {
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC | (nonblocking ? O_NONBLOCK : 0)) < 0) {
        return -errno;
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
