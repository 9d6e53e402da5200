// What the kernel accepts as arguments and environment of a program.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace prefork::os {

class ArgumentSize {
  public:
    void add(const char *string);
    // One of that size, its zero byte included.
    void add(size_t size);
    // A list ended by nullptr, which itself may be nullptr.
    void add(const char *const *strings);

    // Returns 0, or -E2BIG with which execve(2) would fail now.
    [[nodiscard]] int check() const;

  private:
    size_t total_ = 0; // with the pointers to them
    size_t largest_ = 0;
};

} // namespace prefork::os
