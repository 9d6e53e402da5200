// Spares, which wait for a slot: the core alone.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>

#include "requesting.h"

using namespace tests;
using prefork::base::first_spare;

namespace {

constexpr int32_t signal_segment = 11;

Settings with_spares(uint32_t spares) {
    Settings settings;
    settings.spares = spares;
    return settings;
}

class Spared : public Requesting {
  public:
    // All workers and spares are there.
    bool begin_all(uint32_t workers, const Settings &settings) {
        return begin(workers, settings) && start_all() == workers + settings.spares &&
               core.counter(Counter::spares) == settings.spares;
    }

    State spare(uint32_t place) const { return core.worker(first_spare + place).state; }
    int32_t pid_of_spare(uint32_t place) const { return core.worker(first_spare + place).pid; }
    int32_t pid_of(uint32_t slot) const { return core.worker(core.current(slot)).pid; }

    // Returns the place of the spare that was popped; none: no takeover is due.
    uint32_t take_over(bool succeeds = true) {
        Input input;
        if (!core.pop_takeover(&input.worker, &input.spare)) {
            return none;
        }
        input.kind = succeeds ? Input::Kind::taken_over : Input::Kind::not_taken_over;
        input.since = now;
        step(input);
        return input.spare - first_spare;
    }

    void set_spares(uint32_t count) {
        Input input;
        input.kind = Input::Kind::set_spares;
        input.count = count;
        step(input);
    }

    void give_spare(Input::Kind kind, uint32_t place, int32_t error = 0) {
        Input input;
        input.kind = kind;
        input.worker = first_spare + place;
        input.error = error;
        input.pid = error == 0 ? next_pid++ : 0;
        input.since = now;
        step(input);
    }

    void end_spare(uint32_t place, const Exit &exit) { end_worker(first_spare + place, exit); }
};

// ---- Takeovers ----------------------------------------------------------------------------------

void a_spare_becomes_the_worker_of_a_restart(void **) {
    Spared pool;
    assert_true(pool.begin_all(2, with_spares(1)));
    const int32_t pid = pool.pid_of_spare(0);
    assert_int_equal(pool.take_over(), Spared::none);

    pool.end(1, killed_by(signal_segment));
    assert_true(pool.core.has_takeover());
    assert_int_equal(pool.take_over(), 0);

    assert_int_equal(pool.pid_of(1), pid);
    assert_true(pool.state(1) == State::ready);
    assert_true(pool.find(EventType::exited).will_restart);
    assert_int_equal(pool.find(EventType::started).pid, pid);
    assert_int_equal(pool.core.counter(Counter::restarted), 1);
    assert_int_equal(pool.start_all(), 1);
    assert_true(pool.spare(0) == State::running);
}

void the_spare_that_has_waited_longest_comes_first(void **) {
    Spared pool;
    assert_true(pool.begin_all(1, with_spares(2)));
    const int32_t second = pool.pid_of_spare(1);
    pool.pass(1 * second_signal_after);
    pool.end_spare(0, killed_by(signal_segment));
    pool.pass(1 * second_signal_after);
    assert_int_equal(pool.start_all(), 1); // in the first place, and later than the second

    pool.end(0, killed_by(signal_segment));

    assert_int_equal(pool.take_over(), 1);
    assert_int_equal(pool.pid_of(0), second);
}

void a_spare_that_cannot_take_over_is_killed_and_the_start_goes_on(void **) {
    Spared pool;
    assert_true(pool.begin_all(1, with_spares(1)));
    pool.end(0, killed_by(signal_segment));

    assert_int_equal(pool.take_over(false), 0);

    assert_int_equal(pool.count_signals(signal_kill), 1);
    assert_true(pool.spare(0) == State::aborting);
    assert_true(pool.state(0) == State::waiting);
    assert_false(pool.core.has_takeover());
    assert_int_equal(pool.start_all(), 1); // the worker
    assert_true(pool.state(0) == State::ready);
    pool.end_spare(0, killed_by(signal_kill));
    const Event ended = pool.find(EventType::spare_exited);
    assert_true(ended.will_restart);
}

void a_spare_that_dies_as_the_worker_is_a_restart(void **) {
    Spared pool;
    Settings settings = with_spares(1);
    settings.max_restarts = 1;
    assert_true(pool.begin_all(1, settings));
    pool.end(0, killed_by(signal_segment));
    assert_int_equal(pool.take_over(), 0);

    pool.end(0, killed_by(signal_segment));

    assert_int_equal(pool.core.result(), code_gave_up);
}

void more_starts_than_spares_are_ordinary(void **) {
    Spared pool;
    assert_true(pool.begin_all(3, with_spares(1)));
    for (uint32_t slot = 0; slot < 3; slot++) {
        pool.end(slot, killed_by(signal_segment));
    }

    assert_int_equal(pool.take_over(), 0);
    assert_int_equal(pool.take_over(), Spared::none);
    assert_int_equal(pool.start_one(), 1);
    assert_int_equal(pool.start_one(), 2);

    assert_int_equal(pool.core.ready(), 3);
    assert_int_equal(pool.core.counter(Counter::spares), 0);
    assert_int_equal(pool.start_all(), 1);
    assert_int_equal(pool.core.counter(Counter::spares), 1);
}

void a_limit_that_is_used_up_takes_no_spare(void **) {
    Spared pool;
    Settings settings = with_spares(1);
    settings.max_restarts = 0;
    assert_true(pool.begin_all(2, settings));

    pool.end(0, killed_by(signal_segment));

    assert_false(pool.core.has_takeover());
    assert_true(pool.spare(0) == State::stopping);
    pool.end(1, killed_by(signal_terminate));
    assert_false(pool.core.done());
    pool.end_spare(0, exit_with(0));
    assert_true(pool.core.done());
    assert_int_equal(pool.core.result(), code_gave_up);
    assert_false(pool.find(EventType::spare_exited).will_restart);
}

void a_normal_end_takes_a_spare_where_all_are_restarted(void **) {
    Spared pool;
    Settings settings = with_spares(1);
    settings.restart = RestartWhen::always;
    assert_true(pool.begin_all(1, settings));
    pool.pass(10 * minimum_uptime_default);

    pool.end(0, exit_with(0));

    assert_int_equal(pool.take_over(), 0);
    assert_true(pool.state(0) == State::ready);
}

void a_lifetime_begins_with_the_slot(void **) {
    Spared pool;
    Settings settings = with_spares(1);
    settings.lifetime = 100 * second;
    assert_true(pool.begin_all(1, settings));
    pool.pass(60 * second);
    pool.end(0, killed_by(signal_segment));
    assert_int_equal(pool.take_over(), 0);
    assert_int_equal(pool.start_all(), 1); // another spare
    const Instant taken = pool.now;

    pool.pass(60 * second); // after the start of the spare 120

    assert_int_equal(pool.take_over(), Spared::none);
    assert_true(pool.core.next_deadline() >= taken + 100 * second);
    pool.pass(taken + 100 * second - pool.now);
    assert_int_equal(pool.take_over(), 0); // of its replacement
}

// ---- Starts and ends ----------------------------------------------------------------------------

void a_spare_that_always_ends_is_started_ever_more_rarely(void **) {
    Spared pool;
    assert_true(pool.begin_all(1, with_spares(1)));
    Duration last = 0;
    for (int end = 0; end < 12; end++) {
        pool.end_spare(0, exit_with(1));
        const Event ended = pool.find(EventType::spare_exited);
        assert_true(ended.will_restart);
        assert_true(ended.delay >= start_retry_first && ended.delay <= start_retry_max);
        assert_true(ended.delay > last || last == start_retry_max);
        assert_int_equal(pool.core.startable(), 0);
        last = ended.delay;
        pool.pass(last);
        assert_int_equal(pool.start_all(), 1);
    }
    assert_int_equal(last, start_retry_max);
    assert_int_equal(pool.core.restarts(), 0);

    pool.pass(start_retry_max); // one that was there for a time
    pool.end_spare(0, exit_with(1));

    assert_int_equal(pool.find(EventType::spare_exited).delay, start_retry_first);
}

void the_backoff_of_the_pool_holds_for_spares(void **) {
    Spared pool;
    Settings settings = with_spares(1);
    settings.backoff_first = settings.backoff_max = 2 * second;
    assert_true(pool.begin_all(1, settings));
    pool.end_spare(0, exit_with(1));
    assert_true(pool.find(EventType::spare_exited).delay >= 1 * second);
}

void a_spare_whose_start_fails_is_tried_again_later(void **) {
    Spared pool;
    assert_true(pool.begin(1, with_spares(1)));
    pool.start_one();
    Duration last = 0;
    for (int failure = 0; failure < 10; failure++) {
        assert_int_equal(pool.core.startable(), 1);
        pool.give_spare(Input::Kind::start_failed, pool.core.pop_start() - first_spare, -EAGAIN);
        assert_int_equal(pool.core.startable(), 0);
        const Duration delay = pool.core.next_deadline() - pool.now;
        assert_true(delay > last || last == start_retry_max);
        last = delay;
        pool.pass(delay);
    }
    assert_int_equal(last, start_retry_max);
    pool.set_spares(0);
    assert_int_equal(pool.core.startable(), 0);
}

void messages_of_a_worker_mean_nothing_from_a_spare(void **) {
    Spared pool;
    assert_true(pool.begin_all(1, with_spares(1)));

    pool.give_spare(Input::Kind::ready, 0);
    pool.give_spare(Input::Kind::retire, 0);
    pool.give_spare(Input::Kind::heartbeat, 0);
    assert_true(pool.spare(0) == State::running);
    pool.give_spare(Input::Kind::flood, 0);

    assert_true(pool.spare(0) == State::aborting);
    pool.end_spare(0, killed_by(signal_kill));
    assert_true(pool.find(EventType::spare_exited).reason == Reason::protocol);
}

void a_spare_that_is_being_started_ends_where_it_is_not_wanted(void **) {
    Spared pool;
    assert_true(pool.begin(1, with_spares(2)));
    pool.start_one();
    assert_int_equal(pool.core.pop_start(), first_spare);

    pool.set_spares(0);
    pool.give_spare(Input::Kind::started, 0);

    assert_true(pool.spare(0) == State::stopping);
    pool.end_spare(0, exit_with(0));
    assert_false(pool.find(EventType::spare_exited).will_restart);
}

void a_spare_that_is_being_started_ends_with_the_pool(void **) {
    for (const Input::Kind end : {Input::Kind::stop, Input::Kind::kill}) {
        Spared pool;
        assert_true(pool.begin(1, with_spares(1)));
        pool.start_one();
        assert_int_equal(pool.core.pop_start(), first_spare);

        pool.give(end);
        (void)pool.count_signals(0);
        pool.give_spare(Input::Kind::started, 0);

        const bool is_killed = end == Input::Kind::kill;
        assert_true(pool.spare(0) == (is_killed ? State::killing : State::stopping));
        assert_int_equal(pool.count_signals(is_killed ? signal_kill : 0), 1);
        pool.end(0, killed_by(signal_kill));
        assert_false(pool.core.done());
        pool.end_spare(0, killed_by(signal_kill));
        assert_true(pool.core.done());
    }
}

void fewer_spares_end_the_last_places(void **) {
    Spared pool;
    assert_true(pool.begin_all(1, with_spares(3)));
    pool.set_spares(1);

    assert_true(pool.spare(0) == State::running);
    assert_true(pool.spare(1) == State::stopping && pool.spare(2) == State::stopping);
    pool.end_spare(1, exit_with(0));
    assert_true(pool.find(EventType::spare_exited).reason == Reason::resize);
}

void a_reload_renews_the_spares_without_delay(void **) {
    Spared pool;
    assert_true(pool.begin_all(1, with_spares(1)));
    pool.end_spare(0, exit_with(1));
    pool.give(Input::Kind::renew_spares); // no delay any more
    assert_int_equal(pool.start_all(), 1);

    pool.give(Input::Kind::renew_spares);

    assert_true(pool.spare(0) == State::stopping);
    pool.end_spare(0, exit_with(0));
    (void)pool.find(EventType::spare_exited); // the first one's
    const Event ended = pool.find(EventType::spare_exited);
    assert_true(ended.reason == Reason::reload && ended.will_restart);
    assert_int_equal(ended.delay, 0);
    assert_int_equal(pool.start_all(), 1);
}

// ---- The host's own fork ------------------------------------------------------------------------

void spares_of_the_hosts_fork_are_requested(void **) {
    Spared pool;
    assert_true(pool.begin(1, with_spares(1)));
    pool.request_and_answer_all();
    assert_int_equal(pool.request_all(), 1);
    assert_int_equal(pool.core.requested_spare(), first_spare);
    assert_int_equal(pool.find(EventType::fork_wanted).task_id, prefork::base::task_spare);
    pool.give_spare(Input::Kind::request_delivered, 0);
    assert_int_equal(pool.core.pending_spare_fork(), first_spare);

    pool.pass(fork_result_timeout); // the host has not answered
    assert_true(pool.spare(0) == State::empty);
    assert_int_equal(pool.request_all(), 1);
    pool.give_spare(Input::Kind::request_delivered, 0);
    pool.give_spare(Input::Kind::started, 0);

    assert_true(pool.spare(0) == State::running);
    assert_int_equal(pool.core.counter(Counter::spares), 1);
}

void a_request_for_a_spare_is_cancelled_with_its_need(void **) {
    for (const bool stops : {false, true}) {
        Spared pool;
        assert_true(pool.begin(1, with_spares(1)));
        pool.request_and_answer_all();
        assert_int_equal(pool.request_all(), 1);

        if (stops) {
            pool.give(Input::Kind::stop);
        } else {
            pool.set_spares(0);
        }

        assert_true(pool.spare(0) == State::empty);
        assert_true(pool.find(EventType::fork_wanted).type != EventType::fork_wanted);
    }
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_spare_becomes_the_worker_of_a_restart),
        cmocka_unit_test(the_spare_that_has_waited_longest_comes_first),
        cmocka_unit_test(a_spare_that_cannot_take_over_is_killed_and_the_start_goes_on),
        cmocka_unit_test(a_spare_that_dies_as_the_worker_is_a_restart),
        cmocka_unit_test(more_starts_than_spares_are_ordinary),
        cmocka_unit_test(a_limit_that_is_used_up_takes_no_spare),
        cmocka_unit_test(a_normal_end_takes_a_spare_where_all_are_restarted),
        cmocka_unit_test(a_lifetime_begins_with_the_slot),
        cmocka_unit_test(a_spare_that_always_ends_is_started_ever_more_rarely),
        cmocka_unit_test(the_backoff_of_the_pool_holds_for_spares),
        cmocka_unit_test(a_spare_whose_start_fails_is_tried_again_later),
        cmocka_unit_test(messages_of_a_worker_mean_nothing_from_a_spare),
        cmocka_unit_test(a_spare_that_is_being_started_ends_where_it_is_not_wanted),
        cmocka_unit_test(a_spare_that_is_being_started_ends_with_the_pool),
        cmocka_unit_test(fewer_spares_end_the_last_places),
        cmocka_unit_test(a_reload_renews_the_spares_without_delay),
        cmocka_unit_test(spares_of_the_hosts_fork_are_requested),
        cmocka_unit_test(a_request_for_a_spare_is_cancelled_with_its_need),
    };
    return cmocka_run_group_tests_name("spares", tests, nullptr, nullptr);
}
