// Starts that fail, and a host that takes no events: the core alone.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>

#include "supervised.h"

using namespace tests;

namespace {

void start_that_lacks_resources_is_tried_again_with_growing_delays(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 0));
    Duration delay = start_retry_first;

    for (int attempt = 0; attempt < 12; attempt++) {
        assert_int_equal(pool.fail_one(-EAGAIN, true), 0);
        assert_int_equal(pool.core.startable(), 0);
        assert_true(pool.core.next_deadline() == pool.now + delay);
        pool.pass(delay - 1);
        assert_int_equal(pool.core.startable(), 0);
        pool.pass(1);
        delay = 2 * delay < start_retry_max ? 2 * delay : start_retry_max;
    }

    assert_int_equal(pool.start_one(), 0);
    assert_true(pool.core.next_deadline() == never);
}

void start_that_lacks_resources_is_not_counted(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 0));

    pool.fail_one(-EMFILE, true);

    const Event failed = pool.find(EventType::start_failed);
    assert_int_equal(failed.error, -EMFILE);
    assert_int_equal(failed.restarts, 0);
    assert_true(failed.will_restart);
    assert_true(failed.delay == start_retry_first);
    assert_true(failed.level == Level::error);
}

void failures_are_reported_at_most_once_a_second(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 0));
    int told = 0;
    const Instant end = pool.now + 10 * second;

    while (pool.now < end) {
        pool.fail_one(-EAGAIN, true);
        told += pool.find(EventType::start_failed).task_id == 0 ? 1 : 0;
        pool.pass(pool.core.next_deadline() - pool.now);
    }

    assert_in_range(told, 8, 11);
}

void one_success_opens_the_way_for_all_that_wait(void **) {
    Supervised pool;
    assert_true(pool.begin(4, 0));
    assert_int_equal(pool.start_one(), 0);
    pool.fail_one(-EAGAIN, true);
    assert_int_equal(pool.core.startable(), 0);

    pool.pass(start_retry_first);
    assert_int_equal(pool.core.startable(), 1);
    assert_int_equal(pool.start_one(), 2);

    assert_int_equal(pool.core.startable(), 2);
    assert_int_equal(pool.start_all(), 2);
}

void worker_that_ends_lets_a_start_be_tried_at_once(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    pool.start_one();
    pool.fail_one(-EAGAIN, true);

    pool.end(0, exit_with(0));

    assert_int_equal(pool.start_one(), 1);
}

void error_that_can_not_pass_fails_the_pool_before_a_first_worker(void **) {
    Supervised pool;
    assert_true(pool.begin(3, 5));

    pool.fail_one(-ENOSYS, false);

    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), -ENOSYS);
    assert_false(pool.find(EventType::start_failed).will_restart);
    assert_int_equal(pool.find(EventType::done).error, -ENOSYS);
}

void error_that_can_not_pass_uses_up_restarts_later(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 2));
    pool.start_one();
    pool.end(0, exit_with(1));

    pool.fail_one(-ENOSYS, false);
    assert_int_equal(pool.find(EventType::start_failed).restarts, 2);
    pool.pass(start_retry_first);
    pool.fail_one(-ENOSYS, false);

    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), code_gave_up);
}

void stop_does_not_wait_for_starts_that_fail(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    pool.fail_one(-EAGAIN, true);

    pool.give(Input::Kind::stop);

    assert_true(pool.core.done());
    assert_true(pool.core.next_deadline() == never);
}

void host_that_takes_no_events_holds_up_starts_but_no_ends(void **) {
    Supervised pool;
    assert_true(pool.begin(2, restarts_unlimited));
    pool.start_all();
    uint32_t crashes = 0;

    while (pool.core.startable() == 0 && crashes < 1000) {
        pool.end(0, exit_with(1));
        crashes += 1;
        pool.start_all();
        if (pool.core.alive() < 2) {
            break;
        }
    }
    assert_in_range(crashes, 10, 999);
    assert_int_equal(pool.core.alive(), 1);
    pool.give(Input::Kind::stop);
    pool.pass(stop_timeout_default);
    pool.end(1, killed_by(9));

    assert_true(pool.core.done());
    Event event;
    Event last;
    uint32_t exits = 0;
    while (pool.core.pop_event(&event)) {
        exits += event.type == EventType::exited ? 1 : 0;
        last = event;
    }
    assert_int_equal(exits, crashes + 1);
    assert_true(last.type == EventType::done);
}

void host_that_takes_events_again_gets_its_workers_again(void **) {
    Supervised pool;
    assert_true(pool.begin(1, restarts_unlimited));
    while (pool.start_all() > 0) {
        pool.end(0, exit_with(1));
    }
    assert_int_equal(pool.core.alive(), 0);

    Event event;
    while (pool.core.pop_event(&event)) {
    }

    assert_int_equal(pool.start_all(), 1);
}

const CMUnitTest tests_of_starts[] = {
    cmocka_unit_test(start_that_lacks_resources_is_tried_again_with_growing_delays),
    cmocka_unit_test(start_that_lacks_resources_is_not_counted),
    cmocka_unit_test(failures_are_reported_at_most_once_a_second),
    cmocka_unit_test(one_success_opens_the_way_for_all_that_wait),
    cmocka_unit_test(worker_that_ends_lets_a_start_be_tried_at_once),
    cmocka_unit_test(error_that_can_not_pass_fails_the_pool_before_a_first_worker),
    cmocka_unit_test(error_that_can_not_pass_uses_up_restarts_later),
    cmocka_unit_test(stop_does_not_wait_for_starts_that_fail),
    cmocka_unit_test(host_that_takes_no_events_holds_up_starts_but_no_ends),
    cmocka_unit_test(host_that_takes_events_again_gets_its_workers_again),
};

} // namespace

int main() {
    return cmocka_run_group_tests_name("start failures", tests_of_starts, nullptr, nullptr);
}
