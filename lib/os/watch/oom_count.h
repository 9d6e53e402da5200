// Whether the kernel has killed processes for lack of memory.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

// Of the control group (version 2) of this process, and those below it. Opens nothing before it is
// asked, and keeps nothing open.
class OomCount {
  public:
    OomCount() = default;
    // With both /proc and /sys below another directory, for tests.
    explicit OomCount(const char *root) : root_(root) {}

    // Whether it has since the last look, or at all if this is the first one. False where the
    // system does not say, which is not looked at again.
    [[nodiscard]] bool has_risen();

  private:
    bool read(uint64_t *ret_count);

    const char *root_ = "";
    uint64_t seen_ = 0;
    bool is_missing_ = false; // there is no such count
};

} // namespace prefork::os
