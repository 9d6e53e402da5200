// SPDX-License-Identifier: MIT
#include "os/fd/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

namespace prefork::os {

Lines::Lines(const char *path)
    : error_(file_.adopt(open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC))) {}

char *Lines::next() {
    size_t length = 0;
    bool any = false;
    for (int character = read_character(); character >= 0; character = read_character()) {
        any = true;
        if (character == '\n') {
            break;
        }
        if (length + 1 < sizeof(line_)) {
            line_[length++] = static_cast<char>(character);
        }
    }
    line_[length] = '\0';
    return any ? line_ : nullptr;
}

int Lines::read_character() {
    while (place_ == length_) {
        if (error_ != 0) {
            return -1;
        }
        const ssize_t length = read(file_.get(), buffer_, sizeof(buffer_));
        if (length > 0) {
            length_ = static_cast<size_t>(length);
            place_ = 0;
        } else if (length == 0 || errno != EINTR) {
            error_ = length < 0 ? -errno : 0;
            return -1;
        }
    }
    return static_cast<unsigned char>(buffer_[place_++]);
}

} // namespace prefork::os
