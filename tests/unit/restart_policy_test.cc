// When and how soon workers are restarted: the core alone.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include "supervised.h"

using namespace tests;

namespace {

void worker_is_always_restarted_where_the_host_says_so(void **) {
    Supervised pool;
    Settings settings;
    settings.restart = RestartWhen::always;
    assert_true(pool.begin(1, settings));
    pool.start_all();

    pool.now += 2 * second;
    pool.end(0, exit_with(0));

    const Event exited = pool.find(EventType::exited);
    assert_true(exited.will_restart);
    assert_int_equal(exited.restarts, 0);
    assert_true(exited.level == Level::information);
    assert_int_equal(pool.start_all(), 1);
}

void clean_exit_counts_only_before_the_minimum_uptime(void **) {
    Supervised pool;
    Settings settings;
    settings.restart = RestartWhen::always;
    settings.max_restarts = 1;
    assert_true(pool.begin(1, settings));
    pool.start_all();

    pool.now += minimum_uptime_default - 1;
    pool.end(0, exit_with(0));
    assert_int_equal(pool.find(EventType::exited).restarts, 1);
    pool.start_all();
    pool.now += minimum_uptime_default - 1;
    pool.end(0, exit_with(0));

    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), code_gave_up);
}

void minimum_uptime_of_none_counts_no_clean_exit(void **) {
    Supervised pool;
    Settings settings;
    settings.restart = RestartWhen::always;
    settings.max_restarts = 0;
    settings.minimum_uptime = 0;
    assert_true(pool.begin(1, settings));
    pool.start_all();

    pool.end(0, exit_with(0));
    assert_int_equal(pool.find(EventType::exited).restarts, 0);
    pool.start_all();
    pool.end(0, exit_with(1));

    assert_int_equal(pool.core.result(), code_gave_up);
}

void nobody_is_restarted_where_the_host_says_so(void **) {
    Supervised pool;
    Settings settings;
    settings.restart = RestartWhen::none;
    assert_true(pool.begin(2, settings));
    pool.start_all();

    pool.end(0, killed_by(11));
    pool.end(1, exit_with(0));

    assert_true(pool.state(0) == State::empty);
    assert_true(pool.state(1) == State::done);
    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), 0);
}

void window_limits_restarts_but_lets_them_age(void **) {
    Supervised pool;
    Settings settings;
    settings.max_restarts = restarts_unlimited;
    settings.window_max = 2;
    settings.window = 10 * second;
    assert_true(pool.begin(1, settings));
    pool.start_all();

    for (int round = 0; round < 6; round++) {
        pool.now += 5 * second;
        pool.end(0, exit_with(1));
        assert_int_equal(pool.start_all(), 1);
    }
    pool.end(0, exit_with(1));

    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), code_gave_up);
}

void backoff_doubles_between_half_and_whole_and_stays_at_the_most(void **) {
    Supervised pool;
    Settings settings;
    settings.max_restarts = restarts_unlimited;
    settings.backoff_first = 100 * millisecond;
    settings.backoff_max = 1 * second;
    assert_true(pool.begin(1, settings));
    Duration undrawn = settings.backoff_first;

    for (int crash = 0; crash < 8; crash++) {
        assert_int_equal(pool.start_all(), 1);
        pool.end(0, exit_with(1));
        const Event exited = pool.find(EventType::exited);
        assert_in_range(exited.delay, undrawn / 2, undrawn);
        assert_true(pool.state(0) == State::backing_off);
        assert_true(pool.core.next_deadline() == pool.now + exited.delay);
        pool.pass(exited.delay);
        undrawn = 2 * undrawn < settings.backoff_max ? 2 * undrawn : settings.backoff_max;
    }
}

void backoff_begins_anew_after_a_stable_life(void **) {
    Supervised pool;
    Settings settings;
    settings.backoff_first = 100 * millisecond;
    settings.backoff_max = 1 * second;
    assert_true(pool.begin(1, settings));
    for (int crash = 0; crash < 5; crash++) {
        pool.start_all();
        pool.end(0, exit_with(1));
        pool.pass(pool.find(EventType::exited).delay);
    }

    pool.start_all();
    pool.now += settings.backoff_max;
    pool.end(0, exit_with(1));

    assert_in_range(pool.find(EventType::exited).delay, 50 * millisecond, 100 * millisecond);
}

void stable_life_that_ends_normally_lets_backoff_begin_anew_too(void **) {
    Supervised pool;
    Settings settings;
    settings.restart = RestartWhen::always;
    settings.backoff_first = 100 * millisecond;
    settings.backoff_max = 2 * second;
    assert_true(pool.begin(1, settings));
    for (int crash = 0; crash < 5; crash++) {
        pool.start_all();
        pool.end(0, exit_with(1));
        pool.pass(pool.find(EventType::exited).delay);
    }

    pool.start_all();
    pool.now += settings.backoff_max;
    pool.end(0, exit_with(0));
    assert_true(pool.find(EventType::exited).delay == 0);
    pool.start_all();
    pool.end(0, exit_with(1));

    assert_in_range(pool.find(EventType::exited).delay, 50 * millisecond, 100 * millisecond);
}

void slot_in_backoff_does_not_hold_up_others(void **) {
    Supervised pool;
    Settings settings;
    settings.backoff_first = 1 * second;
    settings.backoff_max = 8 * second;
    assert_true(pool.begin(2, settings));
    pool.start_all();
    pool.end(0, exit_with(1));

    pool.end(1, exit_with(1));
    const Duration first = pool.find(EventType::exited).delay;
    const Duration second_delay = pool.find(EventType::exited).delay;

    pool.pass(first > second_delay ? first : second_delay);
    assert_int_equal(pool.start_all(), 2);
}

void limit_can_leave_a_slot_empty_and_go_on(void **) {
    Supervised pool;
    Settings settings;
    settings.max_restarts = 0;
    settings.on_limit = OnLimit::degrade;
    assert_true(pool.begin(2, settings));
    pool.start_all();

    pool.end(0, exit_with(1));
    assert_int_equal(pool.find(EventType::gave_up).task_id, 0);
    assert_true(pool.state(0) == State::empty);
    assert_false(pool.core.done());
    assert_int_equal(pool.core.alive(), 1);
    pool.end(1, exit_with(1));

    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), code_gave_up);
}

void fatal_status_ends_the_pool(void **) {
    Supervised pool;
    Settings settings;
    settings.exit_actions.set(3, ExitAction::fatal);
    assert_true(pool.begin(2, settings));
    pool.start_all();

    pool.end(0, exit_with(3));

    const Event exited = pool.find(EventType::exited);
    assert_false(exited.will_restart);
    assert_int_equal(exited.restarts, 0);
    assert_int_equal(pool.find(EventType::gave_up).error, code_fatal);
    assert_int_equal(pool.count_signals(15), 1);
    pool.end(1, killed_by(15));
    assert_int_equal(pool.core.result(), code_fatal);
}

void stop_ends_a_backoff_at_once(void **) {
    Supervised pool;
    Settings settings;
    settings.backoff_first = 10 * second;
    settings.backoff_max = 10 * second;
    assert_true(pool.begin(1, settings));
    pool.start_all();
    pool.end(0, exit_with(1));

    pool.give(Input::Kind::stop);

    assert_true(pool.core.done());
    assert_true(pool.core.next_deadline() == never);
}

const CMUnitTest tests_of_policy[] = {
    cmocka_unit_test(worker_is_always_restarted_where_the_host_says_so),
    cmocka_unit_test(clean_exit_counts_only_before_the_minimum_uptime),
    cmocka_unit_test(minimum_uptime_of_none_counts_no_clean_exit),
    cmocka_unit_test(nobody_is_restarted_where_the_host_says_so),
    cmocka_unit_test(window_limits_restarts_but_lets_them_age),
    cmocka_unit_test(backoff_doubles_between_half_and_whole_and_stays_at_the_most),
    cmocka_unit_test(backoff_begins_anew_after_a_stable_life),
    cmocka_unit_test(stable_life_that_ends_normally_lets_backoff_begin_anew_too),
    cmocka_unit_test(slot_in_backoff_does_not_hold_up_others),
    cmocka_unit_test(limit_can_leave_a_slot_empty_and_go_on),
    cmocka_unit_test(fatal_status_ends_the_pool),
    cmocka_unit_test(stop_ends_a_backoff_at_once),
};

} // namespace

int main() {
    return cmocka_run_group_tests_name("restart policy", tests_of_policy, nullptr, nullptr);
}
