// SPDX-License-Identifier: MIT
#include "os/watch/gate.h"

#include <fcntl.h>
#include <unistd.h>

namespace prefork::os {

int Gate::open() {
    int ends[2] = {-1, -1};
    if (int r = read_end_.take(pipe2(ends, O_CLOEXEC) == 0 ? ends[0] : -1); r < 0) {
        return r;
    }
    return write_end_.take(ends[1]);
}

void Gate::let_through() const {
    const char byte = 0;
    (void)!write(write_end_.get(), &byte, sizeof(byte)); // fails only if the worker has ended
}

} // namespace prefork::os
