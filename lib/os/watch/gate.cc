// SPDX-License-Identifier: MIT
#include "os/watch/gate.h"

#include <unistd.h>

#include "os/fd/pipe.h"

namespace prefork::os {

int Gate::open() { return open_pipe(&read_end_, &write_end_, false); }

void Gate::let_through() const {
    const char byte = 0;
    (void)!write(write_end_.get(), &byte, sizeof(byte)); // fails only if the worker has ended
}

} // namespace prefork::os
