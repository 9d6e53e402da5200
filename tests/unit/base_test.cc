// The small parts: ring, text, deadlines, messages of events.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/number.h"
#include "base/ring.h"
#include "base/text.h"
#include "core/deadlines.h"
#include "runtime/event.h"

using namespace prefork;

namespace {

void ring_gives_back_in_order_over_many_rounds(void **) {
    base::Ring<int> ring;
    assert_true(ring.allocate(3));
    int in = 0;
    int out = 0;

    for (int round = 0; round < 50; round++) {
        while (ring.room() > static_cast<size_t>(round % 2)) {
            assert_true(ring.push(in++));
        }
        assert_int_equal(ring.pop(), out++);
        assert_int_equal(ring.pop(), out++);
    }
    assert_int_equal(ring.size(), in - out);
}

void text_is_cut_where_its_buffer_ends(void **) {
    char buffer[8];

    base::Text text(buffer, sizeof(buffer));
    text.add("abc").add(int64_t{-12345});

    assert_string_equal(buffer, "abc-123");
    assert_int_equal(text.length(), 7);
}

void text_writes_the_smallest_and_the_largest_number(void **) {
    char buffer[64];

    base::Text(buffer, sizeof(buffer))
        .add(INT64_MIN)
        .add(" ")
        .add(INT64_MAX)
        .add(" ")
        .add(int64_t{0});

    assert_string_equal(buffer, "-9223372036854775808 9223372036854775807 0");
}

// Against the plainest model: an array that is searched.
void numbers_are_read_within_bounds(void ** /*state*/) {
    struct {
        const char *text;
        int32_t min;
        int32_t max;
        bool is_right;
        int32_t number;
    } constexpr cases[] = {
        {"0", 0, 0, true, 0},
        {"007", 0, 7, true, 7},
        {"8", 0, 7, false, 0},
        {"-1", 0, 7, false, 0},
        {"-1", -1, 7, true, -1},
        {"-2", -1, 7, false, 0},
        {"2147483647", 0, INT32_MAX, true, INT32_MAX},
        {"2147483648", INT32_MIN, INT32_MAX, false, 0},
        {"-2147483647", INT32_MIN, INT32_MAX, true, -INT32_MAX},
        {"99999999999999999999999999", 0, INT32_MAX, false, 0},
        {"", INT32_MIN, INT32_MAX, false, 0},
        {"-", INT32_MIN, INT32_MAX, false, 0},
        {"+1", INT32_MIN, INT32_MAX, false, 0},
        {" 1", INT32_MIN, INT32_MAX, false, 0},
    };
    for (const auto &entry : cases) {
        const char *text = entry.text;
        int32_t number = 0;
        assert_int_equal(base::parse_number(&text, entry.min, entry.max, &number), entry.is_right);
        assert_int_equal(number, entry.number);
        assert_ptr_equal(text, entry.is_right ? entry.text + strlen(entry.text) : entry.text);
    }
}

void deadlines_come_in_order_whatever_was_armed_and_disarmed(void **) {
    constexpr uint32_t owners = 37;
    const auto seed = static_cast<unsigned int>(time(nullptr));
    print_message("seed %u\n", seed);
    srand(seed);
    core::Deadlines deadlines;
    core::Instant model[owners];
    assert_true(deadlines.grow(owners, 0));
    for (core::Instant &deadline : model) {
        deadline = core::never;
    }

    for (int step = 0; step < 20'000; step++) {
        const auto owner = static_cast<uint32_t>(rand()) % owners;
        core::Instant nearest = core::never;
        if (rand() % 3 == 0) {
            deadlines.disarm(owner);
            model[owner] = core::never;
        } else {
            model[owner] = static_cast<core::Instant>(rand() % 1000);
            deadlines.arm(owner, model[owner]);
        }
        for (const core::Instant deadline : model) {
            nearest = deadline < nearest ? deadline : nearest;
        }
        assert_true(deadlines.nearest() == nearest);
        uint32_t due = 0;
        if (rand() % 4 == 0 && nearest != core::never) {
            assert_true(deadlines.list_due(nearest, &due));
            assert_true(model[due] == nearest);
            model[due] = core::never;
        }
    }
}

const char *message_of(const core::Event &value) {
    static pf_event event;
    runtime::set_event(value, &event);
    return runtime::message_of(event);
}

core::Event fact_of(core::EventType type, core::Exit::Kind kind, int32_t code, bool will_restart) {
    core::Event value;
    value.type = type;
    value.task_id = 3;
    value.pid = 4711;
    value.exit.kind = kind;
    value.exit.code = code;
    value.will_restart = will_restart;
    return value;
}

void exits_are_reported_in_the_classic_lines(void **) {
    using core::EventType;
    using core::Exit;

    assert_string_equal(message_of(fact_of(EventType::exited, Exit::Kind::exited, 0, false)),
                        "child 3 (pid 4711) exited normally");
    assert_string_equal(message_of(fact_of(EventType::exited, Exit::Kind::exited, 7, true)),
                        "child 3 (pid 4711) exited with status 7, restarting");
    assert_string_equal(message_of(fact_of(EventType::exited, Exit::Kind::exited, 7, false)),
                        "child 3 (pid 4711) exited with status 7");
    assert_string_equal(message_of(fact_of(EventType::exited, Exit::Kind::signaled, 11, true)),
                        "child 3 (pid 4711) killed by signal 11, restarting");
    assert_string_equal(message_of(fact_of(EventType::exited, Exit::Kind::unknown, 0, true)),
                        "child 3 (pid 4711) ended with unknown status, restarting");
    core::Event delayed = fact_of(EventType::exited, Exit::Kind::exited, 1, true);
    delayed.delay = 250 * core::millisecond;
    assert_string_equal(message_of(delayed),
                        "child 3 (pid 4711) exited with status 1, restarting in 250 ms");
}

void other_events_have_lines_in_the_same_manner(void **) {
    core::Event value;
    value.task_id = 3;
    value.pid = 4711;
    value.count = 5;

    value.type = core::EventType::starting;
    assert_string_equal(message_of(value), "Starting 5 processes");
    value.type = core::EventType::stopping;
    assert_string_equal(message_of(value), "Stopping 5 processes");
    value.signal = 15;
    assert_string_equal(message_of(value), "Stopping 5 processes on signal 15");
    value.type = core::EventType::killed;
    value.delay = 10 * core::second;
    assert_string_equal(message_of(value),
                        "child 3 (pid 4711) did not stop within 10000 ms, killed");
    value.type = core::EventType::gave_up;
    assert_string_equal(message_of(value), "Too many child restarts, giving up");
    value.type = core::EventType::start_failed;
    value.error = -EAGAIN;
    assert_string_equal(message_of(value),
                        "child 3 could not be started: Resource temporarily unavailable");
    value.will_restart = true;
    value.delay = 10 * core::millisecond;
    assert_string_equal(message_of(value), "child 3 could not be started: Resource temporarily "
                                           "unavailable, trying again in 10 ms");
}

const CMUnitTest tests_of_base[] = {
    cmocka_unit_test(ring_gives_back_in_order_over_many_rounds),
    cmocka_unit_test(text_is_cut_where_its_buffer_ends),
    cmocka_unit_test(text_writes_the_smallest_and_the_largest_number),
    cmocka_unit_test(numbers_are_read_within_bounds),
    cmocka_unit_test(deadlines_come_in_order_whatever_was_armed_and_disarmed),
    cmocka_unit_test(exits_are_reported_in_the_classic_lines),
    cmocka_unit_test(other_events_have_lines_in_the_same_manner),
};

} // namespace

int main() { return cmocka_run_group_tests_name("base", tests_of_base, nullptr, nullptr); }
