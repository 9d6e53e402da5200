// What the fuzz targets share: the parts of an input, and what must hold.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unistd.h>

// In every build: a property that does not hold ends the program, as a bad memory access does.
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                               \
        }                                                                                          \
    } while (false)

namespace fuzz {

// A string on the heap without a byte to spare, so that a sanitizer sees a read behind its end.
class ExactString {
  public:
    explicit ExactString(std::string_view text) : text_(new char[text.size() + 1]) {
        text.copy(text_, text.size());
        text_[text.size()] = '\0';
    }
    ~ExactString() { delete[] text_; }
    ExactString(const ExactString &) = delete;
    ExactString &operator=(const ExactString &) = delete;

    [[nodiscard]] char *get() const { return text_; }

  private:
    char *text_;
};

// Hands out an input from its beginning. Behind its end there are zeros and empty texts.
class Input {
  public:
    Input(const uint8_t *data, size_t size) : rest_(reinterpret_cast<const char *>(data), size) {}

    [[nodiscard]] bool is_empty() const { return rest_.empty(); }

    uint8_t byte() {
        const std::string_view one = bytes(1);
        return one.empty() ? 0 : static_cast<uint8_t>(one[0]);
    }

    // Below the bound, which is at most 256.
    uint32_t below(uint32_t bound) { return byte() % bound; }

    template <typename Number>
    Number number() {
        Number value{};
        const std::string_view read = bytes(sizeof(value));
        memcpy(&value, read.data(), read.size());
        return value;
    }

    std::string_view bytes(size_t size) {
        const std::string_view read = rest_.substr(0, size);
        rest_.remove_prefix(read.size());
        return read;
    }

    // Up to a separator, which is skipped.
    std::string_view part(char separator) {
        const size_t length = rest_.find(separator);
        const std::string_view read = rest_.substr(0, length);
        rest_.remove_prefix(length == std::string_view::npos ? rest_.size() : length + 1);
        return read;
    }

    // A line without its newline, and up to a zero byte, as a string has none.
    std::string_view line() {
        const std::string_view read = part('\n');
        return read.substr(0, read.find('\0'));
    }

    std::string_view rest() { return bytes(rest_.size()); }

  private:
    std::string_view rest_;
};

// What the library reads as a number: decimal digits alone, up to a bound. Returns -1 for another
// text.
inline int64_t decimal(std::string_view text, int64_t max) {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
        return -1;
    }
    int64_t number = 0;
    for (const char digit : text) {
        if (number > (max - (digit - '0')) / 10) {
            return -1;
        }
        number = 10 * number + (digit - '0');
    }
    return number;
}

// The same before and after a target that leaves none open.
inline int lowest_free_descriptor() {
    const int descriptor = dup(STDERR_FILENO);
    close(descriptor);
    return descriptor;
}

} // namespace fuzz

// What libFuzzer calls for each input.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
