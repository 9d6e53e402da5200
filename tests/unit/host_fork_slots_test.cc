// Workers that the host forks: what becomes of them, and of those that they replace.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include "requesting.h"

using namespace tests;

namespace {

void replacement_that_is_owed_takes_over_a_slot_that_is_wanted_again(void **) {
    Requesting pool;
    assert_true(pool.begin(2, 5));
    pool.request_and_answer_all();
    pool.replace(1);
    pool.request_all();
    assert_int_equal(pool.pop_request(), 1);
    pool.resize(1);
    pool.end(1, killed_by(15));

    pool.resize(2);

    assert_int_equal(pool.core.startable(), 0); // one request for one slot
    pool.answer(1);
    assert_true(pool.state(1) == State::ready);
    assert_int_equal(pool.core.alive(), 2);
}

void slot_wanted_again_gets_the_replacement_when_its_old_worker_ends(void **) {
    Requesting pool;
    assert_true(pool.begin(2, 5));
    pool.request_and_answer_all();
    pool.replace(1);
    pool.request_all();
    assert_int_equal(pool.pop_request(), 1);
    pool.resize(1);
    pool.resize(2);

    pool.end(1, killed_by(15));

    assert_int_equal(pool.core.startable(), 0);
    pool.answer(1);
    assert_true(pool.state(1) == State::ready);
}

void worker_that_ends_hands_over_to_the_one_that_is_owed(void **) {
    Requesting pool;
    assert_true(pool.begin(1, 0));
    pool.request_and_answer_all();
    pool.replace(0);
    pool.request_all();
    pool.pop_request();

    pool.end(0, exit_with(1));

    assert_int_equal(pool.core.startable(), 0);
    assert_true(pool.state(0) == State::starting);
    pool.answer(0);
    assert_true(pool.state(0) == State::running); // it has to show that it is good
    pool.pass(minimum_uptime_default);
    assert_true(pool.state(0) == State::ready);
    assert_false(pool.core.done());
}

void replacement_that_nobody_answers_for_is_asked_for_again(void **) {
    Requesting pool;
    assert_true(pool.begin(1, 0));
    pool.request_and_answer_all();
    pool.give(Input::Kind::reload);
    pool.request_all();
    assert_int_equal(pool.pop_request(), 0);
    pool.pass(fork_result_timeout);

    assert_int_equal(pool.find(EventType::start_failed).error, -ETIMEDOUT);
    assert_int_equal(pool.request_all(), 1);
    assert_int_equal(pool.pop_request(), 0);
    pool.answer(0);
    pool.pass(minimum_uptime_default);

    assert_int_equal(pool.core.worker(pool.core.current(0)).pid, pool.next_pid - 1);
    assert_int_equal(pool.find(EventType::reloaded).task_id, -1);
}

void time_to_get_ready_begins_with_the_answer(void **) {
    Requesting pool;
    Settings settings;
    settings.ready_timeout = 2 * second;
    assert_true(pool.begin(1, settings));
    pool.request_all();
    pool.pop_request();
    pool.pass(9 * second);
    pool.answer(0);
    assert_true(pool.state(0) == State::running);
    assert_true(pool.core.next_deadline() == pool.now + 2 * second);
    pool.pass(2 * second);

    assert_true(pool.state(0) == State::aborting);
    assert_int_equal(pool.find(EventType::unresponsive).pid, pool.next_pid - 1);
    assert_int_equal(pool.count_signals(signal_kill), 1);
    pool.end(0, killed_by(signal_kill));
    assert_int_equal(pool.request_all(), 1);
}

void slot_that_is_wanted_again_with_the_one_that_is_owed_is_not_being_replaced(void **) {
    Requesting pool;
    assert_true(pool.begin(2, 0));
    pool.request_and_answer_all();
    pool.replace(1);
    assert_int_equal(pool.request_all(), 1);
    assert_int_equal(pool.pop_request(), 1);
    pool.resize(1);
    pool.end(1, killed_by(15));
    pool.replace(0);
    assert_int_equal(pool.core.startable(), 0); // slot 1 is being replaced

    pool.resize(2);

    assert_true(pool.state(1) == State::starting);
    assert_int_equal(pool.request_all(), 1);
    assert_int_equal(pool.pop_request(), 0);
}

const CMUnitTest tests_of_workers[] = {
    cmocka_unit_test(replacement_that_is_owed_takes_over_a_slot_that_is_wanted_again),
    cmocka_unit_test(slot_wanted_again_gets_the_replacement_when_its_old_worker_ends),
    cmocka_unit_test(worker_that_ends_hands_over_to_the_one_that_is_owed),
    cmocka_unit_test(replacement_that_nobody_answers_for_is_asked_for_again),
    cmocka_unit_test(time_to_get_ready_begins_with_the_answer),
    cmocka_unit_test(slot_that_is_wanted_again_with_the_one_that_is_owed_is_not_being_replaced),
};

} // namespace

int main() {
    return cmocka_run_group_tests_name("workers of a host that forks", tests_of_workers, nullptr,
                                       nullptr);
}
