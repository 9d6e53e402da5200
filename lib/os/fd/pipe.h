// Pipes whose ends are close-on-exec and known as the library's own.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "os/fd/descriptor.h"

namespace prefork::os {

// Returns 0 or a negative errno, with which both ends are as they were.
[[nodiscard]] int open_pipe(Descriptor *ret_read_end, Descriptor *ret_write_end, bool nonblocking);

// Exchanges the numbers of the two ends, so that the write end has the lower one. Without a third
// descriptor for a moment both stay as they are.
void put_write_end_first(Descriptor *read_end, Descriptor *write_end);

} // namespace prefork::os
