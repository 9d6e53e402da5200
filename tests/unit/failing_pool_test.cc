// A pool that the runtime cannot go on with: the core alone.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>

#include "supervised.h"

using namespace tests;

namespace {

void fail_with(Supervised *pool, int32_t error) {
    Input input;
    input.kind = Input::Kind::fail;
    input.error = error;
    pool->step(input);
}

uint32_t count_events(Supervised *pool, EventType type, Event *ret_last) {
    uint32_t count = 0;
    while (pool->core.pop_event(ret_last)) {
        count += ret_last->type == type ? 1U : 0U;
    }
    return count;
}

void it_kills_its_workers_and_reports_each_end(void **) {
    Supervised pool;
    Event last;
    assert_true(pool.begin(3, 5));
    pool.start_all();

    fail_with(&pool, -EPERM);

    assert_int_equal(pool.count_signals(9), 3);
    for (uint32_t slot = 0; slot < 3; slot++) {
        assert_false(pool.core.done());
        pool.end(slot, killed_by(9));
    }
    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), -EPERM);
    assert_int_equal(count_events(&pool, EventType::exited, &last), 3);
    assert_true(last.type == EventType::done);
    assert_int_equal(last.error, -EPERM);
    assert_int_equal(pool.core.startable(), 0);
}

void it_starts_nobody_who_waits_for_a_start(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 5));
    assert_int_equal(pool.start_one(), 0);

    fail_with(&pool, -ENOMEM);

    assert_int_equal(pool.core.startable(), 0);
    assert_int_equal(pool.count_signals(9), 1);
    pool.end(0, killed_by(9));
    assert_true(pool.core.done());
}

void a_stop_that_fails_has_the_error(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();
    pool.give(Input::Kind::stop);
    assert_int_equal(pool.count_signals(15), 1);

    fail_with(&pool, -EBADF);

    assert_int_equal(pool.count_signals(9), 1);
    pool.end(0, killed_by(9));
    assert_int_equal(pool.core.result(), -EBADF);
}

void a_pool_that_is_done_keeps_its_result(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 5));
    pool.start_all();
    pool.end(0, exit_with(0));
    assert_true(pool.core.done());

    fail_with(&pool, -EBADF);

    assert_int_equal(pool.core.result(), 0);
}

void workers_that_cannot_be_ended_do_not_hold_up_its_end(void **) {
    Supervised pool;
    Event last;
    assert_true(pool.begin(2, 5));
    pool.start_all();
    fail_with(&pool, -EPERM);
    pool.end(1, killed_by(9));

    pool.give(Input::Kind::finish);

    assert_true(pool.core.done());
    assert_int_equal(count_events(&pool, EventType::exited, &last), 1);
    assert_true(last.type == EventType::done);
    assert_true(last.level == Level::error);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(it_kills_its_workers_and_reports_each_end),
        cmocka_unit_test(it_starts_nobody_who_waits_for_a_start),
        cmocka_unit_test(a_stop_that_fails_has_the_error),
        cmocka_unit_test(a_pool_that_is_done_keeps_its_result),
        cmocka_unit_test(workers_that_cannot_be_ended_do_not_hold_up_its_end),
    };
    return cmocka_run_group_tests_name("failing_pool", tests, nullptr, nullptr);
}
