// SPDX-License-Identifier: MIT
#include "os/spawn/strings.h"

#include <string.h>

namespace prefork::os {

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
    size_t position = 0;
    for (size_t index = 0; index < count; index++) {
        const size_t size = strlen(strings[index]) + 1;
        pointers_[index] = &text_[position];
        memcpy(pointers_[index], strings[index], size);
        position += size;
    }
    return true;
}

bool Strings::copy(const char *text, size_t length) {
    size_t count = 0;
    for (size_t position = 0; position < length; position++) {
        count += text[position] == '\0' ? 1 : 0;
    }
    if (!allocate(count, length)) {
        return false;
    }
    if (length > 0) {
        memcpy(&text_[0], text, length);
    }
    size_t position = 0;
    for (size_t index = 0; index < count; index++) {
        pointers_[index] = &text_[position];
        position += strlen(pointers_[index]) + 1;
    }
    return true;
}

} // namespace prefork::os
