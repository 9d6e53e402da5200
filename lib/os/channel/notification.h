// A message of systemd's notification protocol, as sd_notify(3) describes it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace prefork::os {

// What of a message a pool believes. The other assignments mean nothing to it.
struct Notification {
    bool ready = false; // READY=1
    bool alive = false; // WATCHDOG=1
    bool hangs = false; // WATCHDOG=trigger
};

// The text has one assignment in each line, and no zero byte at its end.
Notification parse_notification(const char *text, size_t length);

} // namespace prefork::os
