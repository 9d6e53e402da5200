// Decimal numbers in text.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::base {

// Parses a decimal number within bounds and moves the text behind it. Returns false, and moves
// nothing, if there is none.
[[nodiscard]] inline bool parse_number(const char **text, int32_t min, int32_t max,
                                       int32_t *ret_number) {
    const char *digit = *text;
    const bool is_negative = *digit == '-';
    digit += is_negative ? 1 : 0;
    if (*digit < '0' || *digit > '9') {
        return false;
    }
    int64_t number = 0;
    while (*digit >= '0' && *digit <= '9') {
        number = 10 * number + (*digit++ - '0');
        if (number > INT32_MAX) {
            return false;
        }
    }
    number = is_negative ? -number : number;
    if (number < min || number > max) {
        return false;
    }
    *text = digit;
    *ret_number = static_cast<int32_t>(number);
    return true;
}

// A text that is a decimal number and nothing else; 0: it is none, or one too large.
[[nodiscard]] inline uint64_t parse_decimal(const char *text) {
    constexpr uint64_t radix = 10;
    uint64_t number = 0;
    do {
        const auto digit = static_cast<uint64_t>(*text) - '0';
        if (digit >= radix || number > (UINT64_MAX - digit) / radix) {
            return 0;
        }
        number = number * radix + digit;
    } while (*++text != '\0');
    return number;
}

} // namespace prefork::base
