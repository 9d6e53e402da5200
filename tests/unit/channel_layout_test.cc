// What a supervisor and its workers send each other has the layout of version 0.2. A worker by exec
// may have a later library than its supervisor, of the same soname, so this stays as it is.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <string.h>

#include "os/channel/link_text.h"
#include "os/channel/record.h"

using namespace prefork;
using os::Command;
using os::CommandKind;
using os::Record;
using os::RecordKind;
using os::WorkerLink;

namespace {

constexpr os::Instance instance = {7, 5}; // the seventh life, of worker 5

void records_have_the_layout_of_0_2(void **) {
    const Record record = Record::make(instance, 0x1122334455667788, RecordKind::exit_code, 9);
    uint32_t head[2];
    uint64_t token = 0;
    memcpy(head, &record, sizeof(head));
    memcpy(&token, reinterpret_cast<const char *>(&record) + 8, sizeof(token));
    assert_int_equal(sizeof(Record), 16);
    assert_int_equal(head[0], 7);
    assert_int_equal(head[1], 9U << 24 | 3U << 18 | 5U);
    assert_true(token == 0x1122334455667788);

    assert_int_equal(static_cast<int>(RecordKind::ready), 1);
    assert_int_equal(static_cast<int>(RecordKind::heartbeat), 2);
    assert_int_equal(static_cast<int>(RecordKind::exit_code), 3);
    assert_int_equal(static_cast<int>(RecordKind::retire), 4);
}

void commands_have_the_layout_of_0_2(void **) {
    const Command command = {CommandKind::take_slot, 6, instance, 0x1122334455667788};
    uint32_t head[4];
    uint64_t token = 0;
    memcpy(head, &command, sizeof(head));
    memcpy(&token, reinterpret_cast<const char *>(&command) + 16, sizeof(token));
    assert_int_equal(sizeof(Command), 24);
    assert_int_equal(head[0], 4);
    assert_int_equal(head[1], 6);
    assert_int_equal(head[2], 7);
    assert_int_equal(head[3], 5);
    assert_true(token == 0x1122334455667788);

    assert_int_equal(static_cast<int>(CommandKind::stop), 1);
    assert_int_equal(static_cast<int>(CommandKind::admitted), 2);
    assert_int_equal(static_cast<int>(CommandKind::refused), 3);
}

void links_have_the_text_of_0_2(void **) {
    char buffer[256];
    base::Text text(buffer, sizeof(buffer));
    WorkerLink link;
    link.instance = instance;
    link.token = 0x1122334455667788;
    link.heartbeat_interval = 250 * base::millisecond;
    link.up_file.inode = 0x99;
    link.supervisor = 1234;
    link.death_signal = 15;
    link.up = 4;
    link.down = 6;
    link.pidfd = 8;
    link.is_awaited = true;
    os::write_link(link, &text);
    assert_string_equal(buffer, "1234:8:-1:4:6:5:7:15:250000:1:0000000000000099:1122334455667788");
    link.is_awaited = false;
    link.announces_exit = true;
    link.keeps_down = false;
    text = base::Text(buffer, sizeof(buffer));
    os::write_link(link, &text);
    assert_string_equal(buffer, "1234:8:-1:4:6:5:7:15:250000:6:0000000000000099:1122334455667788");
}

} // namespace

int main() {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_have_the_layout_of_0_2),
        cmocka_unit_test(commands_have_the_layout_of_0_2),
        cmocka_unit_test(links_have_the_text_of_0_2),
    };

    return cmocka_run_group_tests_name("channel layout", tests, nullptr, nullptr);
}
