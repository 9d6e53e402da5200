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

} // namespace prefork::base
