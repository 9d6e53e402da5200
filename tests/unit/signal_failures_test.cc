// Signals that could not be sent: the core alone.
//
// SPDX-License-Identifier: MIT
#include <cerrno>

#include "cmocka_all.h"

#include "supervised.h"

using namespace tests;

namespace {

// Refuses all signals that are to be sent; returns how many there were.
uint32_t refuse_signals(Supervised *pool) {
    uint32_t count = 0;
    Signal signal{};
    while (pool->core.pop_signal(&signal)) {
        Input input;
        input.kind = Input::Kind::signal_failed;
        input.worker = signal.worker;
        input.signal = signal.number;
        input.error = -EPERM;
        input.reported = signal.reported;
        pool->core.step(input, pool->now);
        count += 1;
    }
    return count;
}

// The events of a type that wait; all others are left out.
uint32_t count_events(Supervised *pool, EventType type) {
    uint32_t count = 0;
    Event event;
    while (pool->core.pop_event(&event)) {
        count += event.type == type ? 1 : 0;
    }
    return count;
}

void refused_kill_is_not_reported_as_killed(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 0));
    pool.start_all();
    pool.give(Input::Kind::stop);
    assert_int_equal(refuse_signals(&pool), 2);
    assert_int_equal(pool.find(EventType::unresponsive).signal, signal_terminate);

    pool.pass(stop_timeout_default);
    assert_int_equal(refuse_signals(&pool), 2);

    Event event;
    uint32_t refused = 0;
    while (pool.core.pop_event(&event)) {
        assert_true(event.type == EventType::unresponsive);
        assert_true(event.level == Level::error);
        assert_int_equal(event.error, -EPERM);
        refused += event.signal == signal_kill ? 1 : 0;
    }
    assert_int_equal(refused, 2);
    assert_true(pool.state(0) == State::killing);
    assert_int_equal(pool.core.next_deadline(), pool.now + kill_retry);
}

void kill_is_tried_again_until_the_pool_gives_the_worker_up(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 0));
    pool.start_all();
    pool.give(Input::Kind::kill);
    for (uint32_t attempt = 0; attempt < kill_retries; attempt++) {
        assert_int_equal(refuse_signals(&pool), 1);
        assert_false(pool.core.done());
        pool.pass(kill_retry);
    }

    assert_int_equal(refuse_signals(&pool), 1);

    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), -EPERM);
    assert_int_equal(pool.core.alive(), 1);
    assert_true(pool.core.next_deadline() == never);
    const Event done = pool.find(EventType::done);
    assert_int_equal(done.error, -EPERM);
    assert_true(done.level == Level::error);
}

void worker_that_was_given_up_may_still_end(void **) {
    Supervised pool;
    assert_true(pool.begin(2, 0));
    pool.start_all();
    pool.give(Input::Kind::stop);
    (void)pool.count_signals(signal_terminate);
    pool.pass(stop_timeout_default);
    Signal signal{};
    assert_true(pool.core.pop_signal(&signal));
    (void)pool.count_signals(signal_kill); // the other one is killed, and takes its time
    for (uint32_t attempt = 0; attempt <= kill_retries; attempt++) {
        Input input;
        input.kind = Input::Kind::signal_failed;
        input.worker = signal.worker;
        input.signal = signal_kill;
        input.error = -EPERM;
        pool.core.step(input, pool.now);
        pool.pass(kill_retry);
        (void)pool.count_signals(signal_kill);
    }
    assert_true(pool.state(slot_of(signal.worker)) == State::abandoned);

    pool.end_worker(signal.worker, exit_with(0));
    pool.give(Input::Kind::kill);
    pool.end(1 - slot_of(signal.worker), killed_by(9));

    assert_true(pool.core.done());
    assert_false(pool.core.broken());
    assert_int_equal(pool.core.result(), 0);
}

void pool_that_runs_goes_on_trying(void **) {
    Supervised pool;
    Settings settings;
    settings.ready_timeout = second;
    assert_true(pool.begin(1, settings));
    pool.start_all();
    (void)count_events(&pool, EventType::started);

    pool.pass(second);
    for (uint32_t attempt = 0; attempt < 10; attempt++) {
        assert_int_equal(refuse_signals(&pool), 1);
        pool.pass(kill_retry);
    }

    assert_int_equal(count_events(&pool, EventType::unresponsive), 1);
    assert_int_equal(pool.count_signals(signal_kill), 1); // at last
    assert_true(pool.state(0) == State::aborting);
    pool.end(0, killed_by(9));
    assert_true(pool.find(EventType::exited).will_restart);
}

void kill_that_succeeds_after_all_is_not_reported_twice(void **) {
    Supervised pool;
    Settings settings;
    settings.heartbeat_timeout = second;
    assert_true(pool.begin(1, settings));
    pool.start_all();
    for (uint32_t look = 0; look < 2 * heartbeat_checks_per_timeout + 2; look++) {
        pool.pass_and_beat(second / heartbeat_checks_per_timeout + 1, 1);
    }
    assert_true(pool.state(0) == State::aborting);
    assert_int_equal(refuse_signals(&pool), 1); // SIGABRT

    pool.pass(stop_timeout_default);
    assert_int_equal(refuse_signals(&pool), 1);
    pool.pass(kill_retry);
    assert_int_equal(pool.count_signals(signal_kill), 1);
    pool.end(0, killed_by(9));

    Event event;
    uint32_t refused = 0;
    while (pool.core.pop_event(&event)) {
        assert_false(event.type == EventType::killed);
        refused += event.type == EventType::unresponsive && event.error == -EPERM ? 1 : 0;
    }
    assert_int_equal(refused, 2);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(refused_kill_is_not_reported_as_killed),
        cmocka_unit_test(kill_is_tried_again_until_the_pool_gives_the_worker_up),
        cmocka_unit_test(worker_that_was_given_up_may_still_end),
        cmocka_unit_test(pool_that_runs_goes_on_trying),
        cmocka_unit_test(kill_that_succeeds_after_all_is_not_reported_twice),
    };
    return cmocka_run_group_tests_name("signal failures", tests, nullptr, nullptr);
}
