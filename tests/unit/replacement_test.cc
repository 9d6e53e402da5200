// Planned replacements that meet failures, other plans and a host that is late: the core alone.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>

#include "supervised.h"

using namespace tests;

namespace {

uint32_t new_worker(const Supervised &pool, uint32_t slot) {
    return other_instance(pool.core.current(slot));
}

void fatal_status_of_a_replacement_is_its_own_failure(void **) {
    Supervised pool;
    Settings settings;
    settings.exit_actions.set(78, ExitAction::fatal);
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.replace(0);
    pool.start_one();

    pool.end_worker(new_worker(pool, 0), exit_with(78));

    assert_int_equal(pool.find(EventType::reload_failed).task_id, 0);
    assert_true(pool.core.running());
    assert_true(pool.state(0) == State::ready);
    assert_int_equal(pool.core.restarts(), 0);
}

void fatal_status_of_a_worker_that_is_being_replaced_is_a_restart(void **) {
    Supervised pool;
    Settings settings;
    settings.exit_actions.set(78, ExitAction::fatal);
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.give(Input::Kind::reload);
    pool.start_one();

    pool.end(0, exit_with(78));

    const Event end = pool.find(EventType::exited);
    assert_true(end.will_restart);
    assert_int_equal(end.restarts, 1);
    assert_int_equal(pool.core.restarts(0), 1);
    assert_true(pool.core.running());
    assert_true(pool.state(0) == State::running); // the new one, on trial
}

// Until one of the new program has been good, its status takes nobody down.
void fatal_status_in_the_slot_of_a_failed_replacement_counts_as_a_crash(void **) {
    Supervised pool;
    Settings settings;
    settings.exit_actions.set(78, ExitAction::fatal);
    settings.reload_order = ReloadOrder::stop_first;
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.give(Input::Kind::reload);
    pool.end(0, killed_by(15));
    for (int32_t count = 1; count <= 3; count++) {
        assert_int_equal(pool.start_one(), 0);
        pool.end(0, exit_with(78));
        assert_int_equal(pool.core.restarts(0), count);
    }
    assert_int_equal(pool.find(EventType::reload_failed).task_id, 0);
    assert_true(pool.core.running());

    assert_int_equal(pool.start_one(), 0);
    pool.pass(minimum_uptime_default);
    assert_true(pool.state(0) == State::ready);
    pool.end(0, exit_with(78));

    assert_int_equal(pool.find(EventType::gave_up).error, code_fatal);
    assert_false(pool.core.running());
}

void signal_to_stop_soon_makes_a_stop_under_way_quick(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();
    pool.give(Input::Kind::stop);
    pool.pass(second);
    Input input;
    input.kind = Input::Kind::stop;
    input.signal = 2;
    input.quick = true;

    pool.core.step(input, pool.now);

    assert_int_equal(pool.count_signals(15), 1);
    pool.pass(quick_stop_timeout);
    assert_int_equal(pool.count_signals(9), 1);
    assert_int_equal(pool.core.stop_signal(), 2);
}

void start_failure_that_counts_is_counted_in_its_slot(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    pool.start_all();
    pool.end(1, exit_with(1));
    assert_int_equal(pool.core.restarts(1), 1);

    assert_int_equal(pool.fail_one(-ENOENT, false), 1);
    assert_int_equal(pool.core.restarts(1), 2);
    pool.pass(start_retry_first);
    assert_int_equal(pool.fail_one(-EAGAIN, true), 1);

    assert_int_equal(pool.core.restarts(1), 2);
    assert_int_equal(pool.core.restarts(0), 0);
}

void worker_that_was_killed_for_its_silence_is_reported_so_once(void **) {
    Supervised pool;
    Settings settings;
    settings.heartbeat_timeout = second;
    settings.stop_timeout = 10 * second;
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.pass_and_beat(second, 1);
    while (pool.state(1) == State::ready) {
        pool.pass_and_beat(second / 4, 1);
    }
    assert_int_equal(pool.count_signals(signal_abort), 2);
    pool.pass(10 * second);
    assert_int_equal(pool.count_signals(signal_kill), 2);
    assert_int_not_equal(pool.find(EventType::killed).task_id, -2);
    assert_int_not_equal(pool.find(EventType::killed).task_id, -2);

    pool.resize(1); // it takes its time to die, and nobody wants it any more
    pool.give(Input::Kind::stop);
    pool.pass(20 * second);

    assert_int_equal(pool.find(EventType::killed).task_id, -2);
    assert_int_equal(pool.count_signals(signal_kill), 0);
}

void quick_stop_leaves_a_silent_worker_no_more_time_than_others(void **) {
    Supervised pool;
    Settings settings;
    settings.heartbeat_timeout = second;
    settings.stop_timeout = 60 * second;
    assert_true(pool.begin(1, settings));
    pool.start_all();
    pool.pass_and_beat(second, 1);
    while (pool.state(0) == State::ready) {
        pool.pass_and_beat(second / 4, 1);
    }
    Input input;
    input.kind = Input::Kind::stop;
    input.signal = 2;
    input.quick = true;

    pool.core.step(input, pool.now);
    pool.pass(quick_stop_timeout);

    assert_int_equal(pool.find(EventType::killed).task_id, 0);
}

void start_that_can_not_succeed_ends_a_reload_that_stops_first(void **) {
    Supervised pool;
    Settings settings;
    settings.reload_order = ReloadOrder::stop_first;
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.give(Input::Kind::reload);
    pool.end(0, killed_by(15));

    assert_int_equal(pool.fail_one(-ENOENT, false), 0);

    const Event failed = pool.find(EventType::reload_failed);
    assert_int_equal(failed.task_id, 0);
    assert_int_equal(failed.error, -ENOENT);
    pool.pass(start_retry_first);
    assert_int_equal(pool.start_one(), 0); // by the restart policy
    pool.pass(minimum_uptime_default);
    assert_true(pool.state(0) == State::ready);
    assert_int_equal(pool.count_signals(15), 1);
}

void new_worker_of_a_reload_stays_on_trial_when_the_old_one_crashes(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    pool.start_all();
    pool.give(Input::Kind::reload);
    pool.start_one();
    pool.end(0, killed_by(11));
    assert_int_equal(pool.core.startable(), 0); // slot 1 is not touched before the new one is good

    pool.end(0, exit_with(1));

    assert_int_equal(pool.find(EventType::reload_failed).task_id, 0);
    assert_int_equal(pool.start_all(), 1);
    assert_int_equal(pool.core.alive(), 2);
}

void reload_that_waits_for_room_begins_when_there_is_some(void **) {
    Supervised pool;
    assert_true(pool.begin(1, restarts_unlimited));
    uint32_t lives = 0;
    while (pool.start_one() != Supervised::none) { // until no life would have room
        pool.end(0, exit_with(1));
        lives += 1;
    }
    for (uint32_t change = 0; change < 20; change++) {
        assert_true(pool.core.reserve(2, 0));
        pool.resize(1 + change % 2);
    }
    pool.give(Input::Kind::reload);
    assert_true(pool.core.next_deadline() == never);

    for (uint32_t taken = 0; taken < lives; taken++) {
        Event event;
        assert_true(pool.core.pop_event(&event));
        assert_true(event.type != EventType::reloading);
    }

    assert_true(pool.core.next_deadline() <= pool.now);
    pool.pass(0);
    assert_int_equal(pool.find(EventType::reloading).task_id, -1);
    assert_true(pool.core.next_deadline() == never);
}

void age_is_not_forgotten_while_the_worker_before_takes_its_time(void **) {
    Supervised pool;
    Settings settings;
    settings.lifetime = 5 * second;
    settings.stop_timeout = 0;
    assert_true(pool.begin(1, settings));
    pool.start_all();
    const uint32_t first = pool.core.current(0);
    pool.pass(5 * second);
    assert_int_equal(pool.start_one(), 0);
    pool.pass(minimum_uptime_default);
    assert_int_equal(pool.count_signals(15), 1);
    pool.pass(5 * second); // the new one is old too, and the slot's other instance is taken
    assert_int_equal(pool.core.startable(), 0);

    pool.end_worker(first, killed_by(15));

    assert_int_equal(pool.start_one(), 0);
    assert_int_equal(pool.core.alive(), 2);
}

void replacement_under_way_in_a_slot_that_was_dropped_is_stopped(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    pool.start_all();
    pool.replace(1);
    Input input;
    input.kind = Input::Kind::started;
    input.worker = pool.core.pop_start();
    input.pid = 200;
    pool.resize(1);
    pool.resize(2);
    const uint32_t old = pool.core.current(1);
    assert_int_equal(pool.count_signals(15), 1);

    pool.core.step(input, pool.now);

    assert_int_equal(pool.count_signals(15), 1);
    pool.end_worker(old, killed_by(15));
    assert_int_equal(pool.start_one(), 1);
    pool.end_worker(input.worker, killed_by(15));
    assert_true(pool.state(1) == State::ready);
    assert_int_equal(pool.core.alive(), 2);
}

void old_worker_that_gets_ready_meanwhile_does_not_end_its_replacement(void **) {
    Supervised pool;
    Settings settings;
    settings.ready_timeout = 10 * second;
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.give(Input::Kind::reload);
    assert_int_equal(pool.start_all(), 1);

    pool.say(Input::Kind::ready, 0);
    assert_int_equal(pool.core.startable(), 0); // slot 1 has to wait for the new worker
    assert_int_equal(pool.count_signals(15), 0);

    pool.end_worker(new_worker(pool, 0), exit_with(1));
    assert_int_equal(pool.find(EventType::reload_failed).task_id, 0);
    assert_int_equal(pool.core.startable(), 0);
}

void reload_that_was_remembered_begins_when_the_first_is_over(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();
    pool.give(Input::Kind::reload);
    pool.give(Input::Kind::reload);
    pool.start_one();

    pool.pass(minimum_uptime_default);

    Event event;
    bool over = false;
    while (pool.core.pop_event(&event) && !(over && event.type == EventType::reloading)) {
        over = over || event.type == EventType::reloaded;
    }
    assert_true(event.type == EventType::reloading);
    assert_int_equal(pool.core.startable(), 0); // the old one is still there
    assert_true(pool.core.next_deadline() > pool.now);
}

// What the host has asked for meanwhile comes after it.
void slot_that_a_reload_leaves_given_up_counts_as_such(void **) {
    Supervised pool;
    Settings settings;
    settings.max_restarts = 0;
    settings.on_limit = OnLimit::degrade;
    assert_true(pool.begin(3, settings));
    pool.start_all();
    pool.give(Input::Kind::reload);
    pool.replace(1);
    pool.end(2, exit_with(0));
    for (uint32_t slot = 0; slot < 2; slot++) {
        assert_int_equal(pool.start_one(), slot);
        pool.pass(minimum_uptime_default);
        if (slot == 0) {
            pool.end_worker(new_worker(pool, slot), killed_by(15));
        }
    }
    pool.end(1, killed_by(11));

    pool.end_worker(new_worker(pool, 1), killed_by(15));

    assert_int_equal(pool.find(EventType::reloaded).task_id, -1);
    assert_int_equal(pool.start_one(), 1);
    pool.end(1, exit_with(0));
    pool.end(0, exit_with(0));
    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), code_gave_up);
}

const CMUnitTest tests_of_replacement[] = {
    cmocka_unit_test(fatal_status_of_a_replacement_is_its_own_failure),
    cmocka_unit_test(fatal_status_of_a_worker_that_is_being_replaced_is_a_restart),
    cmocka_unit_test(fatal_status_in_the_slot_of_a_failed_replacement_counts_as_a_crash),
    cmocka_unit_test(signal_to_stop_soon_makes_a_stop_under_way_quick),
    cmocka_unit_test(start_failure_that_counts_is_counted_in_its_slot),
    cmocka_unit_test(worker_that_was_killed_for_its_silence_is_reported_so_once),
    cmocka_unit_test(quick_stop_leaves_a_silent_worker_no_more_time_than_others),
    cmocka_unit_test(start_that_can_not_succeed_ends_a_reload_that_stops_first),
    cmocka_unit_test(new_worker_of_a_reload_stays_on_trial_when_the_old_one_crashes),
    cmocka_unit_test(reload_that_waits_for_room_begins_when_there_is_some),
    cmocka_unit_test(age_is_not_forgotten_while_the_worker_before_takes_its_time),
    cmocka_unit_test(replacement_under_way_in_a_slot_that_was_dropped_is_stopped),
    cmocka_unit_test(old_worker_that_gets_ready_meanwhile_does_not_end_its_replacement),
    cmocka_unit_test(reload_that_was_remembered_begins_when_the_first_is_over),
    cmocka_unit_test(slot_that_a_reload_leaves_given_up_counts_as_such),
};

} // namespace

int main() {
    return cmocka_run_group_tests_name("replacement", tests_of_replacement, nullptr, nullptr);
}
