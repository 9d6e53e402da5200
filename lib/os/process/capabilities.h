// The capabilities of processes.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

struct Permitted {
    static constexpr int count = 2;

    uint32_t words[count];

    [[nodiscard]] bool contains(const Permitted &some) const {
        return (some.words[0] & ~words[0]) == 0 && (some.words[1] & ~words[1]) == 0;
    }
    [[nodiscard]] bool empty() const { return words[0] == 0 && words[1] == 0; }
};

// Which ones a process has; pid 0 is this one. Returns 0 or a negative errno.
[[nodiscard]] int read_permitted(int32_t pid, Permitted *ret_permitted);

} // namespace prefork::os
