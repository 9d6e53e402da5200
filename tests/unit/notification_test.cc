// What is read of a message of systemd's notification protocol.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <string_view>

#include "os/channel/notification.h"

using prefork::os::Notification;
using prefork::os::parse_notification;

namespace {

Notification parse(std::string_view text) { return parse_notification(text.data(), text.size()); }

void assert_nothing_in(std::string_view text) {
    const Notification found = parse(text);
    assert_false(found.ready || found.alive || found.hangs);
}

void each_assignment_is_found_alone(void **) {
    const Notification ready = parse("READY=1");
    const Notification alive = parse("WATCHDOG=1\n");
    const Notification hangs = parse("WATCHDOG=trigger");

    assert_true(ready.ready && !ready.alive && !ready.hangs);
    assert_true(alive.alive && !alive.ready && !alive.hangs);
    assert_true(hangs.hangs && !hangs.ready && !hangs.alive);
}

void assignments_are_found_among_others(void **) {
    const Notification both = parse("STATUS=up\nREADY=1\nMAINPID=12\n\nWATCHDOG=1\nX_Y=");

    assert_true(both.ready && both.alive && !both.hangs);
}

void other_values_mean_nothing(void **) {
    for (const char *text :
         {"", "\n", "\n\n", "READY=0", "READY=", "READY=11", "READY=1 ", " READY=1", "READY=1\r\n",
          "ready=1", "STATUS=READY=1", "WATCHDOG=0", "WATCHDOG=triggers", "WATCHDOG_USEC=1"}) {
        assert_nothing_in(text);
    }
}

void a_zero_byte_belongs_to_its_line(void **) {
    assert_nothing_in(std::string_view("READY=1\0", 8));
    assert_true(parse(std::string_view("A=\0\nREADY=1", 11)).ready);
}

void nothing_behind_the_end_is_read(void **) {
    const char text[] = "READY=1\nWATCHDOG=1";

    assert_false(parse_notification(text, 6).ready);
    assert_true(parse_notification(text, 7).ready);
    assert_false(parse_notification(text, sizeof(text) - 2).alive);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(each_assignment_is_found_alone),
        cmocka_unit_test(assignments_are_found_among_others),
        cmocka_unit_test(other_values_mean_nothing),
        cmocka_unit_test(a_zero_byte_belongs_to_its_line),
        cmocka_unit_test(nothing_behind_the_end_is_read),
    };
    return cmocka_run_group_tests_name("notification", tests, nullptr, nullptr);
}
