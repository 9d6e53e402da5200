// Workers in each state that a supervisor adopts from its own former program: the core alone.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>

#include "upgraded.h"

using namespace tests;
using prefork::base::first_spare;

namespace {

constexpr int32_t signal_segment = 11;

Settings awaiting_ready() {
    Settings settings;
    settings.ready_timeout = 10 * second;
    return settings;
}

bool begin_ready_pair(Supervised *pool, const Settings &settings) {
    const bool good = pool->begin(2, settings);
    pool->start_all();
    pool->say(Input::Kind::ready, 0);
    pool->say(Input::Kind::ready, 1);
    return good;
}

uint32_t new_worker(const Supervised &pool, uint32_t slot) {
    return other_instance(pool.core.current(slot));
}

// ---- States -------------------------------------------------------------------------------------

void time_to_get_ready_goes_on(void **) {
    Supervised old;
    Supervised fresh;
    assert_true(old.begin(1, awaiting_ready()));
    old.start_all();
    old.pass(4 * second);

    assert_true(upgrade(old, &fresh, 1, awaiting_ready()));

    assert_true(fresh.state(0) == State::running);
    assert_true(fresh.core.next_deadline() <= fresh.now + 6 * second);
    fresh.pass(6 * second);
    assert_true(fresh.state(0) == State::aborting);
}

void worker_that_is_being_aborted_ends_as_one(void **) {
    Supervised old;
    Supervised fresh;
    Settings settings;
    settings.heartbeat_timeout = 4 * second;
    assert_true(old.begin(1, settings));
    old.start_all();
    old.say(Input::Kind::heartbeat, 0, 1);
    while (old.state(0) != State::aborting) {
        old.pass_and_beat(second, 1);
    }
    const Instant deadline = old.core.next_deadline();

    assert_true(upgrade(old, &fresh, 1, settings));

    assert_true(fresh.state(0) == State::aborting);
    assert_true(fresh.core.next_deadline() == deadline);
    fresh.pass(deadline - fresh.now);
    assert_int_equal(fresh.count_signals(signal_kill), 1);
    fresh.end(0, killed_by(signal_kill));
    assert_true(fresh.find(EventType::exited).reason == Reason::heartbeat_timeout);
}

void heartbeats_are_expected_further(void **) {
    Supervised old;
    Supervised fresh;
    Settings settings;
    settings.heartbeat_timeout = 4 * second;
    assert_true(old.begin(1, settings));
    old.start_all();
    old.pass_and_beat(second, 1);
    old.pass_and_beat(second, 2);

    assert_true(upgrade(old, &fresh, 1, settings));
    for (int passed = 0; passed < 6; passed++) {
        fresh.pass_and_beat(second, 2);
    }

    assert_true(fresh.state(0) == State::aborting);
}

void killed_worker_is_awaited(void **) {
    Supervised old;
    Supervised fresh;
    Settings settings;
    settings.stop_timeout = second;
    assert_true(old.begin(2, settings));
    old.start_all();
    Input stop;
    stop.kind = Input::Kind::stop_worker;
    old.step(stop);
    while (old.state(0) != State::killing) {
        old.pass(second);
    }

    assert_true(upgrade(old, &fresh, 2, settings));

    assert_true(fresh.state(0) == State::killing);
    fresh.end(0, killed_by(signal_kill));
    assert_int_equal(fresh.core.alive(), 1);
}

void stop_gets_the_time_out_of_the_new_program(void **) {
    Supervised old;
    Supervised fresh;
    Settings settings;
    settings.stop_timeout = 0;
    assert_true(old.begin(2, settings));
    old.start_all();
    Input stop;
    stop.kind = Input::Kind::stop_worker;
    old.step(stop);
    settings.stop_timeout = 3 * second;

    assert_true(upgrade(old, &fresh, 2, settings));
    fresh.pass(3 * second);

    assert_true(fresh.state(0) == State::killing);
}

void restart_after_a_delay_comes_when_it_was_due(void **) {
    Supervised old;
    Supervised fresh;
    Settings settings;
    settings.backoff_first = settings.backoff_max = 8 * second;
    assert_true(old.begin(2, settings));
    old.start_all();
    old.end(0, killed_by(signal_segment));
    assert_true(old.state(0) == State::backing_off);
    const Instant due = old.core.next_deadline();

    assert_true(upgrade(old, &fresh, 2, settings));

    assert_true(fresh.state(0) == State::backing_off);
    assert_true(fresh.core.next_deadline() == due);
    fresh.pass(due - fresh.now);
    assert_int_equal(fresh.start_all(), 1);
    assert_int_equal(fresh.core.restarts(), 1);
}

void start_that_is_waited_for_keeps_its_reason(void **) {
    Supervised old;
    Supervised fresh;
    assert_true(old.begin(2, 100));
    old.start_all();
    old.end(0, killed_by(signal_segment));
    assert_int_equal(old.fail_one(-EAGAIN, true), 0);

    assert_true(upgrade(old, &fresh, 2));

    assert_true(fresh.state(0) == State::waiting);
    assert_int_equal(fresh.start_all(), 1);
    assert_true(fresh.find(EventType::started).reason == Reason::restart);
}

void slot_whose_worker_has_finished_stays_empty(void **) {
    Supervised old;
    Supervised fresh;
    assert_true(old.begin(2, 100));
    old.start_all();
    old.pass(10 * second);
    old.end(0, exit_with(0));
    assert_true(old.state(0) == State::done);

    assert_true(upgrade(old, &fresh, 2));

    assert_true(fresh.state(0) == State::done);
    assert_int_equal(fresh.core.startable(), 0);
    fresh.end(1, exit_with(0));
    assert_true(fresh.core.done());
    assert_int_equal(fresh.core.result(), 0);
}

void slot_that_was_given_up_stays_empty(void **) {
    for (const uint32_t workers : {2U, 1U}) {
        Supervised old;
        Supervised fresh;
        Settings settings;
        settings.max_restarts = 0;
        settings.on_limit = OnLimit::degrade;
        assert_true(old.begin(2, settings));
        old.start_all();
        old.end(1, killed_by(signal_segment));

        assert_true(upgrade(old, &fresh, workers, settings));

        assert_int_equal(fresh.core.startable(), 0);
        assert_int_equal(fresh.core.alive(), 1);
        fresh.end(0, exit_with(0));
        assert_true(fresh.core.done());
        assert_int_equal(fresh.core.result(), workers == 2 ? code_gave_up : 0);
    }
}

// ---- Replacements -------------------------------------------------------------------------------

void retirement_is_requested_again(void **) {
    Supervised old;
    Supervised fresh;
    assert_true(begin_ready_pair(&old, awaiting_ready()));
    old.pass(minimum_uptime_default);
    old.say(Input::Kind::retire, 1);

    assert_true(upgrade(old, &fresh, 2, awaiting_ready()));

    assert_int_equal(fresh.start_one(), 1);
    assert_true(fresh.find(EventType::started).reason == Reason::retire);
}

void replacement_that_waits_for_its_turn_waits_further(void **) {
    Supervised old;
    Supervised fresh;
    assert_true(begin_ready_pair(&old, awaiting_ready()));
    old.replace(0);
    old.start_one();
    old.replace(1); // after the other one

    assert_true(upgrade(old, &fresh, 2, awaiting_ready()));

    assert_true(fresh.core.worker(new_worker(fresh, 0)).state == State::stopping);
    fresh.end_worker(new_worker(fresh, 0), exit_with(0));
    assert_true(fresh.core.is_being_replaced(0));
    assert_true(fresh.core.is_being_replaced(1));
    assert_int_equal(fresh.start_all(), 1);
}

void worker_that_is_stopped_first_is_replaced_for_the_same_reason(void **) {
    Supervised old;
    Supervised fresh;
    Settings settings = awaiting_ready();
    settings.reload_order = ReloadOrder::stop_first;
    assert_true(begin_ready_pair(&old, settings));
    old.replace(0);
    assert_true(old.state(0) == State::stopping);

    assert_true(upgrade(old, &fresh, 2, settings));

    assert_true(fresh.state(0) == State::stopping);
    fresh.end(0, exit_with(0));
    assert_int_equal(fresh.start_all(), 1);
    assert_true(fresh.find(EventType::started).reason == Reason::replace);
}

void old_worker_of_a_finished_replacement_is_awaited(void **) {
    Supervised old;
    Supervised fresh;
    assert_true(old.begin(1, awaiting_ready()));
    old.start_all();
    old.say(Input::Kind::ready, 0);
    old.replace(0);
    old.start_one();
    Input ready;
    ready.kind = Input::Kind::ready;
    ready.worker = new_worker(old, 0);
    old.step(ready);
    assert_true(old.state(0) == State::ready);
    assert_true(old.core.worker(new_worker(old, 0)).state == State::stopping);

    assert_true(upgrade(old, &fresh, 1, awaiting_ready()));

    assert_true(fresh.state(0) == State::ready);
    assert_true(fresh.core.worker(new_worker(fresh, 0)).state == State::stopping);
    fresh.pass(stop_timeout_default);
    assert_true(fresh.core.worker(new_worker(fresh, 0)).state == State::killing);
    fresh.end_worker(new_worker(fresh, 0), killed_by(signal_kill));
    assert_int_equal(fresh.core.alive(), 1);
}

void lifetime_is_that_of_the_new_program(void **) {
    for (const Duration before : {Duration{0}, 100 * second}) {
        for (const Duration after : {Duration{0}, 100 * second}) {
            Supervised old;
            Supervised fresh;
            Settings settings;
            settings.lifetime = before;
            assert_true(old.begin(1, settings));
            old.start_all();
            old.pass(60 * second);
            settings.lifetime = after;

            assert_true(upgrade(old, &fresh, 1, settings));

            const Instant expires = fresh.core.worker(fresh.core.current(0)).expires;
            const Duration left = before == 0 ? after : 40 * second;
            assert_true(expires == (after == 0 ? never : fresh.now + left));
        }
    }
}

void replacement_for_age_is_requested_again(void **) {
    Supervised old;
    Supervised fresh;
    Settings settings = awaiting_ready();
    settings.lifetime = 100 * second;
    assert_true(begin_ready_pair(&old, settings));
    old.pass(100 * second);
    assert_int_equal(old.core.startable(), 1);

    assert_true(upgrade(old, &fresh, 2, settings));

    assert_true(fresh.core.worker(fresh.core.current(0)).expires == never);
    assert_int_equal(fresh.start_one(), 0);
    assert_true(fresh.find(EventType::started).reason == Reason::lifetime);
}

// ---- Spares -------------------------------------------------------------------------------------

void spares_that_end_already_are_awaited(void **) {
    Supervised old;
    Supervised fresh;
    Settings settings;
    settings.spares = 2;
    assert_true(old.begin(1, settings));
    old.start_all();
    Input flood;
    flood.kind = Input::Kind::flood;
    flood.worker = first_spare;
    old.step(flood);
    Input fewer;
    fewer.kind = Input::Kind::set_spares;
    old.step(fewer);

    assert_true(upgrade(old, &fresh, 1, settings));

    assert_true(fresh.core.worker(first_spare).state != State::running);
    assert_true(fresh.core.worker(first_spare + 1).state == State::stopping);
    fresh.end_worker(first_spare, killed_by(signal_kill));
    fresh.end_worker(first_spare + 1, exit_with(0));
    assert_int_equal(fresh.core.counter(Counter::spares), 0);
    assert_true(fresh.core.startable() > 0 || fresh.core.next_deadline() != never);
}

// ---- What no program hands over -----------------------------------------------------------------

void each_value_out_of_range_is_refused(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 100));
    pool.start_all();
    const SlotSnapshot saved = pool.core.snapshot(0);
    void (*const changes[])(SlotSnapshot *) = {
        [](SlotSnapshot *slot) { slot->current = 2; },
        [](SlotSnapshot *slot) { slot->workers[1] = slot->workers[0]; }, // two that are ready
        [](SlotSnapshot *slot) { slot->workers[0].pid = 0; },
        [](SlotSnapshot *slot) { slot->workers[0].state = 200; },
        [](SlotSnapshot *slot) { slot->workers[0].start_reason = 200; },
        [](SlotSnapshot *slot) { slot->workers[0].end_reason = 200; },
        [](SlotSnapshot *slot) { slot->workers[0].flags = 0x80; },
        [](SlotSnapshot *slot) { slot->workers[0].state = static_cast<uint8_t>(State::starting); },
        [](SlotSnapshot *slot) { slot->workers[0].state = static_cast<uint8_t>(State::empty); },
        [](SlotSnapshot *slot) { slot->workers[0].refusals = 200; },
        [](SlotSnapshot *slot) { slot->workers[1].pid = -1; },
        [](SlotSnapshot *slot) { slot->workers[1].pid = 7; },
        [](SlotSnapshot *slot) { slot->again = 200; },
        [](SlotSnapshot *slot) { slot->requests = 0x80; },
        [](SlotSnapshot *slot) { slot->flags = 0x80; },
        [](SlotSnapshot *slot) { slot->restarts = -1; },
    };
    for (const auto change : changes) {
        SlotSnapshot other = saved;
        change(&other);
        assert_false(other.is_valid());
    }
    assert_true(saved.is_valid());
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(time_to_get_ready_goes_on),
        cmocka_unit_test(worker_that_is_being_aborted_ends_as_one),
        cmocka_unit_test(heartbeats_are_expected_further),
        cmocka_unit_test(killed_worker_is_awaited),
        cmocka_unit_test(stop_gets_the_time_out_of_the_new_program),
        cmocka_unit_test(restart_after_a_delay_comes_when_it_was_due),
        cmocka_unit_test(start_that_is_waited_for_keeps_its_reason),
        cmocka_unit_test(slot_whose_worker_has_finished_stays_empty),
        cmocka_unit_test(slot_that_was_given_up_stays_empty),
        cmocka_unit_test(retirement_is_requested_again),
        cmocka_unit_test(replacement_that_waits_for_its_turn_waits_further),
        cmocka_unit_test(worker_that_is_stopped_first_is_replaced_for_the_same_reason),
        cmocka_unit_test(old_worker_of_a_finished_replacement_is_awaited),
        cmocka_unit_test(lifetime_is_that_of_the_new_program),
        cmocka_unit_test(replacement_for_age_is_requested_again),
        cmocka_unit_test(spares_that_end_already_are_awaited),
        cmocka_unit_test(each_value_out_of_range_is_refused),
    };
    return cmocka_run_group_tests_name("adopted states", tests, nullptr, nullptr);
}
