// SPDX-License-Identifier: MIT
#include "os/spawn/strings.h"

#include <string.h>

namespace prefork::os {

int32_t read_number(const char **text) {
    const bool is_negative = **text == '-';
    const char *digit = *text + (is_negative ? 1 : 0);
    int64_t number = 0;
    if (*digit < '0' || *digit > '9') {
        return -1;
    }
    while (*digit >= '0' && *digit <= '9' && number <= INT32_MAX) {
        number = 10 * number + (*digit++ - '0');
    }
    *text = digit;
    if (number > INT32_MAX) {
        return -1;
    }
    return static_cast<int32_t>(is_negative ? -number : number);
}

bool read_number_within(const char **text, int32_t min, int32_t max, int32_t *ret_number) {
    const char *place = *text;
    const bool is_negative = *place == '-';
    place += is_negative ? 1 : 0;
    if (*place < '0' || *place > '9') {
        return false;
    }
    int64_t number = 0;
    while (*place >= '0' && *place <= '9') {
        number = 10 * number + (*place++ - '0');
        if (number > INT32_MAX) {
            return false;
        }
    }
    number = is_negative ? -number : number;
    if (number < min || number > max) {
        return false;
    }
    *text = place;
    *ret_number = static_cast<int32_t>(number);
    return true;
}

bool Strings::allocate(size_t count, size_t length) {
    base::Array<char *> pointers;
    base::Array<char> text;
    if (!pointers.allocate(count + 1) || !text.allocate(length)) {
        return false;
    }
    pointers_.swap(pointers);
    text_.swap(text);
    count_ = static_cast<uint32_t>(count);
    return true;
}

bool Strings::copy(const char *const *strings) {
    size_t count = 0;
    size_t length = 0;
    while (strings[count] != nullptr) {
        length += strlen(strings[count++]) + 1;
    }
    if (!allocate(count, length)) {
        return false;
    }
    size_t place = 0;
    for (size_t index = 0; index < count; index++) {
        const size_t size = strlen(strings[index]) + 1;
        pointers_[index] = &text_[place];
        memcpy(pointers_[index], strings[index], size);
        place += size;
    }
    return true;
}

bool Strings::copy(const char *text, size_t length) {
    size_t count = 0;
    for (size_t place = 0; place < length; place++) {
        count += text[place] == '\0' ? 1 : 0;
    }
    if (!allocate(count, length)) {
        return false;
    }
    if (length > 0) {
        memcpy(&text_[0], text, length);
    }
    size_t place = 0;
    for (size_t index = 0; index < count; index++) {
        pointers_[index] = &text_[place];
        place += strlen(pointers_[index]) + 1;
    }
    return true;
}

} // namespace prefork::os
