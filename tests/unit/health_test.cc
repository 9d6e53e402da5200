// Readiness, heartbeats, age and reloads: the core alone.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include "supervised.h"

using namespace tests;

namespace {

constexpr Duration limit = 5 * second;

void worker_is_ready_only_when_it_says_so(void **) {
    Supervised pool;
    Settings settings;
    settings.ready_timeout = limit;
    assert_true(pool.begin(1, settings));
    pool.start_all();
    assert_true(pool.state(0) == State::running);

    pool.say(Input::Kind::ready, 0);

    assert_true(pool.state(0) == State::ready);
    assert_int_equal(pool.find(EventType::ready).task_id, 0);
    assert_true(pool.core.next_deadline() == never);
}

void worker_that_never_gets_ready_is_killed_and_counted(void **) {
    Supervised pool;
    Settings settings;
    settings.ready_timeout = limit;
    assert_true(pool.begin(1, settings));
    pool.start_all();

    pool.pass(limit);
    assert_int_equal(pool.find(EventType::unresponsive).task_id, 0);
    assert_int_equal(pool.count_signals(signal_kill), 1);
    pool.end(0, exit_with(0));

    const Event exited = pool.find(EventType::exited);
    assert_true(exited.will_restart);
    assert_true(exited.level == Level::warning);
    assert_int_equal(exited.restarts, 1);
}

void worker_whose_heart_stops_is_aborted_and_then_killed(void **) {
    Supervised pool;
    Settings settings;
    settings.heartbeat_timeout = limit;
    assert_true(pool.begin(1, settings));
    pool.start_all();

    for (uint32_t beat = 1; beat < 20; beat++) {
        pool.pass_and_beat(limit / heartbeat_checks_per_timeout + 1, beat);
    }
    assert_true(pool.state(0) == State::ready);
    while (pool.state(0) == State::ready) {
        pool.pass_and_beat(limit / heartbeat_checks_per_timeout + 1, 19);
    }

    assert_int_equal(pool.count_signals(signal_abort), 1);
    pool.pass(stop_timeout_default);
    assert_int_equal(pool.count_signals(signal_kill), 1);
    assert_int_equal(pool.find(EventType::killed).task_id, 0);
    pool.end(0, killed_by(9));
    assert_true(pool.find(EventType::exited).will_restart);
}

void heart_that_never_beat_has_not_stopped(void **) {
    Supervised pool;
    Settings settings;
    settings.heartbeat_timeout = limit;
    assert_true(pool.begin(1, settings));
    pool.start_all();

    for (int look = 0; look < 40; look++) {
        pool.pass_and_beat(limit / heartbeat_checks_per_timeout + 1, 0);
    }

    assert_true(pool.state(0) == State::ready);
}

void supervisor_that_was_stopped_kills_nobody_for_it(void **) {
    Supervised pool;
    Settings settings;
    settings.ready_timeout = limit;
    settings.heartbeat_timeout = limit;
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.say(Input::Kind::ready, 0);

    pool.pass_and_beat(100 * limit, 0);

    assert_true(pool.state(0) == State::ready);
    assert_true(pool.state(1) == State::running);
}

void old_workers_are_replaced_one_at_a_time(void **) {
    Supervised pool;
    Settings settings;
    settings.lifetime = 60 * second;
    assert_true(pool.begin(3, settings));
    pool.start_all();

    pool.pass(60 * second);

    for (uint32_t slot = 0; slot < 3; slot++) {
        const uint32_t old = pool.core.current(slot);
        assert_int_equal(pool.start_one(), slot);
        assert_int_equal(pool.core.startable(), 0);
        assert_int_equal(pool.core.alive(), 4);
        pool.pass(minimum_uptime_default);
        assert_int_equal(pool.count_signals(signal_terminate), 1);
        assert_int_equal(pool.core.startable(), 0); // until the old one has ended
        pool.end_worker(old, killed_by(15));
    }
}

void reload_replaces_all_workers_one_after_the_other(void **) {
    Supervised pool;
    assert_true(pool.begin(3, 0));
    pool.start_all();

    pool.give(Input::Kind::reload);
    for (uint32_t slot = 0; slot < 3; slot++) {
        const uint32_t old = pool.core.current(slot);
        assert_int_equal(pool.start_one(), slot);
        assert_int_equal(pool.core.startable(), 0);
        pool.pass(minimum_uptime_default);
        assert_int_equal(pool.count_signals(signal_terminate), 1);
        pool.end_worker(old, killed_by(15));
    }

    assert_int_equal(pool.find(EventType::reloading).task_id, -1);
    assert_int_equal(pool.find(EventType::reloaded).restarts, 0);
    assert_int_equal(pool.core.alive(), 3);
    assert_true(pool.core.next_deadline() == never);
}

void reload_that_fails_leaves_the_rest_as_it_was(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 0));
    pool.start_all();

    pool.give(Input::Kind::reload);
    pool.start_one();
    pool.end_worker(other_instance(pool.core.current(0)), exit_with(1));

    assert_int_equal(pool.find(EventType::reload_failed).task_id, 0);
    assert_int_equal(pool.core.startable(), 0);
    assert_int_equal(pool.core.alive(), 2);
    assert_int_equal(pool.count_signals(signal_terminate), 0);
}

void reload_can_stop_the_old_worker_first(void **) {
    Supervised pool;
    Settings settings;
    settings.reload_order = ReloadOrder::stop_first;
    assert_true(pool.begin(2, settings));
    pool.start_all();

    pool.give(Input::Kind::reload);
    for (uint32_t slot = 0; slot < 2; slot++) {
        assert_int_equal(pool.core.startable(), 0);
        assert_int_equal(pool.count_signals(signal_terminate), 1);
        pool.end(slot, killed_by(15));
        assert_int_equal(pool.start_one(), slot);
        pool.pass(minimum_uptime_default);
    }

    assert_int_equal(pool.find(EventType::reloaded).restarts, 0);
}

void second_reload_is_remembered_once(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 0));
    pool.start_all();
    pool.give(Input::Kind::reload);
    pool.give(Input::Kind::reload);
    pool.give(Input::Kind::reload);
    int starts = 0;

    for (int round = 0; round < 5; round++) {
        const uint32_t old = pool.core.current(0);
        if (pool.start_one() == Supervised::none) {
            break;
        }
        starts += 1;
        pool.pass(minimum_uptime_default);
        pool.end_worker(old, killed_by(15));
    }

    assert_int_equal(starts, 2);
}

void reload_several_at_a_time(void **) {
    Supervised pool;
    Settings settings;
    settings.reload_width = 2;
    assert_true(pool.begin(3, settings));
    pool.start_all();

    pool.give(Input::Kind::reload);

    const uint32_t old = pool.core.current(1);
    assert_int_equal(pool.start_all(), 2);
    pool.pass(minimum_uptime_default);
    assert_int_equal(pool.start_all(), 0);
    pool.end_worker(old, killed_by(15));
    assert_int_equal(pool.start_all(), 1);
    assert_int_equal(pool.core.alive(), 5);
}

void smaller_pool_drops_its_slots_from_a_reload(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 0));
    pool.start_all();
    pool.give(Input::Kind::reload);
    pool.start_one();
    pool.pass(minimum_uptime_default);
    pool.end_worker(other_instance(pool.core.current(0)), killed_by(15));
    pool.start_one();

    pool.resize(1);
    pool.end_worker(instance_of(1, 0), killed_by(15));
    pool.end_worker(instance_of(1, 1), killed_by(15));

    assert_int_equal(pool.find(EventType::reloaded).task_id, -1);
    assert_int_equal(pool.core.alive(), 1);
}

void stop_ends_a_reload(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 0));
    pool.start_all();
    pool.give(Input::Kind::reload);
    pool.start_one();

    pool.give(Input::Kind::stop);

    assert_int_equal(pool.count_signals(signal_terminate), 3);
    pool.end_worker(instance_of(0, 0), killed_by(15));
    pool.end_worker(instance_of(0, 1), killed_by(15));
    pool.end_worker(instance_of(1, 0), killed_by(15));
    assert_true(pool.core.done());
}

void reload_that_failed_with_slots_under_way_does_not_hold_up_the_next(void **) {
    Supervised pool;
    Settings settings;
    settings.reload_width = 2;
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.give(Input::Kind::reload);
    assert_int_equal(pool.start_all(), 2);
    pool.end_worker(other_instance(pool.core.current(0)), exit_with(1));
    assert_int_equal(pool.find(EventType::reload_failed).task_id, 0);

    pool.give(Input::Kind::reload); // slot 1 is still being replaced
    assert_int_equal(pool.start_one(), 0);
    pool.pass(minimum_uptime_default);
    for (uint32_t slot = 0; slot < 2; slot++) {
        pool.end_worker(other_instance(pool.core.current(slot)), killed_by(15));
    }
    assert_int_equal(pool.start_one(), 1);
    pool.pass(minimum_uptime_default);

    assert_int_equal(pool.find(EventType::reloaded).task_id, -1);
}

void worker_on_trial_of_a_reload_is_not_replaced_once_more(void **) {
    Supervised pool;
    Settings settings;
    settings.reload_order = ReloadOrder::stop_first;
    assert_true(pool.begin(1, settings));
    pool.start_all();
    pool.give(Input::Kind::reload);
    assert_true(pool.core.is_being_replaced(0));
    pool.end(0, killed_by(15));
    pool.start_one();

    pool.replace(0);

    assert_true(pool.core.is_being_replaced(0));
    assert_int_equal(pool.core.startable(), 0);
    pool.pass(minimum_uptime_default);
    assert_int_equal(pool.find(EventType::reloaded).task_id, -1);
    assert_false(pool.core.is_being_replaced(0));
}

void new_worker_does_not_have_the_age_of_the_one_before(void **) {
    Supervised pool;
    Settings settings;
    settings.lifetime = 60 * second;
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.pass(60 * second); // both are old; one has its turn
    pool.end(1, exit_with(1));
    assert_int_equal(pool.start_all(), 2);

    pool.pass(minimum_uptime_default);

    assert_int_equal(pool.count_signals(signal_terminate), 1);
    assert_int_equal(pool.core.startable(), 0);
}

void age_is_not_forgotten_when_a_replacement_fails(void **) {
    Supervised pool;
    Settings settings;
    settings.lifetime = 60 * second;
    assert_true(pool.begin(1, settings));
    pool.start_all();
    pool.pass(60 * second - second / 2);
    pool.replace(0); // the host's
    pool.start_one();
    pool.pass(second / 2); // it is old, but is being replaced already
    pool.end_worker(other_instance(pool.core.current(0)), exit_with(1));
    assert_int_equal(pool.find(EventType::reload_failed).task_id, 0);

    for (int tries = 0; tries < 3; tries++) {
        pool.pass(lifetime_retry);
        assert_int_equal(pool.start_one(), 0);
        pool.end_worker(other_instance(pool.core.current(0)), exit_with(1));
    }
}

void reload_and_age_do_not_replace_at_the_same_time(void **) {
    Supervised pool;
    Settings settings;
    settings.lifetime = 60 * second;
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.pass(30 * second);
    pool.end(0, exit_with(1));
    assert_int_equal(pool.start_all(), 1);
    pool.pass(30 * second);
    const uint32_t old = pool.core.current(1);
    assert_int_equal(pool.start_one(), 1);

    pool.give(Input::Kind::reload);

    assert_int_equal(pool.core.startable(), 0);
    pool.pass(minimum_uptime_default);
    assert_int_equal(pool.core.startable(), 0);
    pool.end_worker(old, killed_by(15));
    assert_int_equal(pool.start_one(), 0);
    assert_int_equal(pool.core.startable(), 0);
}

const CMUnitTest tests_of_health[] = {
    cmocka_unit_test(worker_is_ready_only_when_it_says_so),
    cmocka_unit_test(worker_that_never_gets_ready_is_killed_and_counted),
    cmocka_unit_test(worker_whose_heart_stops_is_aborted_and_then_killed),
    cmocka_unit_test(heart_that_never_beat_has_not_stopped),
    cmocka_unit_test(supervisor_that_was_stopped_kills_nobody_for_it),
    cmocka_unit_test(old_workers_are_replaced_one_at_a_time),
    cmocka_unit_test(reload_replaces_all_workers_one_after_the_other),
    cmocka_unit_test(reload_that_fails_leaves_the_rest_as_it_was),
    cmocka_unit_test(reload_can_stop_the_old_worker_first),
    cmocka_unit_test(second_reload_is_remembered_once),
    cmocka_unit_test(reload_several_at_a_time),
    cmocka_unit_test(smaller_pool_drops_its_slots_from_a_reload),
    cmocka_unit_test(stop_ends_a_reload),
    cmocka_unit_test(reload_and_age_do_not_replace_at_the_same_time),
    cmocka_unit_test(age_is_not_forgotten_when_a_replacement_fails),
    cmocka_unit_test(new_worker_does_not_have_the_age_of_the_one_before),
    cmocka_unit_test(worker_on_trial_of_a_reload_is_not_replaced_once_more),
    cmocka_unit_test(reload_that_failed_with_slots_under_way_does_not_hold_up_the_next),
};

} // namespace

int main() { return cmocka_run_group_tests_name("health", tests_of_health, nullptr, nullptr); }
