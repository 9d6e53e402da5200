// A list of strings as execve() expects it: copied, and ended by a null pointer.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>
#include <utility>

#include "base/array.h"

namespace prefork::os {

class Strings {
  public:
    // Copies a list. Returns false, and leaves the old one, if there is no memory.
    [[nodiscard]] bool copy(const char *const *strings);

    // Copies strings that follow each other, each with its zero byte.
    [[nodiscard]] bool copy(const char *text, size_t length);

    void swap(Strings &other) {
        pointers_.swap(other.pointers_);
        text_.swap(other.text_);
        std::swap(count_, other.count_);
    }

    // nullptr if there is none.
    [[nodiscard]] char *const *get() const { return count_ == 0 ? nullptr : &pointers_[0]; }
    [[nodiscard]] bool empty() const { return count_ == 0; }

  private:
    bool allocate(size_t count, size_t length);

    base::Array<char *> pointers_;
    base::Array<char> text_;
    uint32_t count_ = 0;
};

} // namespace prefork::os
