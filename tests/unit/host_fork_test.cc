// Requests to fork, their answers and their withdrawal: the core alone.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>

#include "requesting.h"

using namespace tests;

namespace {

void start_asks_the_host_for_each_slot(void **) {
    Requesting pool;
    assert_true(pool.begin(3, 5));

    assert_int_equal(pool.request_all(), 3);

    for (uint32_t slot = 0; slot < 3; slot++) {
        assert_true(pool.state(slot) == State::requested);
        assert_int_equal(pool.core.pending_fork(slot), no_worker);
        assert_int_equal(pool.pop_request(), slot);
        assert_true(pool.state(slot) == State::starting);
        assert_int_equal(pool.core.pending_fork(slot), pool.core.current(slot));
    }
    assert_int_equal(pool.pop_request(), Supervised::none);
    pool.answer(1);
    assert_true(pool.state(1) == State::ready);
    assert_int_equal(pool.core.pending_fork(1), no_worker);
    assert_int_equal(pool.find(EventType::started).task_id, 1);
    assert_int_equal(pool.core.alive(), 1);
}

void request_that_nobody_takes_waits_without_end(void **) {
    Requesting pool;
    assert_true(pool.begin(1, 5));
    pool.request_all();

    assert_true(pool.core.next_deadline() == never);
    pool.pass(1000 * second);

    assert_true(pool.state(0) == State::requested);
    assert_int_equal(pool.pop_request(), 0);
}

void request_without_an_answer_is_reported_and_made_again(void **) {
    Requesting pool;
    assert_true(pool.begin(2, 0));
    pool.request_all();
    pool.pop_request();
    pool.pop_request();
    assert_true(pool.core.next_deadline() == pool.now + fork_result_timeout);

    pool.pass(fork_result_timeout - 1);
    assert_true(pool.state(0) == State::starting);
    pool.pass(1);

    for (int32_t slot = 0; slot < 2; slot++) {
        const Event failed = pool.find(EventType::start_failed);
        assert_int_equal(failed.task_id, slot); // each is told of, however near to another
        assert_int_equal(failed.error, -ETIMEDOUT);
        assert_true(failed.will_restart);
        assert_true(failed.delay == 0);
        assert_int_equal(failed.restarts, 0);
        assert_int_equal(pool.core.pending_fork(static_cast<uint32_t>(slot)), no_worker);
    }
    assert_int_equal(pool.request_all(), 2);
    assert_int_equal(pool.pop_request(), 0);
    pool.answer(0);
    assert_true(pool.state(0) == State::ready);
}

void answer_ends_the_time_to_answer(void **) {
    Requesting pool;
    assert_true(pool.begin(1, 5));
    pool.request_and_answer_all();

    assert_true(pool.core.next_deadline() == never);
    pool.pass(100 * second);

    assert_true(pool.state(0) == State::ready);
}

void fork_that_lacked_resources_is_asked_for_again_later(void **) {
    Requesting pool;
    assert_true(pool.begin(1, 0));
    pool.request_all();
    pool.pop_request();

    pool.answer(0, -EAGAIN);

    assert_true(pool.find(EventType::start_failed).delay == start_retry_first);
    assert_int_equal(pool.core.startable(), 0);
    pool.pass(start_retry_first);
    assert_int_equal(pool.request_all(), 1);
    assert_int_equal(pool.pop_request(), 0);
    pool.answer(0, -EAGAIN);
    assert_true(pool.core.next_deadline() == pool.now + 2 * start_retry_first);
}

void after_a_failure_one_request_at_a_time_is_tried(void **) {
    Requesting pool;
    assert_true(pool.begin(3, 0));
    pool.request_all();
    for (int i = 0; i < 3; i++) {
        pool.answer(pool.pop_request(), -EAGAIN);
    }
    pool.pass(start_retry_first);

    assert_int_equal(pool.request_all(), 1);
    assert_int_equal(pool.core.startable(), 0);
    const uint32_t slot = pool.pop_request();
    assert_int_equal(pool.core.startable(), 0);
    pool.answer(slot);

    assert_int_equal(pool.request_all(), 2);
}

void fork_that_can_not_succeed_fails_the_pool(void **) {
    Requesting pool;
    assert_true(pool.begin(3, 5));
    pool.request_all();
    pool.pop_request();

    pool.answer(0, -ENOSYS);

    assert_true(pool.core.done()); // the others had not been taken
    assert_int_equal(pool.core.result(), -ENOSYS);
    assert_int_equal(pool.find(EventType::fork_wanted).task_id, -2);
}

void stop_takes_back_what_nobody_has_heard(void **) {
    Requesting pool;
    assert_true(pool.begin(3, 5));
    pool.request_all();

    pool.give(Input::Kind::stop);

    assert_true(pool.core.done());
    Event event;
    assert_true(pool.core.pop_event(&event));
    assert_true(event.type == EventType::starting);
    assert_true(pool.core.pop_event(&event));
    assert_true(event.type == EventType::done);
    assert_false(pool.core.pop_event(&event));
}

void stop_waits_for_the_answer_that_is_owed(void **) {
    Requesting pool;
    assert_true(pool.begin(2, 5));
    pool.request_all();
    pool.pop_request();

    pool.give(Input::Kind::stop);

    assert_false(pool.core.done());
    assert_int_equal(pool.pop_request(), Supervised::none);
    pool.answer(0);
    assert_int_equal(pool.find(EventType::stopping).count, 1);
    assert_true(pool.state(0) == State::stopping);
    assert_int_equal(pool.count_signals(signal_terminate), 1);
    pool.end(0, killed_by(15));
    assert_true(pool.core.done());
}

void stop_does_not_wait_for_ever_for_an_answer(void **) {
    Requesting pool;
    assert_true(pool.begin(1, 5));
    pool.request_all();
    pool.pop_request();
    pool.give(Input::Kind::stop);

    pool.pass(fork_result_timeout);

    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), 0);
    const Event failed = pool.find(EventType::start_failed);
    assert_int_equal(failed.error, -ETIMEDOUT);
    assert_false(failed.will_restart);
}

void kill_takes_back_requests_and_kills_who_comes_late(void **) {
    Requesting pool;
    assert_true(pool.begin(2, 5));
    pool.request_all();
    pool.pop_request();

    pool.give(Input::Kind::kill);
    assert_int_equal(pool.pop_request(), Supervised::none);
    pool.answer(0);

    assert_true(pool.state(0) == State::killing);
    assert_int_equal(pool.count_signals(signal_kill), 1);
    pool.end(0, killed_by(9));
    assert_true(pool.core.done());
}

void smaller_pool_takes_back_the_requests_of_its_slots(void **) {
    Requesting pool;
    assert_true(pool.begin(3, 5));
    pool.request_all();

    pool.resize(1);
    pool.resize(2);

    assert_int_equal(pool.request_all(), 1);
    assert_int_equal(pool.pop_request(), 0);
    assert_int_equal(pool.pop_request(), 1);
    assert_int_equal(pool.pop_request(), Supervised::none);
    assert_true(pool.core.worker(instance_of(2, 0)).state == State::empty);
}

void worker_of_a_slot_that_is_gone_is_stopped_when_it_comes(void **) {
    Requesting pool;
    assert_true(pool.begin(2, 5));
    pool.request_all();
    pool.pop_request();
    pool.pop_request();
    pool.answer(0);

    pool.resize(1);
    pool.answer(1);

    assert_true(pool.core.worker(instance_of(1, 0)).state == State::stopping);
    pool.end(1, killed_by(15));
    assert_false(pool.core.done());
}

void room_is_kept_for_all_events_of_requests(void **) {
    Requesting pool;
    assert_true(pool.begin(2, restarts_unlimited));
    uint32_t lives = 0;

    // The host takes its requests, but for the sake of the test leaves all other events: each life
    // comes through the core as if they had been taken.
    while (pool.request_all() > 0 && lives < 1000) {
        for (uint32_t slot = 0; slot < 2; slot++) {
            Input taken;
            taken.kind = Input::Kind::request_delivered;
            taken.worker = slot;
            if (pool.state(slot) == State::requested) {
                pool.core.step(taken, pool.now);
                pool.answer(slot);
                pool.end(slot, exit_with(1));
                lives += 1;
            }
        }
    }
    assert_in_range(lives, 10, 999);
    assert_int_equal(pool.core.alive(), 0);
    pool.give(Input::Kind::stop);

    assert_true(pool.core.done());
    Event event;
    Event last;
    uint32_t exits = 0;
    while (pool.core.pop_event(&event)) {
        exits += event.type == EventType::exited ? 1 : 0;
        last = event;
    }
    assert_int_equal(exits, lives);
    assert_true(last.type == EventType::done);
    assert_false(pool.core.broken());
}

const CMUnitTest tests_of_requests[] = {
    cmocka_unit_test(start_asks_the_host_for_each_slot),
    cmocka_unit_test(request_that_nobody_takes_waits_without_end),
    cmocka_unit_test(request_without_an_answer_is_reported_and_made_again),
    cmocka_unit_test(answer_ends_the_time_to_answer),
    cmocka_unit_test(fork_that_lacked_resources_is_asked_for_again_later),
    cmocka_unit_test(after_a_failure_one_request_at_a_time_is_tried),
    cmocka_unit_test(fork_that_can_not_succeed_fails_the_pool),
    cmocka_unit_test(stop_takes_back_what_nobody_has_heard),
    cmocka_unit_test(stop_waits_for_the_answer_that_is_owed),
    cmocka_unit_test(stop_does_not_wait_for_ever_for_an_answer),
    cmocka_unit_test(kill_takes_back_requests_and_kills_who_comes_late),
    cmocka_unit_test(smaller_pool_takes_back_the_requests_of_its_slots),
    cmocka_unit_test(worker_of_a_slot_that_is_gone_is_stopped_when_it_comes),
    cmocka_unit_test(room_is_kept_for_all_events_of_requests),
};

} // namespace

int main() { return cmocka_run_group_tests_name("host fork", tests_of_requests, nullptr, nullptr); }
