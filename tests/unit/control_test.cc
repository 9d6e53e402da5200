// Resizing a pool and replacing a worker: the core alone.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>

#include "supervised.h"

using namespace tests;

namespace {

void larger_pool_starts_the_new_slots(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    pool.start_all();
    assert_true(pool.core.reserve(5, 0));

    pool.resize(5);

    assert_int_equal(pool.find(EventType::resized).count, 5);
    assert_int_equal(pool.start_one(), 2);
    assert_int_equal(pool.start_one(), 3);
    assert_int_equal(pool.start_one(), 4);
    assert_int_equal(pool.core.alive(), 5);
}

void resizing_that_nobody_took_notice_of_is_reported_before_the_end(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    for (uint32_t change = 0; change < 500; change++) {
        pool.resize(1 + change % 2);
    }
    Event event;
    Event before;

    pool.give(Input::Kind::stop);
    assert_true(pool.core.done());
    while (pool.core.pop_event(&event)) {
        before = event.type == EventType::done ? before : event;
    }

    assert_true(event.type == EventType::done);
    assert_true(before.type == EventType::resized);
    assert_int_equal(before.count, 2);
}

void smaller_pool_stops_the_highest_slots(void **) {
    Supervised pool;
    assert_true(pool.begin(4, 5));
    pool.start_all();

    pool.resize(2);

    Signal signal{};
    assert_true(pool.core.pop_signal(&signal));
    assert_int_equal(slot_of(signal.worker), 3);
    assert_true(pool.core.pop_signal(&signal));
    assert_int_equal(slot_of(signal.worker), 2);
    assert_false(pool.core.pop_signal(&signal));
    assert_int_equal(pool.core.slots(), 2);
    pool.end(3, killed_by(15));
    pool.end(2, killed_by(15));
    assert_int_equal(pool.core.alive(), 2);
    assert_int_equal(pool.core.startable(), 0);
}

void slot_that_is_wanted_again_starts_when_its_old_worker_has_ended(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    pool.start_all();
    pool.resize(1);
    pool.count_signals(15);

    pool.resize(2);
    assert_int_equal(pool.core.startable(), 0);
    pool.end(1, killed_by(15));

    assert_int_equal(pool.start_one(), 1);
}

void smaller_pool_forgets_a_slot_in_backoff(void **) {
    Supervised pool;
    Settings settings;
    settings.backoff_first = 10 * second;
    settings.backoff_max = 10 * second;
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.end(1, exit_with(1));

    pool.resize(1);

    assert_true(pool.core.next_deadline() == never);
    assert_int_equal(pool.core.alive(), 1);
}

void smaller_pool_withdraws_starts_that_wait(void **) {
    Supervised pool;
    assert_true(pool.begin(3, 5));
    pool.start_one();
    pool.fail_one(-EAGAIN, true);

    pool.resize(1);

    assert_true(pool.core.next_deadline() == never);
    assert_int_equal(pool.core.startable(), 0);
    pool.end(0, exit_with(0));
    assert_true(pool.core.done());
}

void start_under_way_in_a_slot_that_was_given_up_is_stopped(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    pool.start_one();
    Input input;
    input.kind = Input::Kind::started;
    input.worker = pool.core.pop_start();
    input.pid = 77;

    pool.resize(1);
    pool.core.step(input, pool.now);

    assert_int_equal(pool.count_signals(15), 1);
    pool.end(1, killed_by(15));
    assert_int_equal(pool.core.alive(), 1);
}

void slots_that_the_host_has_stopped_are_not_waited_for(void **) {
    Supervised pool;
    Input input;
    input.kind = Input::Kind::stop_worker;
    assert_true(pool.begin(2, 5));
    assert_int_equal(pool.start_one(), 0);
    assert_false(pool.core.all_ready());

    input.worker = 1;
    pool.step(input);
    assert_true(pool.core.all_ready());
    input.worker = 0;
    pool.step(input);
    pool.end(0, killed_by(15));

    assert_true(pool.core.all_ready());
    assert_true(pool.core.running());
    assert_true(pool.core.next_deadline() == never); /* nothing wakes it */
}

void replacement_takes_over_once_it_has_lived_for_a_while(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();
    const uint32_t old = pool.core.current(0);

    pool.replace(0);
    assert_int_equal(pool.start_one(), 0);
    assert_int_equal(pool.core.alive(), 2);
    assert_true(pool.core.is_being_replaced(0));
    pool.pass(minimum_uptime_default - 1);
    assert_int_equal(pool.core.current(0), old);
    assert_int_equal(pool.count_signals(15), 0);
    pool.pass(1);

    assert_int_not_equal(pool.core.current(0), old);
    assert_int_equal(pool.count_signals(15), 1);
    pool.end_worker(old, killed_by(15));
    assert_false(pool.core.is_being_replaced(0));
    assert_int_equal(pool.core.alive(), 1);
    assert_int_equal(pool.core.restarts(0), 0);
}

void replacement_that_ends_too_soon_leaves_the_old_worker(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();
    const uint32_t old = pool.core.current(0);
    pool.replace(0);
    pool.start_one();

    pool.end_worker(other_instance(old), exit_with(1));

    assert_int_equal(pool.find(EventType::reload_failed).task_id, 0);
    assert_int_equal(pool.core.current(0), old);
    assert_true(pool.state(0) == State::ready);
    assert_int_equal(pool.core.startable(), 0);
    assert_true(pool.core.next_deadline() == never);
}

void old_worker_that_crashes_meanwhile_is_followed_by_the_new_one(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();
    const uint32_t old = pool.core.current(0);
    pool.replace(0);
    pool.start_one();

    pool.end_worker(old, killed_by(11));

    assert_int_equal(pool.core.current(0), other_instance(old));
    assert_true(pool.state(0) == State::ready);
    assert_int_equal(pool.core.startable(), 0);
    assert_true(pool.core.next_deadline() == never);
}

void replacing_a_slot_in_backoff_starts_it_now(void **) {
    Supervised pool;
    Settings settings;
    settings.backoff_first = 10 * second;
    settings.backoff_max = 10 * second;
    assert_true(pool.begin(1, settings));
    pool.start_all();
    pool.end(0, exit_with(1));

    pool.replace(0);

    assert_int_equal(pool.start_one(), 0);
    assert_true(pool.core.next_deadline() == never);
}

void replacing_a_slot_that_is_done_starts_it(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    pool.start_all();
    pool.end(0, exit_with(0));

    pool.replace(0);

    assert_int_equal(pool.start_one(), 0);
}

void stop_during_a_replacement_stops_both(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();
    pool.replace(0);
    pool.start_one();

    pool.give(Input::Kind::stop);

    assert_int_equal(pool.count_signals(15), 2);
    pool.end_worker(0, killed_by(15));
    assert_false(pool.core.done());
    pool.end_worker(1, killed_by(15));
    assert_true(pool.core.done());
}

void quick_stop_kills_sooner(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();
    Input input;
    input.kind = Input::Kind::stop;
    input.signal = 2;
    input.quick = true;

    pool.core.step(input, pool.now);

    assert_int_equal(pool.count_signals(15), 1);
    pool.pass(quick_stop_timeout);
    assert_int_equal(pool.count_signals(9), 1);
}

void stop_without_signal_or_time_out_only_waits(void **) {
    Supervised pool;
    Settings settings;
    settings.stop_signal = 0;
    settings.stop_timeout = 0;
    assert_true(pool.begin(1, settings));
    pool.start_all();

    pool.give(Input::Kind::stop);

    Signal signal{};
    assert_true(pool.core.pop_signal(&signal));
    assert_true(signal.asks_to_stop);
    assert_int_equal(signal.number, 0);
    assert_false(pool.core.pop_signal(&signal));
    assert_true(pool.core.next_deadline() == never);
    pool.end(0, exit_with(0));
    assert_true(pool.core.done());
}

void pause_of_the_supervisor_leaves_workers_their_time_to_stop(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 0));
    pool.start_all();
    pool.give(Input::Kind::stop);
    pool.pass(stop_timeout_default + stop_timeout_default / 2 + 1);
    assert_int_equal(pool.count_signals(signal_kill), 0);

    pool.pass(stop_timeout_default - 1);
    assert_int_equal(pool.count_signals(signal_kill), 0);
    pool.pass(1);

    assert_int_equal(pool.count_signals(signal_kill), 2);
}

void supervisor_that_is_late_each_time_kills_in_the_end(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 0));
    pool.start_all();
    pool.give(Input::Kind::stop);

    for (uint8_t late = 0; late < renewals_max; late++) {
        pool.pass(2 * stop_timeout_default);
        assert_int_equal(pool.count_signals(signal_kill), 0);
    }
    pool.pass(2 * stop_timeout_default);

    assert_int_equal(pool.count_signals(signal_kill), 1);
}

void signals_wait_for_a_worker_that_is_not_ready(void **) {
    Supervised pool;
    Settings settings;
    settings.ready_timeout = 5 * second;
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.say(Input::Kind::ready, 0);
    Signal signal{};

    for (const int32_t number : {10, 12, 10}) {
        pool.give(Input::Kind::pass_on, number);
        assert_true(pool.core.pop_signal(&signal));
        assert_int_equal(slot_of(signal.worker), 0);
        assert_int_equal(signal.passed_on, 1U << static_cast<uint32_t>(number));
        assert_false(pool.core.pop_signal(&signal));
    }

    pool.say(Input::Kind::ready, 1);
    assert_true(pool.core.pop_signal(&signal));
    assert_int_equal(slot_of(signal.worker), 1);
    assert_int_equal(signal.passed_on, 1U << 10 | 1U << 12);
    assert_false(pool.core.pop_signal(&signal));
}

const CMUnitTest tests_of_control[] = {
    cmocka_unit_test(larger_pool_starts_the_new_slots),
    cmocka_unit_test(resizing_that_nobody_took_notice_of_is_reported_before_the_end),
    cmocka_unit_test(smaller_pool_stops_the_highest_slots),
    cmocka_unit_test(slot_that_is_wanted_again_starts_when_its_old_worker_has_ended),
    cmocka_unit_test(smaller_pool_forgets_a_slot_in_backoff),
    cmocka_unit_test(smaller_pool_withdraws_starts_that_wait),
    cmocka_unit_test(start_under_way_in_a_slot_that_was_given_up_is_stopped),
    cmocka_unit_test(slots_that_the_host_has_stopped_are_not_waited_for),
    cmocka_unit_test(replacement_takes_over_once_it_has_lived_for_a_while),
    cmocka_unit_test(replacement_that_ends_too_soon_leaves_the_old_worker),
    cmocka_unit_test(old_worker_that_crashes_meanwhile_is_followed_by_the_new_one),
    cmocka_unit_test(replacing_a_slot_in_backoff_starts_it_now),
    cmocka_unit_test(replacing_a_slot_that_is_done_starts_it),
    cmocka_unit_test(stop_during_a_replacement_stops_both),
    cmocka_unit_test(quick_stop_kills_sooner),
    cmocka_unit_test(stop_without_signal_or_time_out_only_waits),
    cmocka_unit_test(pause_of_the_supervisor_leaves_workers_their_time_to_stop),
    cmocka_unit_test(supervisor_that_is_late_each_time_kills_in_the_end),
    cmocka_unit_test(signals_wait_for_a_worker_that_is_not_ready),
};

} // namespace

int main() { return cmocka_run_group_tests_name("control", tests_of_control, nullptr, nullptr); }
