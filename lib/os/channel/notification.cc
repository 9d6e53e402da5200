// SPDX-License-Identifier: MIT
#include "os/channel/notification.h"

#include <string.h>

#include "base/text.h"

namespace prefork::os {

namespace {

bool is_line(const char *line, size_t length, const char *expected) {
    return length == base::length_of(expected) && memcmp(line, expected, length) == 0;
}

} // namespace

Notification parse_notification(const char *text, size_t length) {
    Notification notification;
    while (length > 0) {
        const auto *end = static_cast<const char *>(memchr(text, '\n', length));
        const size_t line = end == nullptr ? length : static_cast<size_t>(end - text);
        notification.ready = notification.ready || is_line(text, line, "READY=1");
        notification.alive = notification.alive || is_line(text, line, "WATCHDOG=1");
        notification.hangs = notification.hangs || is_line(text, line, "WATCHDOG=trigger");
        const size_t read = end == nullptr ? line : line + 1;
        text += read;
        length -= read;
    }
    return notification;
}

} // namespace prefork::os
