// A descriptor that stands for one process, and never for a later one with the same pid.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "os/fd/descriptor.h"

namespace prefork::os {

// Whether the process has ended, reaped or not.
[[nodiscard]] bool has_ended(int pidfd);

// Whether the number is that of a pidfd, as far as the kernel reports it: another process may have
// written it.
[[nodiscard]] bool is_pidfd(int descriptor);

class Pidfd : public Descriptor {
  public:
    // Returns 0 or a negative errno; -ESRCH: there is no such process.
    [[nodiscard]] int open(int32_t pid);
};

} // namespace prefork::os
