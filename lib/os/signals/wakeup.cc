// SPDX-License-Identifier: MIT
#include "os/signals/wakeup.h"

#include <cstdint>
#include <errno.h>
#include <initializer_list>
#include <sys/eventfd.h>
#include <unistd.h>

#include "os/fd/pipe.h"

namespace prefork::os {

int Wakeup::open() {
    const int result = read_end_.adopt(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (result == 0 || result == -EMFILE || result == -ENFILE || result == -ENOMEM) {
        return result;
    }
    if (open_pipe(&read_end_, &write_end_, true) < 0) {
        return result;
    }
    (void)pipe_.capture(write_end_.get());
    return 0;
}

bool Wakeup::has_target() const { return write_end_.get() < 0 || pipe_.matches(write_end_.get()); }

void Wakeup::let_go_of_lost() {
    const bool is_pipe = write_end_.get() >= 0;
    for (Descriptor *end : {&read_end_, &write_end_}) {
        if (!is_pipe || !pipe_.matches(end->get())) {
            end->lose();
        }
    }
}

void Wakeup::clear() const {
    uint64_t values[64]; // an eventfd has one
    while (read(read_end_.get(), values, sizeof(values)) == ssize_t{sizeof(values)}) {
    }
}

} // namespace prefork::os
