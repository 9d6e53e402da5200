// How many workers are ready, and whether all are.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>

#include "supervised.h"

using namespace tests;

namespace {

void all_are_ready_once_each_has_started(void ** /*state*/) {
    Supervised pool;
    assert_true(pool.begin(2, 0));
    assert_false(pool.core.all_ready());

    pool.start_one();
    assert_int_equal(pool.core.ready(), 1);
    assert_false(pool.core.all_ready());
    pool.start_one();

    assert_int_equal(pool.core.ready(), 2);
    assert_true(pool.core.all_ready());
}

void one_that_has_finished_is_no_obstacle(void ** /*state*/) {
    Supervised pool;
    assert_true(pool.begin(2, 0));
    pool.start_one();
    pool.fail_one(-EAGAIN, true);

    pool.end(0, exit_with(0));
    assert_false(pool.core.all_ready());
    pool.pass(1 * second);
    assert_int_equal(pool.start_one(), 1);

    assert_int_equal(pool.core.ready(), 1);
    assert_true(pool.core.all_ready());
}

void one_that_was_given_up_is_no_obstacle(void ** /*state*/) {
    Settings settings;
    settings.max_restarts = 0;
    settings.on_limit = OnLimit::degrade;
    Supervised pool;
    assert_true(pool.begin(2, settings));
    pool.start_one();

    pool.end(0, killed_by(9));
    assert_false(pool.core.all_ready());
    pool.start_one();

    assert_int_equal(pool.core.ready(), 1);
    assert_true(pool.core.all_ready());
}

void one_that_is_given_up_last_holds_nobody_up_any_more(void ** /*state*/) {
    Settings settings;
    settings.max_restarts = 1;
    settings.on_limit = OnLimit::degrade;
    Supervised pool;
    assert_true(pool.begin(2, settings));
    pool.start_one();
    pool.start_one();

    pool.end(0, killed_by(9));
    assert_false(pool.core.all_ready());
    pool.start_one();
    pool.end(0, killed_by(9));

    assert_int_equal(pool.core.ready(), 1);
    assert_true(pool.core.all_ready());
}

void one_that_is_not_to_be_restarted_is_no_obstacle(void ** /*state*/) {
    Settings settings;
    settings.restart = RestartWhen::none;
    Supervised pool;
    assert_true(pool.begin(3, settings));
    pool.start_all();

    pool.end(1, killed_by(9));

    assert_int_equal(pool.core.ready(), 2);
    assert_true(pool.core.all_ready());
}

void one_that_crashed_is_missed_until_it_is_back(void ** /*state*/) {
    Supervised pool;
    assert_true(pool.begin(2, 10));
    pool.start_all();

    pool.end(0, killed_by(9));
    assert_int_equal(pool.core.ready(), 1);
    assert_false(pool.core.all_ready());
    pool.start_one();

    assert_true(pool.core.all_ready());
}

void a_replacement_is_not_counted_twice(void ** /*state*/) {
    Supervised pool;
    assert_true(pool.begin(2, 0));
    pool.start_all();

    pool.replace(0);
    pool.start_one();
    assert_int_equal(pool.core.ready(), 2);
    pool.pass(1 * second);
    assert_int_equal(pool.core.ready(), 2);
    pool.end_worker(0, killed_by(15));

    assert_int_equal(pool.core.ready(), 2);
    assert_true(pool.core.all_ready());
}

void a_resize_goes_by_the_slots_that_are_left(void ** /*state*/) {
    Supervised pool;
    assert_true(pool.begin(3, 0));
    pool.start_one();
    pool.start_one();
    assert_false(pool.core.all_ready());

    pool.resize(2);
    assert_true(pool.core.all_ready());
    pool.resize(1);

    assert_int_equal(pool.core.ready(), 1);
    assert_true(pool.core.all_ready());
}

void a_pool_that_stops_is_not_ready(void ** /*state*/) {
    Supervised pool;
    assert_true(pool.begin(2, 0));
    pool.start_all();

    pool.give(Input::Kind::stop);
    assert_int_equal(pool.core.ready(), 0);
    pool.end(0, exit_with(0));
    pool.end(1, exit_with(0));

    assert_true(pool.core.done());
    assert_false(pool.core.all_ready());
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(all_are_ready_once_each_has_started),
        cmocka_unit_test(one_that_has_finished_is_no_obstacle),
        cmocka_unit_test(one_that_was_given_up_is_no_obstacle),
        cmocka_unit_test(one_that_is_given_up_last_holds_nobody_up_any_more),
        cmocka_unit_test(one_that_is_not_to_be_restarted_is_no_obstacle),
        cmocka_unit_test(one_that_crashed_is_missed_until_it_is_back),
        cmocka_unit_test(a_replacement_is_not_counted_twice),
        cmocka_unit_test(a_resize_goes_by_the_slots_that_are_left),
        cmocka_unit_test(a_pool_that_stops_is_not_ready),
    };
    return cmocka_run_group_tests_name("readiness", tests, nullptr, nullptr);
}
