// What workers send to their pool: whom it is believed for, and how much of it is read.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "os/channel/link_text.h"
#include "os/channel/supervisor_channel.h"

using namespace prefork;
using base::second;
using os::Message;
using os::Record;
using os::RecordKind;
using os::SupervisorChannel;
using os::WorkerLink;

namespace {

constexpr uint32_t workers = 4;
constexpr base::Instant start = 1000 * second;

struct Pool {
    SupervisorChannel channel;
    WorkerLink links[workers];

    explicit Pool(base::Duration heartbeat_timeout = 0) {
        assert_int_equal(channel.open({true, false, heartbeat_timeout}), 0);
        assert_true(channel.grow(workers, 0));
        for (uint32_t worker = 0; worker < workers; worker++) {
            restart(worker);
        }
        channel.begin_read(start);
    }

    void restart(uint32_t worker) {
        links[worker] = channel.link_of_all();
        assert_int_equal(channel.begin_start(worker, start, &links[worker]), 0);
        channel.end_start(worker, true);
    }

    void send_bytes(const void *data, size_t size) const {
        assert_int_equal(write(links[0].up, data, size), size);
    }

    void send(uint32_t worker, RecordKind kind, uint8_t value = 0) const {
        const WorkerLink &link = links[worker];
        const Record record = Record::make(link.instance, link.token, kind, value);
        send_bytes(&record, sizeof(record));
    }

    void expect(uint32_t worker, Message::Kind kind = Message::Kind::ready) {
        Message message{};
        assert_true(channel.next(&message));
        assert_int_equal(message.worker, worker);
        assert_int_equal(message.kind, kind);
    }

    void expect_nothing() {
        Message message{};
        assert_false(channel.next(&message));
    }
};

void the_hash_is_that_of_its_authors(void **) {
    const os::SipKey key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

    assert_true(os::SipHash(key).of(0x0706050403020100) == 0x93f5f5799a932462);
}

void each_worker_speaks_for_itself(void **) {
    Pool pool;

    pool.send(2, RecordKind::ready);
    pool.send(0, RecordKind::ready);

    pool.expect(2);
    pool.expect(0);
    pool.expect_nothing();
    assert_false(pool.channel.met_nonsense());
}

void nobody_speaks_for_another(void **) {
    Pool pool;
    const WorkerLink &own = pool.links[1];

    const Record as_other = Record::make(pool.links[2].instance, own.token, RecordKind::ready, 0);
    const Record no_token = Record::make(own.instance, 0, RecordKind::ready, 0);
    pool.send_bytes(&as_other, sizeof(as_other));
    pool.send_bytes(&no_token, sizeof(no_token));

    pool.expect_nothing();
    assert_true(pool.channel.met_nonsense());
}

void what_an_earlier_worker_has_sent_is_not_for_its_successor(void **) {
    Pool pool;
    pool.send(1, RecordKind::ready);
    pool.send(1, RecordKind::exit_code, 3);
    pool.channel.ended(1);
    pool.restart(1);

    pool.expect_nothing();

    assert_int_equal(pool.channel.announced_exit(1), -1);
    pool.send(1, RecordKind::ready);
    pool.expect(1);
}

void records_are_found_behind_any_number_of_other_bytes(void **) {
    const char nonsense[64] = "no record begins at any of these bytes, whatever they are";

    for (size_t length = 0; length < sizeof(nonsense); length++) {
        Pool pool;
        pool.send_bytes(nonsense, length);
        pool.send(3, RecordKind::ready);
        pool.send_bytes(nonsense, length);
        pool.send(1, RecordKind::ready);

        pool.expect(3);
        pool.expect(1);
        pool.expect_nothing();
    }
}

void a_record_that_comes_in_pieces_is_one(void **) {
    Pool pool;
    const WorkerLink &link = pool.links[1];
    const Record record = Record::make(link.instance, link.token, RecordKind::ready, 0);
    const auto *bytes = reinterpret_cast<const char *>(&record);

    pool.send_bytes(bytes, 5);
    pool.expect_nothing();
    pool.send_bytes(bytes + 5, sizeof(record) - 5);

    pool.expect(1);
}

void unknown_kinds_and_workers_are_no_records(void **) {
    Pool pool;
    const WorkerLink &link = pool.links[1];

    constexpr uint8_t kinds[] = {0, 5, 63};
    for (const uint8_t kind : kinds) {
        Record record = Record::make(link.instance, link.token, static_cast<RecordKind>(kind), 0);
        pool.send_bytes(&record, sizeof(record));
    }
    Record record = Record::make({link.instance.life, workers}, link.token, RecordKind::ready, 0);
    pool.send_bytes(&record, sizeof(record));

    pool.expect_nothing();
}

void a_round_with_much_nonsense_ends(void **) {
    Pool pool;
    const char nonsense[1024] = "";
    assert_true(fcntl(pool.channel.descriptor(), F_SETPIPE_SZ, 512 * 1024) >= 512 * 1024);
    while (write(pool.links[0].up, nonsense, sizeof(nonsense)) > 0) {
    }
    assert_int_equal(errno, EAGAIN);

    pool.expect_nothing();

    int left = 0;
    char bytes[1024];
    ssize_t count = 0;
    while ((count = read(pool.channel.descriptor(), bytes, sizeof(bytes))) > 0) {
        left += static_cast<int>(count);
    }
    assert_true(left > 256 * 1024); /* for the rounds to come */
}

void who_is_ready_too_often_floods_and_is_reported_once(void **) {
    Pool pool;

    for (int count = 0; count < 40; count++) {
        pool.send(1, RecordKind::ready);
    }
    pool.send(2, RecordKind::ready);

    for (int count = 0; count < 8; count++) {
        pool.expect(1);
    }
    pool.expect(1, Message::Kind::flood);
    pool.expect(2);
    pool.expect_nothing();
    assert_true(pool.channel.met_nonsense());
}

void who_retires_is_reported_and_too_often_floods(void **) {
    Pool pool;

    for (int count = 0; count < 9; count++) {
        pool.send(1, RecordKind::retire);
    }

    for (int count = 0; count < 8; count++) {
        pool.expect(1, Message::Kind::retire);
    }
    pool.expect(1, Message::Kind::flood);
    pool.expect_nothing();
}

void heartbeats_beyond_eight_a_time_out_are_a_flood(void **) {
    Pool pool(10 * second);
    for (int count = 0; count < 16; count++) {
        pool.send(1, RecordKind::heartbeat);
    }
    pool.expect_nothing();
    assert_int_equal(pool.channel.heartbeats(1), 16);

    pool.send(1, RecordKind::heartbeat);

    pool.expect(1, Message::Kind::flood);
}

void heartbeats_of_a_long_pause_are_no_flood(void **) {
    Pool pool(10 * second);
    pool.channel.begin_read(start + 100 * second); /* the supervisor was stopped */

    for (int count = 0; count < 44; count++) {
        pool.send(1, RecordKind::heartbeat);
    }

    pool.expect_nothing();
    assert_int_equal(pool.channel.heartbeats(1), 44);
}

void an_exit_code_is_kept_until_the_worker_has_ended(void **) {
    Pool pool;
    pool.send(1, RecordKind::exit_code, 200);

    pool.expect_nothing();

    assert_int_equal(pool.channel.announced_exit(1), 200);
    assert_int_equal(pool.channel.announced_exit(2), -1);
    pool.channel.ended(1);
    assert_int_equal(pool.channel.announced_exit(1), -1);
}

void a_link_survives_its_way_through_the_environment(void **) {
    WorkerLink link;
    link.instance = {INT32_MAX, 131'071};
    link.token = 0x0123456789abcdef;
    link.heartbeat_interval = 2500 * base::millisecond;
    link.supervisor = 4'194'304;
    link.death_signal = 15;
    link.up = 1'048'575;
    link.down = 1'048'574;
    link.pidfd = 1'048'573;
    link.up_file.inode = 0xfedcba9876543210;
    link.is_awaited = true;
    char text[192];
    base::Text made(text, sizeof(text));
    write_link(link, &made);
    WorkerLink read;

    assert_true(os::read_link(text, &read));

    assert_int_equal(read.instance.life, INT32_MAX);
    assert_int_equal(read.instance.worker, 131'071);
    assert_true(read.token == link.token);
    assert_true(read.up_file.inode == link.up_file.inode);
    assert_true(read.heartbeat_interval == link.heartbeat_interval);
    assert_int_equal(read.supervisor, link.supervisor);
    assert_int_equal(read.death_signal, 15);
    assert_int_equal(read.up, link.up);
    assert_int_equal(read.down, link.down);
    assert_int_equal(read.pidfd, link.pidfd);
    assert_int_equal(read.liveness, -1);
    assert_true(read.is_awaited);
    assert_false(read.announces_exit);
}

void texts_that_are_no_links_are_refused(void **) {
    const char *const texts[] = {
        "",
        ":::::::::::::::::",
        "1",
        "1:2:3:4:5:0:1:15:0:0:",
        "1:2:3:4:5:0:1:15:0:0:0123456789abcdef",
        "1:2:3:4:5:0:1:15:0:0:0123456789abcdef:",
        "1:2:3:4:5:0:1:15:0:0:7:0123456789abcdef",
        "1:2:3:4:5:0:1:15:0:0:0000000000000007:0123456789abcde",
        "1:2:3:4:5:0:1:15:0:0:0000000000000007:0123456789abcdef0",
        "1:2:3:4:5:0:1:15:0:0:0000000000000007:0123456789abcdeg",
        "1:2:3:4:5:0:1:15:0:0:0000000000000007:0123456789ABCDEF",
        "0:2:3:4:5:0:1:15:0:0:0000000000000007:0123456789abcdef",
        "-5:2:3:4:5:0:1:15:0:0:0000000000000007:0123456789abcdef",
        "1:-2:3:4:5:0:1:15:0:0:0000000000000007:0123456789abcdef",
        "1:2:3:-1:5:0:1:15:0:0:0000000000000007:0123456789abcdef",
        "1:2:3:4:5:-1:1:15:0:0:0000000000000007:0123456789abcdef",
        "1:2:3:4:5:262144:1:15:0:0:0000000000000007:0123456789abcdef",
        "1:2:3:4:5:0:0:15:0:0:0000000000000007:0123456789abcdef",
        "1:2:3:4:5:0:1:-1:0:0:0000000000000007:0123456789abcdef",
        "1:2:3:4:5:0:1:15:-1:0:0000000000000007:0123456789abcdef",
        "1:2:3:4:5:0:1:15:0:-1:0000000000000007:0123456789abcdef",
        "99999999999999999999:2:3:4:5:0:1:15:0:0:0000000000000007:0123456789abcdef",
        "1:2:3:2147483648:5:0:1:15:0:0:0000000000000007:0123456789abcdef",
    };
    WorkerLink link;

    for (const char *text : texts) {
        assert_false(os::read_link(text, &link));
    }
    assert_int_equal(link.up, -1);
}

void a_link_to_what_is_no_pipe_is_refused(void **) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    os::FdIdentity up;
    assert_true(up.capture(ends[1]));
    WorkerLink link;
    link.up = ends[1];

    assert_false(os::check_link(&link)); /* it is another pipe */
    link.up_file.inode = up.inode;
    assert_true(os::check_link(&link));
    link.down = ends[0];
    assert_true(os::check_link(&link));
    link.down = file;
    assert_false(os::check_link(&link));
    link.down = -1;
    for (const int descriptor : {ends[0], file, 1'000'000}) {
        link.up = descriptor;
        assert_false(os::check_link(&link));
    }

    assert_int_equal(close(ends[0]) | close(ends[1]) | close(file), 0);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_that_of_its_authors),
        cmocka_unit_test(each_worker_speaks_for_itself),
        cmocka_unit_test(nobody_speaks_for_another),
        cmocka_unit_test(what_an_earlier_worker_has_sent_is_not_for_its_successor),
        cmocka_unit_test(records_are_found_behind_any_number_of_other_bytes),
        cmocka_unit_test(a_record_that_comes_in_pieces_is_one),
        cmocka_unit_test(unknown_kinds_and_workers_are_no_records),
        cmocka_unit_test(a_round_with_much_nonsense_ends),
        cmocka_unit_test(who_is_ready_too_often_floods_and_is_reported_once),
        cmocka_unit_test(who_retires_is_reported_and_too_often_floods),
        cmocka_unit_test(heartbeats_beyond_eight_a_time_out_are_a_flood),
        cmocka_unit_test(heartbeats_of_a_long_pause_are_no_flood),
        cmocka_unit_test(an_exit_code_is_kept_until_the_worker_has_ended),
        cmocka_unit_test(a_link_survives_its_way_through_the_environment),
        cmocka_unit_test(texts_that_are_no_links_are_refused),
        cmocka_unit_test(a_link_to_what_is_no_pipe_is_refused),
    };

    return cmocka_run_group_tests_name("channel", tests, nullptr, nullptr);
}
