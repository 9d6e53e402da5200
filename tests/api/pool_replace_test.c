/*
 * pool_replace_test.c - one worker replaced by a new one: pf_pool_replace_worker()
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

enum { SHORT_TRIAL_MS = 200 };
#define TRIAL_MS (time_scale() * 1000U) /* in which the test sees that both are there */

static void begin(struct host *host, int workers, uint64_t trial_ms) {
    assert_int_equal(pf_pool_set_min_uptime(host->pool, trial_ms), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0); /* none of this counts */
    assert_int_equal(host_begin(host, workers), 0);
}

/* ---- A worker that is at work ---------------------------------------------------------- */

static void the_new_one_is_good_before_the_old_one_stops(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 2, TRIAL_MS);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));
    pid_t old = host_pid(host, 1, 0);

    assert_int_equal(host_replaces(host, 1), 0);
    assert_int_equal(pf_pool_replace_worker(host->pool, 1), -EALREADY);
    assert_true(host_reaches(host, NOTE_READY, 1, 2));
    pid_t new = host_pid(host, 1, 1);
    assert_int_equal(pf_pool_alive_count(host->pool), 3);
    assert_int_equal(pf_pool_worker_count(host->pool), 2);
    assert_int_equal(pf_pool_worker_pid(host->pool, 1), old); /* until the new one is good */
    assert_int_equal(pf_pool_worker_state(host->pool, 1), PF_WORKER_READY);
    assert_int_equal(pf_pool_replace_worker(host->pool, 1), -EALREADY);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 1));

    const struct record *started = board_find(host->board, PF_EVENT_STARTED, 1, 1);
    const struct record *end = board_find(host->board, PF_EVENT_EXITED, 1, 0);
    assert_int_equal(end->pid, old);
    assert_int_equal(end->exit_code, 0);
    assert_int_equal(end->will_restart, 0);
    assert_true(end->time_ns - started->time_ns >= UINT64_C(1000000) * TRIAL_MS);
    assert_int_equal(pf_pool_worker_pid(host->pool, 1), new);
    assert_int_equal(pf_pool_worker_state(host->pool, 1), PF_WORKER_READY);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 1), 0);
    assert_true(pf_pool_worker_uptime_ms(host->pool, 1) >= TRIAL_MS);
    assert_int_equal(pf_pool_alive_count(host->pool), 2);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 1);
}

static int refuses_to_end_at_first(struct board *board, int task_id, int run) {
    return run == 0 ? ignores_term(board, task_id, run) : ends_on_term(board, task_id, run);
}

static void an_old_one_that_does_not_stop_is_killed(void **state) {
    struct host *host = *state;
    host->work = refuses_to_end_at_first;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 100), 0);
    begin(host, 1, SHORT_TRIAL_MS);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    assert_int_equal(host_replaces(host, 0), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
    const struct record *killed = board_find(host->board, PF_EVENT_KILLED, 0, 0);
    assert_non_null(killed);
    assert_int_equal(killed->pid, host_pid(host, 0, 0));
    const struct record *end = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(end->signal, SIGKILL);
    assert_int_equal(end->level, 6);
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 1));
    assert_int_equal(host_stops(host), 0);
}

static int ends_at_once_as_second(struct board *board, int task_id, int run) {
    return run == 1 ? 3 : ends_on_term(board, task_id, run);
}

static void a_new_one_that_ends_too_soon_leaves_the_old_one(void **state) {
    struct host *host = *state;
    host->work = ends_at_once_as_second;
    begin(host, 2, TRIAL_MS);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));
    pid_t old = host_pid(host, 0, 0);

    assert_int_equal(host_replaces(host, 0), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    const struct record *end = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(end->pid, host_pid(host, 0, 1));
    assert_int_equal(end->exit_code, 3);
    assert_int_equal(end->level, 4);
    assert_int_equal(end->will_restart, 0);
    assert_true(board_find(host->board, PF_EVENT_RELOAD_FAILED, 0, 0) > end);
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), old);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_READY);
    assert_int_equal(pf_pool_alive_count(host->pool), 2);
    host_goes_on(host, 50);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 2);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
}

/* The old one crashes while the new one is on its way: the new one has the slot at once. */
static void a_crash_of_the_old_one_gives_the_slot_to_the_new_one(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 1, TRIAL_MS);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(host_replaces(host, 0), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 2));

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 1));
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_READY);
    assert_int_equal(pf_pool_alive_count(host->pool), 1);
    host_goes_on(host, 50);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
    assert_int_equal(host_replaces(host, 0), 0); /* and may be replaced again */
    assert_true(host_reaches(host, NOTE_READY, 0, 3));
    assert_int_equal(host_stops(host), 0);
}

static void a_stop_ends_both(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 1, TRIAL_MS);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(host_replaces(host, 0), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 2));

    assert_int_equal(host_stops(host), 0);

    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, 0), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_RELOAD_FAILED, ANY_TASK), 0);
    assert_string_equal(board_find(host->board, PF_EVENT_STOPPING, ANY_TASK, 0)->message,
                        "Stopping 2 processes");
}

static void a_stop_before_the_new_one_is_started_ends_it(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 1, TRIAL_MS);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    assert_int_equal(host_replaces(host, 0), 0);

    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK),
                     board_count(host->board, PF_EVENT_EXITED, ANY_TASK));
}

static void a_resize_below_ends_both(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 2, TRIAL_MS);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));
    assert_int_equal(host_replaces(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 1, 2));

    assert_int_equal(pf_pool_resize(host->pool, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 2));
    assert_int_equal(pf_pool_alive_count(host->pool), 1);
    assert_int_equal(host_stops(host), 0);
}

static void all_may_be_replaced_at_the_same_time_if_chosen(void **state) {
    enum { SLOTS = 10 };
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(pf_pool_set_replace_width(host->pool, SLOTS), 0);
    begin(host, SLOTS, SHORT_TRIAL_MS);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, SLOTS));

    for (int i = 0; i < SLOTS; i++) {
        assert_int_equal(host_replaces(host, i), 0);
    }

    assert_true(host_reaches(host, PF_EVENT_EXITED, ANY_TASK, SLOTS));
    for (int i = 0; i < SLOTS; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->pid, host_pid(host, i, 0));
        assert_int_equal(pf_pool_worker_pid(host->pool, i), host_pid(host, i, 1));
    }
    assert_int_equal(host_stops(host), 0);
}

/* ---- A slot without a process ---------------------------------------------------------- */

static int crashes_at_first(struct board *board, int task_id, int run) {
    return run == 0 ? 1 : ends_on_term(board, task_id, run);
}

static void in_backoff_the_next_one_is_started_now(void **state) {
    struct host *host = *state;
    host->work = crashes_at_first;
    assert_int_equal(pf_pool_set_backoff(host->pool, 3600000, 3600000), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches_state(host, 0, PF_WORKER_BACKOFF));

    assert_int_equal(host_replaces(host, 0), 0);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_STARTING);

    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 1); /* that of the crash */
    assert_int_equal(host_stops(host), 0);
}

static int ends_at_first_in_slot_0(struct board *board, int task_id, int run) {
    return task_id == 0 && run == 0 ? 0 : ends_on_term(board, task_id, run);
}

static void a_slot_that_is_done_begins_anew(void **state) {
    struct host *host = *state;
    host->work = ends_at_first_in_slot_0;
    begin(host, 2, TRIAL_MS);
    assert_true(host_reaches_state(host, 0, PF_WORKER_DONE));

    assert_int_equal(host_replaces(host, 0), 0);

    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_READY);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 0);
    assert_int_equal(host_stops(host), 0);
}

static int crashes_twice_in_slot_0(struct board *board, int task_id, int run) {
    return task_id == 0 && run < 2 ? 1 : ends_on_term(board, task_id, run);
}

static void a_slot_that_was_given_up_begins_anew(void **state) {
    struct host *host = *state;
    host->work = crashes_twice_in_slot_0;
    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_DEGRADE), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 1), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches_state(host, 0, PF_WORKER_EMPTY));

    assert_int_equal(host_replaces(host, 0), 0);

    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 1);
    assert_int_equal(pf_pool_stop(host->pool), 0);
    (void)host_finishes(host);
}

static void before_the_first_dispatch_a_worker_is_on_its_way_already(void **state) {
    struct host *host = *state;
    begin(host, 2, TRIAL_MS);

    int result = host_replaces(host, 0);

    assert_true(result == 0 || result == -EALREADY);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));
    host_goes_on(host, 20);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 2);
    assert_int_equal(host_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(the_new_one_is_good_before_the_old_one_stops),
        host_test(an_old_one_that_does_not_stop_is_killed),
        host_test(a_new_one_that_ends_too_soon_leaves_the_old_one),
        host_test(a_crash_of_the_old_one_gives_the_slot_to_the_new_one),
        host_test(a_stop_ends_both),
        host_test(a_stop_before_the_new_one_is_started_ends_it),
        host_test(a_resize_below_ends_both),
        host_test(all_may_be_replaced_at_the_same_time_if_chosen),
        host_test(in_backoff_the_next_one_is_started_now),
        host_test(a_slot_that_is_done_begins_anew),
        host_test(a_slot_that_was_given_up_begins_anew),
        host_test(before_the_first_dispatch_a_worker_is_on_its_way_already),
    };

    return run_group_with_each_backend("pool replace", tests);
}
