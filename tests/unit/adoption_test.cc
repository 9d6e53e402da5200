// Workers that a supervisor adopts from its own former program: the core alone.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include "upgraded.h"

using namespace tests;

namespace {

void upgrade_keeps_all_workers(void **) {
    Supervised old;
    Supervised fresh;
    assert_true(old.begin(3, 100));
    old.start_all();

    assert_true(upgrade(old, &fresh, 3));

    assert_int_equal(fresh.find(EventType::adopted).count, 3);
    assert_int_equal(fresh.core.alive(), 3);
    assert_int_equal(fresh.core.startable(), 0);
    for (uint32_t slot = 0; slot < 3; slot++) {
        assert_int_equal(fresh.core.worker(fresh.core.current(slot)).pid, 100 + slot);
        assert_true(fresh.state(slot) == State::ready);
    }
}

void upgrade_keeps_counts_and_limits(void **) {
    Supervised old;
    Supervised fresh;
    Settings settings;
    settings.max_restarts = 2;
    assert_true(old.begin(2, settings));
    old.start_all();
    old.end(0, killed_by(11));
    old.start_all();
    old.end(0, killed_by(11));
    old.start_all();

    assert_true(upgrade(old, &fresh, 2, settings));
    assert_int_equal(fresh.core.restarts(), 2);
    assert_int_equal(fresh.core.restarts(0), 2);
    assert_int_equal(fresh.core.counter(Counter::started), 4);
    fresh.end(1, killed_by(11));

    assert_int_equal(fresh.core.result(), code_gave_up);
}

void upgrade_to_fewer_workers_stops_the_rest(void **) {
    Supervised old;
    Supervised fresh;
    assert_true(old.begin(3, 100));
    old.start_all();

    assert_true(upgrade(old, &fresh, 1));

    assert_true(fresh.state(0) == State::ready);
    assert_true(fresh.state(1) == State::stopping);
    assert_true(fresh.state(2) == State::stopping);
    fresh.end(1, exit_with(0));
    fresh.end(2, exit_with(0));
    assert_int_equal(fresh.core.alive(), 1);
    assert_int_equal(fresh.core.startable(), 0);
}

void upgrade_to_more_workers_starts_the_rest(void **) {
    Supervised old;
    Supervised fresh;
    assert_true(old.begin(1, 100));
    old.start_all();

    assert_true(upgrade(old, &fresh, 3));

    assert_int_equal(fresh.core.startable(), 2);
    fresh.start_all();
    assert_int_equal(fresh.core.ready(), 3);
}

void upgrade_amid_a_reload_stops_the_new_worker_and_reloads_anew(void **) {
    Supervised old;
    Supervised fresh;
    Settings settings;
    settings.ready_timeout = 10 * second;
    assert_true(old.begin(2, settings));
    old.start_all();
    old.say(Input::Kind::ready, 0);
    old.say(Input::Kind::ready, 1);
    old.give(Input::Kind::reload);
    old.start_one(); // not ready yet

    assert_true(upgrade(old, &fresh, 2, settings));

    assert_true(fresh.state(0) == State::ready);
    const uint32_t replacement = other_instance(fresh.core.current(0));
    assert_true(fresh.core.worker(replacement).state == State::stopping);
    assert_true(fresh.core.reloading());
    fresh.end_worker(replacement, exit_with(0));
    assert_int_equal(fresh.start_all(), 1);
}

void upgrade_keeps_stop_deadlines(void **) {
    Supervised old;
    Supervised fresh;
    assert_true(old.begin(2, 100));
    old.start_all();
    Input stop;
    stop.kind = Input::Kind::stop_worker;
    old.step(stop);
    const Instant deadline = old.core.next_deadline();
    old.now += 1 * second;

    assert_true(upgrade(old, &fresh, 2));

    assert_true(fresh.state(0) == State::stopping);
    assert_true(fresh.core.next_deadline() == deadline);
    fresh.end(0, exit_with(0));
    assert_int_equal(fresh.core.startable(), 0); // the host wants none there
    assert_true(fresh.core.is_stopped(0));
}

void upgrade_stops_spares_and_starts_others(void **) {
    Supervised old;
    Supervised fresh;
    Settings settings;
    settings.spares = 2;
    assert_true(old.begin(1, settings));
    old.start_all();
    assert_int_equal(old.core.counter(Counter::spares), 2);

    assert_true(upgrade(old, &fresh, 1, settings));

    assert_int_equal(fresh.find(EventType::adopted).count, 1);
    assert_int_equal(fresh.core.counter(Counter::spares), 2);
    for (uint32_t place = 0; place < 2; place++) {
        assert_true(fresh.core.worker(prefork::base::first_spare + place).state == State::stopping);
    }
    fresh.end_worker(prefork::base::first_spare, exit_with(0));
    const Event event = fresh.find(EventType::spare_exited);
    assert_true(event.reason == Reason::reload);
    assert_true(event.will_restart);
    assert_int_equal(fresh.start_all(), 1);
}

void worker_that_nobody_claims_is_stopped_and_its_end_is_reported(void **) {
    Supervised pool;
    assert_true(pool.begin(1, 100));
    pool.start_all();
    assert_true(pool.core.reserve(2, 0));

    pool.core.absorb(instance_of(1, 0), 500, pool.now);

    assert_int_equal(pool.core.alive(), 2);
    assert_true(pool.core.worker(instance_of(1, 0)).state == State::stopping);
    pool.end_worker(instance_of(1, 0), killed_by(15));
    assert_int_equal(pool.find(EventType::exited).pid, 500);
    assert_int_equal(pool.core.alive(), 1);
    assert_int_equal(pool.core.startable(), 0);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(upgrade_keeps_all_workers),
        cmocka_unit_test(upgrade_keeps_counts_and_limits),
        cmocka_unit_test(upgrade_to_fewer_workers_stops_the_rest),
        cmocka_unit_test(upgrade_to_more_workers_starts_the_rest),
        cmocka_unit_test(upgrade_amid_a_reload_stops_the_new_worker_and_reloads_anew),
        cmocka_unit_test(upgrade_keeps_stop_deadlines),
        cmocka_unit_test(upgrade_stops_spares_and_starts_others),
        cmocka_unit_test(worker_that_nobody_claims_is_stopped_and_its_end_is_reported),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
