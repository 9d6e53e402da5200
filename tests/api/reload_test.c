/*
 * reload_test.c - all workers replaced by new ones: pf_pool_reload()
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { SLOTS = 3, TRIAL_MS = 200, SHORT_MS = 300 };
enum { NOTE_WAITS = KIND_NOTE };

static int serves(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    return ends_on_term(board, task_id, run);
}

static void begin(struct host *host, int workers, int order) {
    if (host->work == NULL) {
        host->work = serves;
    }
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0); /* a reload does not count */
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_reload_order(host->pool, order), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, (unsigned)workers));
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, (unsigned)workers));
}

/* The slot has its nth worker, and that is at work. */
static void assert_has(const struct host *host, int task_id, unsigned nth) {
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, task_id), nth + 1);
    assert_int_equal(pf_pool_worker_pid(host->pool, task_id), host_pid(host, task_id, nth));
    assert_int_equal(pf_pool_worker_state(host->pool, task_id), PF_WORKER_READY);
}

/* What an old worker and the new one of its slot went through. */
struct change {
    const struct record *started;
    const struct record *ready;
    const struct record *exited;
};

static struct change change_of(const struct host *host, int task_id) {
    struct change change = {
        .started = board_find(host->board, PF_EVENT_STARTED, task_id, 1),
        .ready = board_find(host->board, PF_EVENT_READY, task_id, 1),
        .exited = board_find_pid(host->board, PF_EVENT_EXITED, host_pid(host, task_id, 0)),
    };

    assert_non_null(change.started);
    assert_non_null(change.ready);
    assert_non_null(change.exited);
    assert_int_equal(change.exited->exit_code, 0);
    assert_int_equal(change.exited->will_restart, 0);
    return change;
}

/* ---- How it goes ----------------------------------------------------------------------- */

static void one_after_the_other_and_the_new_one_first(void **state) {
    struct host *host = *state;
    begin(host, SLOTS, PF_RELOAD_START_FIRST);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(host_reaches(host, PF_EVENT_EXITED, ANY_TASK, SLOTS));
    uint64_t before = board_find(host->board, PF_EVENT_RELOADING, ANY_TASK, 0)->time_ns;
    for (int i = 0; i < SLOTS; i++) {
        struct change change = change_of(host, i);
        assert_true(change.started->time_ns >= before);
        assert_true(change.exited->time_ns >= change.ready->time_ns);
        assert_has(host, i, 1);
        before = change.ready->time_ns;
    }
    assert_true(board_find(host->board, PF_EVENT_RELOADED, ANY_TASK, 0)->time_ns >= before);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0)->restarts, 0);
}

static void one_after_the_other_and_the_old_one_stops_first(void **state) {
    struct host *host = *state;
    begin(host, SLOTS, PF_RELOAD_STOP_FIRST);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    uint64_t before = board_find(host->board, PF_EVENT_RELOADING, ANY_TASK, 0)->time_ns;
    for (int i = 0; i < SLOTS; i++) {
        struct change change = change_of(host, i);
        assert_true(change.exited->time_ns >= before);
        assert_true(change.started->time_ns >= change.exited->time_ns);
        assert_has(host, i, 1);
        before = change.ready->time_ns;
    }
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0)->restarts, 0);
}

static void begin_on_trial(struct host *host, int workers, int order) {
    host->work = ends_on_term;
    assert_int_equal(pf_pool_set_reload_order(host->pool, order), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, TRIAL_MS), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, (unsigned)workers));
}

static void assert_trials(struct host *host, int order) {
    begin_on_trial(host, 2, order);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    const struct record *first = board_find(host->board, PF_EVENT_STARTED, 0, 1);
    const struct record *second = board_find(host->board, PF_EVENT_STARTED, 1, 1);
    const struct record *reloaded = board_find(host->board, PF_EVENT_RELOADED, ANY_TASK, 0);
    assert_true(second->time_ns - first->time_ns >= (uint64_t)TRIAL_MS * 1000000U);
    assert_true(reloaded->time_ns - second->time_ns >= (uint64_t)TRIAL_MS * 1000000U);
    assert_int_equal(board_count(host->board, PF_EVENT_READY, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

static void without_a_ready_time_out_each_new_one_is_on_trial(void **state) {
    assert_trials(*state, PF_RELOAD_START_FIRST);
}

static void on_trial_too_when_the_old_one_stops_first(void **state) {
    assert_trials(*state, PF_RELOAD_STOP_FIRST);
}

static int serves_after_the_gate(struct board *board, int task_id, int run) {
    if (run > 0) {
        board_note(board, NOTE_WAITS, 0);
        gate_wait(board, 0);
    }
    return serves(board, task_id, run);
}

static void several_at_a_time_if_chosen(void **state) {
    struct host *host = *state;
    host->work = serves_after_the_gate;
    assert_int_equal(pf_pool_set_replace_width(host->pool, 2), 0);
    begin(host, 5, PF_RELOAD_START_FIRST);

    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, NOTE_WAITS, ANY_TASK, 2));
    host_goes_on(host, 50);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 7);
    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    for (int i = 0; i < 5; i++) {
        assert_has(host, i, 1);
    }
    assert_int_equal(host_stops(host), 0);
}

static void several_stop_at_a_time_if_chosen(void **state) {
    struct host *host = *state;
    host->work = serves_after_the_gate;
    assert_int_equal(pf_pool_set_replace_width(host->pool, 65536), 0); /* all */
    begin(host, SLOTS, PF_RELOAD_STOP_FIRST);

    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_EXITED, ANY_TASK, SLOTS));
    assert_int_equal(board_count(host->board, PF_EVENT_READY, ANY_TASK), SLOTS);
    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_int_equal(host_stops(host), 0);
}

static int serves_or_ignores_term(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    return run == 0 ? ignores_term(board, task_id, run) : ends_on_term(board, task_id, run);
}

static void an_old_one_that_does_not_stop_holds_up_nobody(void **state) {
    struct host *host = *state;
    host->work = serves_or_ignores_term;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 2 * SHORT_MS), 0);
    begin(host, SLOTS, PF_RELOAD_START_FIRST);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(host_reaches(host, PF_EVENT_EXITED, ANY_TASK, SLOTS));
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), SLOTS);
    assert_int_equal(pf_pool_alive_count(host->pool), SLOTS);
    assert_int_equal(host_stops(host), 0);
}

/* ---- New workers that do not work ------------------------------------------------------ */

static int fails_in_slot_1(struct board *board, int task_id, int run) {
    return task_id == 1 && run == 1 ? 1 : serves(board, task_id, run);
}

static void who_ends_at_once_ends_the_reload_and_the_old_ones_stay(void **state) {
    struct host *host = *state;
    host->work = fails_in_slot_1;
    begin(host, SLOTS, PF_RELOAD_START_FIRST);

    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 1, 1));
    host_goes_on(host, 50);

    assert_has(host, 0, 1); /* was replaced before */
    assert_has(host, 2, 0);
    assert_int_equal(pf_pool_worker_pid(host->pool, 1), host_pid(host, 1, 0));
    assert_int_equal(pf_pool_worker_state(host->pool, 1), PF_WORKER_READY);
    assert_int_equal(board_count(host->board, PF_EVENT_RELOADED, ANY_TASK), 0);
    const struct record *failed =
        board_find_pid(host->board, PF_EVENT_EXITED, host_pid(host, 1, 1));
    assert_int_equal(failed->exit_code, 1);
    assert_int_equal(failed->will_restart, 0);
    assert_int_equal(failed->level, 4);
    assert_int_equal(failed->restarts, 0);

    assert_int_equal(pf_pool_reload(host->pool), 0); /* mended */
    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_has(host, 0, 2);
    assert_has(host, 1, 2);
    assert_has(host, 2, 1);
    assert_int_equal(host_stops(host), 0);
}

static int ends_well_in_slot_0(struct board *board, int task_id, int run) {
    return task_id == 0 && run == 1 ? 0 : serves(board, task_id, run);
}

static void who_ends_well_too_soon_is_no_better(void **state) {
    struct host *host = *state;
    host->work = ends_well_in_slot_0;
    begin(host, 2, PF_RELOAD_START_FIRST);

    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    host_goes_on(host, 50);

    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 0));
    assert_has(host, 1, 0);
    assert_int_equal(host_stops(host), 0);
}

static int never_ready_later(struct board *board, int task_id, int run) {
    return run == 0 ? serves(board, task_id, run) : ignores_term(board, task_id, run);
}

static void who_never_gets_ready_ends_it_too(void **state) {
    struct host *host = *state;
    host->work = never_ready_later;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, time_scale() * 1200U), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, 2));
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));

    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    host_goes_on(host, 50);

    pid_t new = host_pid(host, 0, 1);
    const struct record *exited = board_find_pid(host->board, PF_EVENT_EXITED, new);
    assert_non_null(board_find_pid(host->board, PF_EVENT_UNRESPONSIVE, new));
    assert_int_equal(exited->signal, SIGKILL);
    assert_int_equal(exited->restarts, 0);
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 0));
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_READY);
    assert_has(host, 1, 0);
    assert_int_equal(host_stops(host), 0);
}

static int fails_once_in_slot_0(struct board *board, int task_id, int run) {
    return task_id == 0 && run == 1 ? 7 : serves(board, task_id, run);
}

static void if_the_old_one_stops_first_the_slot_follows_the_restart_policy(void **state) {
    struct host *host = *state;
    host->work = fails_once_in_slot_0;
    assert_int_equal(pf_pool_set_reload_order(host->pool, PF_RELOAD_STOP_FIRST), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 1), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, 2));

    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 2));
    assert_true(host_reaches(host, NOTE_READY, 0, 2));
    host_goes_on(host, 50);

    const struct record *failed =
        board_find_pid(host->board, PF_EVENT_EXITED, host_pid(host, 0, 1));
    assert_int_equal(failed->exit_code, 7);
    assert_int_equal(failed->will_restart, 1);
    assert_int_equal(failed->restarts, 1);
    assert_int_equal(board_count(host->board, PF_EVENT_RELOAD_FAILED, 0), 1);
    assert_has(host, 0, 2);
    assert_has(host, 1, 0);
    assert_int_equal(host_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(one_after_the_other_and_the_new_one_first),
        host_test(one_after_the_other_and_the_old_one_stops_first),
        host_test(without_a_ready_time_out_each_new_one_is_on_trial),
        host_test(on_trial_too_when_the_old_one_stops_first),
        host_test(several_at_a_time_if_chosen),
        host_test(several_stop_at_a_time_if_chosen),
        host_test(an_old_one_that_does_not_stop_holds_up_nobody),
        host_test(who_ends_at_once_ends_the_reload_and_the_old_ones_stay),
        host_test(who_ends_well_too_soon_is_no_better),
        host_test(who_never_gets_ready_ends_it_too),
        host_test(if_the_old_one_stops_first_the_slot_follows_the_restart_policy),
    };

    return run_group_with_each_backend("reload", tests);
}
