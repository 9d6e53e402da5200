// Text put together in a buffer of fixed size, cut where it would not fit.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

namespace prefork::base {

constexpr size_t length_of(const char *string) {
    size_t length = 0;
    while (string[length] != '\0') {
        length += 1;
    }
    return length;
}

class Text {
  public:
    // The buffer always holds a string that ends with a zero byte.
    Text(char *buffer, size_t capacity) : buffer_(buffer), capacity_(capacity) {
        buffer_[0] = '\0';
    }

    Text &add(const char *string) {
        while (*string != '\0') {
            add_character(*string++);
        }
        return *this;
    }

    Text &add(int64_t number) {
        char digits[20];
        size_t count = 0;
        uint64_t rest = static_cast<uint64_t>(number);
        if (number < 0) {
            rest = 0 - rest;
        }
        do {
            digits[count++] = static_cast<char>('0' + rest % 10);
            rest /= 10;
        } while (rest != 0);
        if (number < 0) {
            add_character('-');
        }
        while (count > 0) {
            add_character(digits[--count]);
        }
        return *this;
    }

    [[nodiscard]] size_t length() const { return length_; }

  private:
    void add_character(char character) {
        if (length_ + 1 < capacity_) {
            buffer_[length_++] = character;
            buffer_[length_] = '\0';
        }
    }

    char *buffer_;
    size_t capacity_;
    size_t length_ = 0;
};

} // namespace prefork::base
