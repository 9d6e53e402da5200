// What a worker that does not know this library reports, as a service does to systemd.
//
// The input: the message.
//
// SPDX-License-Identifier: MIT
#include "input.h"
#include "os/channel/notification.h"

using prefork::os::Notification;
using prefork::os::parse_notification;

namespace {

// Whether one of the lines is exactly that.
bool has_line(std::string_view text, std::string_view wanted) {
    const std::string lines = "\n" + std::string(text) + "\n";
    return lines.find("\n" + std::string(wanted) + "\n") != std::string::npos;
}

void expect_parsed(const char *message, std::string_view text) {
    const Notification found = parse_notification(message, text.size());
    EXPECT(found.ready == has_line(text, "READY=1"));
    EXPECT(found.alive == has_line(text, "WATCHDOG=1"));
    EXPECT(found.hangs == has_line(text, "WATCHDOG=trigger"));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    // On the heap without a byte to spare, also at its end: a message has no zero byte there.
    auto *exact = new char[size];
    text.copy(exact, size);
    expect_parsed(exact, text);
    delete[] exact;
    return 0;
}
