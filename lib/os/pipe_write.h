// Writing to a pipe or socket whose reader may be gone.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <stddef.h>
#include <sys/types.h>

namespace prefork::os {

// Writes once, and raises no SIGPIPE in this process. Returns what was written or a negative errno.
// Async-signal-safe.
ssize_t write_without_sigpipe(int descriptor, const void *data, size_t size);

} // namespace prefork::os
