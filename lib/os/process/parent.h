// Whether the supervisor of this process is its parent.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

enum class Parent : uint8_t {
    supervisor,
    other,   // the supervisor has ended, or was never the parent
    unknown, // the parent is outside of this pid namespace, and there is no pidfd to ask
};

// Asks the kernel for the parent now. The pidfd is the supervisor's; -1: there is none.
// Async-signal-safe.
[[nodiscard]] Parent find_parent(int32_t supervisor, int supervisor_pidfd);

} // namespace prefork::os
