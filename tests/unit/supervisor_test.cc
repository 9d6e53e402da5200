// The policy of the core, without a process or a clock.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>

#include "supervised.h"

using namespace tests;

namespace {

void workers_start_in_the_order_of_their_ids(void **) {
    Supervised pool;
    assert_true(pool.begin(3, 0));

    assert_int_equal(pool.find(EventType::starting).count, 3);
    assert_int_equal(pool.start_one(), 0);
    assert_int_equal(pool.start_one(), 1);
    assert_int_equal(pool.start_one(), 2);
    assert_int_equal(pool.core.startable(), 0);
    assert_int_equal(pool.core.alive(), 3);
}

void worker_that_ends_abnormally_is_started_again_in_its_slot(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 10));
    pool.start_all();
    pool.now += 3 * second;

    pool.end(1, killed_by(9));

    const Event exited = pool.find(EventType::exited);
    assert_int_equal(exited.task_id, 1);
    assert_int_equal(exited.pid, 101);
    assert_true(exited.will_restart);
    assert_true(exited.level == Level::warning);
    assert_true(exited.uptime == 3 * second);
    assert_int_equal(exited.restarts, 1);
    assert_int_equal(pool.start_one(), 1);
}

void worker_that_exits_normally_is_not_started_again(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 10));
    pool.start_all();

    pool.end(0, exit_with(0));
    assert_int_equal(pool.core.startable(), 0);
    assert_false(pool.core.done());
    pool.end(1, exit_with(0));

    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), 0);
    assert_false(pool.find(EventType::exited).will_restart);
    assert_int_equal(pool.find(EventType::done).error, 0);
}

void limit_allows_exactly_as_many_restarts_over_all_slots(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 3));
    pool.start_all();

    for (uint32_t end = 0; end < 3; end++) {
        pool.end(end % 2, exit_with(7));
        assert_int_equal(pool.start_all(), 1);
    }
    pool.end(1, exit_with(7));

    assert_int_equal(pool.core.startable(), 0);
    assert_int_equal(pool.find(EventType::gave_up).restarts, 3);
    assert_int_equal(pool.find(EventType::stopping).count, 1);
    assert_int_equal(pool.count_signals(15), 1);
    assert_false(pool.core.done());
    pool.end(0, killed_by(15));
    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), code_gave_up);
}

void limit_of_none_gives_up_at_the_first_crash(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 0));
    pool.start_all();

    pool.end(0, exit_with(1));

    assert_false(pool.find(EventType::exited).will_restart);
    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), code_gave_up);
}

void unlimited_restarts_do_not_end(void **) {
    Supervised pool;
    assert_true(pool.begin(1, restarts_unlimited));

    for (int crash = 0; crash < 1000; crash++) {
        assert_int_equal(pool.start_all(), 1);
        pool.end(0, exit_with(1));
        assert_int_equal(pool.find(EventType::exited).restarts, crash + 1);
    }
}

void status_that_is_unknown_counts_as_abnormal(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();

    pool.end(0, Exit{});

    assert_true(pool.find(EventType::exited).will_restart);
}

void stop_asks_each_worker_and_kills_after_the_time_out(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    pool.start_all();

    pool.give(Input::Kind::stop, 15);
    assert_int_equal(pool.count_signals(15), 2);
    assert_int_equal(pool.find(EventType::stopping).signal, 15);
    pool.end(0, killed_by(15));
    pool.pass(stop_timeout_default - 1);
    assert_int_equal(pool.count_signals(9), 0);
    pool.pass(1);

    assert_int_equal(pool.count_signals(9), 1);
    assert_int_equal(pool.find(EventType::killed).task_id, 1);
    pool.end(1, killed_by(9));
    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), 0);
    assert_int_equal(pool.core.stop_signal(), 15);
    assert_true(pool.core.next_deadline() == never);
}

void worker_that_was_asked_to_end_is_no_warning_and_not_restarted(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();
    pool.give(Input::Kind::stop);

    pool.end(0, exit_with(3));

    const Event exited = pool.find(EventType::exited);
    assert_true(exited.level == Level::information);
    assert_false(exited.will_restart);
    assert_int_equal(exited.restarts, 0);
}

void second_signal_kills_but_not_one_that_follows_at_once(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    pool.start_all();
    pool.give(Input::Kind::stop, 2);
    assert_int_equal(pool.count_signals(15), 2);

    pool.now += second_signal_after - 1;
    pool.give(Input::Kind::stop, 2);
    assert_int_equal(pool.count_signals(9), 0);
    pool.now += 1;
    pool.give(Input::Kind::stop, 15);

    assert_int_equal(pool.count_signals(9), 2);
    assert_int_equal(pool.core.stop_signal(), 2);
}

void stop_without_a_signal_again_changes_nothing(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();
    pool.give(Input::Kind::stop);
    assert_int_equal(pool.count_signals(15), 1);

    pool.now += 5 * second;
    pool.give(Input::Kind::stop);

    assert_int_equal(pool.count_signals(15), 0);
    assert_true(pool.core.next_deadline() == 1 * second + stop_timeout_default);
}

void kill_ends_all_workers_at_once(void **) {
    Supervised pool;
    assert_true(pool.begin(3, 5));
    pool.start_all();

    pool.give(Input::Kind::kill);

    assert_int_equal(pool.count_signals(9), 3);
    for (uint32_t worker = 0; worker < 3; worker++) {
        pool.end(worker, killed_by(9));
    }
    assert_true(pool.core.done());
}

void stop_before_all_have_started_starts_no_more(void **) {
    Supervised pool;
    assert_true(pool.begin(3, 5));
    pool.start_one();

    pool.give(Input::Kind::stop);

    assert_int_equal(pool.core.startable(), 0);
    pool.end(0, killed_by(15));
    assert_true(pool.core.done());
}

void worker_whose_start_was_under_way_at_the_stop_is_stopped_too(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    Input input;
    input.kind = Input::Kind::started;
    input.worker = pool.core.pop_start();
    input.pid = 100;

    pool.give(Input::Kind::stop);
    assert_false(pool.core.done());
    pool.core.step(input, pool.now);

    assert_int_equal(pool.count_signals(15), 1);
    pool.end(0, killed_by(15));
    assert_true(pool.core.done());
}

const CMUnitTest tests_of_supervisor[] = {
    cmocka_unit_test(workers_start_in_the_order_of_their_ids),
    cmocka_unit_test(worker_that_ends_abnormally_is_started_again_in_its_slot),
    cmocka_unit_test(worker_that_exits_normally_is_not_started_again),
    cmocka_unit_test(limit_allows_exactly_as_many_restarts_over_all_slots),
    cmocka_unit_test(limit_of_none_gives_up_at_the_first_crash),
    cmocka_unit_test(unlimited_restarts_do_not_end),
    cmocka_unit_test(status_that_is_unknown_counts_as_abnormal),
    cmocka_unit_test(stop_asks_each_worker_and_kills_after_the_time_out),
    cmocka_unit_test(worker_that_was_asked_to_end_is_no_warning_and_not_restarted),
    cmocka_unit_test(second_signal_kills_but_not_one_that_follows_at_once),
    cmocka_unit_test(stop_without_a_signal_again_changes_nothing),
    cmocka_unit_test(kill_ends_all_workers_at_once),
    cmocka_unit_test(stop_before_all_have_started_starts_no_more),
    cmocka_unit_test(worker_whose_start_was_under_way_at_the_stop_is_stopped_too),
};

} // namespace

int main() {
    return cmocka_run_group_tests_name("supervisor", tests_of_supervisor, nullptr, nullptr);
}
