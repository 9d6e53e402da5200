// Numbers in text, and a list of strings as execve() wants it: copied, and ended by a null pointer.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>
#include <utility>

#include "base/array.h"

namespace prefork::os {

// Reads a decimal number and moves the text behind it; -1 if there is none, or one too large.
int32_t read_number(const char **text);

// Reads a decimal number that lies within bounds and moves the text behind it. Returns false, and
// moves nothing, if there is none.
[[nodiscard]] bool read_number_within(const char **text, int32_t min, int32_t max,
                                      int32_t *ret_number);

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
