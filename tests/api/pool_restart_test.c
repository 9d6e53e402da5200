/*
 * pool_restart_test.c - who is restarted, how often and how soon
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { HOUR_MS = 3600000 };

/* ---- When ------------------------------------------------------------------------------ */

/* Worker 0 ends normally, 1 with a status, 2 by a signal; then all stay. */
static int ends_in_its_own_way(struct board *board, int task_id, int run) {
    if (run > 0) {
        return ends_on_term(board, task_id, run);
    }
    if (task_id == 2) {
        board_require(board, raise(SIGKILL) == 0);
    }
    return task_id;
}

static void on_failure_restarts_abnormal_ends_only(void **state) {
    struct host *host = *state;
    host->work = ends_in_its_own_way;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_ON_FAILURE), 0);
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));
    assert_true(host_reaches_state(host, 0, PF_WORKER_DONE));

    assert_int_equal(host_stops(host), 0);

    for (int i = 0; i < 3; i++) {
        const struct record *end = board_find(host->board, PF_EVENT_EXITED, i, 0);
        assert_int_equal(end->will_restart, i == 0 ? 0 : 1);
        assert_int_equal(end->level, i == 0 ? 6 : 4);
        assert_int_equal(board_count(host->board, PF_EVENT_STARTED, i), i == 0 ? 1 : 2);
        assert_int_equal(pf_pool_worker_restarts(host->pool, i), i == 0 ? 0 : 1);
    }
}

static void never_restarts_nobody(void **state) {
    struct host *host = *state;
    host->work = ends_in_its_own_way;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    assert_int_equal(host_begin(host, 3), 0);

    assert_int_equal(host_finishes(host), 0);

    for (int i = 0; i < 3; i++) {
        const struct record *end = board_find(host->board, PF_EVENT_EXITED, i, 0);
        assert_int_equal(end->will_restart, 0);
        assert_int_equal(board_count(host->board, PF_EVENT_STARTED, i), 1);
        assert_int_equal(pf_pool_worker_state(host->pool, i),
                         i == 0 ? PF_WORKER_DONE : PF_WORKER_EMPTY);
    }
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
}

static void always_restarts_everybody(void **state) {
    struct host *host = *state;
    host->work = ends_in_its_own_way;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_ALWAYS), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, HOUR_MS), 0);
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 3));

    assert_int_equal(host_stops(host), 0);

    for (int i = 0; i < 3; i++) {
        const struct record *end = board_find(host->board, PF_EVENT_EXITED, i, 0);
        assert_int_equal(end->will_restart, 1);
        assert_int_equal(end->level, i == 0 ? 6 : 4);
        assert_int_equal(board_count(host->board, PF_EVENT_STARTED, i), 2);
        assert_int_equal(pf_pool_worker_restarts(host->pool, i), 1); /* short lives count */
    }
}

static void always_gives_up_on_workers_that_end_at_once(void **state) {
    struct host *host = *state;
    host->work = ends_at_once;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_ALWAYS), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, HOUR_MS), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 5), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 6);
}

enum { LONG_MS = 300 };

/* It has lived since the supervisor made it, which may be later than its first step. */
static int ends_after_long(struct board *board, int task_id, int run) {
    board_require(board, board_reaches(board, PF_EVENT_STARTED, task_id, 1));
    uint64_t end = now_ms() + LONG_MS + 20;

    while (run < 1 && now_ms() < end) {
        pause_ms(20);
    }
    return run < 1 ? 0 : crashes_at_once(board, task_id, run);
}

/* A clean end after the minimum uptime is what PF_RESTART_ALWAYS is for, and no restart in the
 * sense of the limit: the first crash then meets a limit of none. */
static void always_does_not_count_clean_ends_of_long_lives(void **state) {
    struct host *host = *state;
    host->work = ends_after_long;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_ALWAYS), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, LONG_MS), 0);
    assert_int_equal(pf_pool_set_backoff(host->pool, 3600000, 3600000), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    const struct record *clean = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(clean->exit_code, 0);
    assert_int_equal(clean->will_restart, 1);
    assert_int_equal(clean->delay_ms, 0);
    assert_int_equal(clean->restarts, 0);
    assert_true(clean->uptime_ms >= LONG_MS);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 2);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 0);
}

/* ---- How often ------------------------------------------------------------------------- */

/* Worker 1 stays and is stopped when the pool gives up. */
static int crashes_but_for_one(struct board *board, int task_id, int run) {
    return task_id == 1 ? ends_on_term(board, task_id, run) : 1;
}

static void the_limit_of_a_life_counts_over_all_slots(void **state) {
    struct host *host = *state;
    host->work = crashes_but_for_one;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 7), 0);
    assert_int_equal(host_begin(host, 3), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    const struct record *gave_up = board_find(host->board, PF_EVENT_GAVE_UP, ANY_TASK, 0);
    assert_int_equal(gave_up->error, PF_EGAVEUP);
    assert_int_equal(gave_up->task_id, -1);
    assert_int_equal(gave_up->level, 3);
    assert_int_equal(gave_up->restarts, 7);
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 1);
    /* What was to be restarted when the limit was met is not. */
    assert_in_range(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 3 + 6, 3 + 7);
    assert_int_equal(
        pf_pool_worker_restarts(host->pool, 0) + pf_pool_worker_restarts(host->pool, 2), 7);
    assert_int_equal(board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0)->error, PF_EGAVEUP);
    assert_true(board_find(host->board, PF_EVENT_STOPPING, ANY_TASK, 0) > gave_up);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), PF_EGAVEUP); /* and so again */
}

static void the_default_limit_is_a_hundred_also_for_negatives(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 3), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, -1), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 1 + 100);
}

static void the_window_bounds_the_restarts_in_it(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(pf_pool_set_restart_window(host->pool, 4, 3600000), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 1 + 4);
    assert_int_equal(board_find(host->board, PF_EVENT_GAVE_UP, ANY_TASK, 0)->restarts, 4);
}

enum { WINDOW_MS = 60, IN_WINDOW = 2, CRASHES = 8 };

/* Crashes further apart than the window are never too many. */
static void restarts_older_than_the_window_are_forgotten(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(pf_pool_set_restart_window(host->pool, IN_WINDOW, WINDOW_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);

    for (unsigned i = 0; i < CRASHES; i++) {
        assert_true(host_reaches(host, PF_EVENT_STARTED, 0, i + 1));
        assert_int_equal(kill(host_pid(host, 0, i), SIGKILL), 0);
        assert_true(host_reaches(host, PF_EVENT_EXITED, 0, i + 1));
        host_goes_on(host, WINDOW_MS / IN_WINDOW + 5);
    }

    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), CRASHES);
}

/* Lives for some milliseconds that differ between slots and runs. */
static int crashes_soon(struct board *board, int task_id, int run) {
    (void)board;
    pause_ms((unsigned)(task_id * 7 + run * 13) % 40);
    return 1;
}

/* Slots drop out until those that are left crash seldom enough. */
static void no_window_has_too_many_restarts(void **state) {
    struct host *host = *state;
    uint64_t times_ns[64];
    unsigned restarts = 0;
    const struct record *end = NULL;
    host->work = crashes_soon;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 60), 0);
    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_DEGRADE), 0);
    assert_int_equal(pf_pool_set_restart_window(host->pool, IN_WINDOW, WINDOW_MS), 0);
    assert_int_equal(host_begin(host, 12), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    for (unsigned i = 0; (end = board_find(host->board, PF_EVENT_EXITED, ANY_TASK, i)) != NULL;
         i++) {
        if (end->will_restart != 0) {
            assert_in_range(restarts, 0, 59);
            times_ns[restarts++] = end->time_ns;
        }
    }
    assert_in_range(restarts, IN_WINDOW, 60);
    for (unsigned i = IN_WINDOW; i < restarts; i++) {
        assert_true(times_ns[i] - times_ns[i - IN_WINDOW] >= UINT64_C(1000000) * WINDOW_MS);
    }
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 12);
}

/* ---- At the limit ---------------------------------------------------------------------- */

/* Worker 0 crashes always, worker 1 ends normally at the gate. */
static int crashes_or_waits(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 1) {
        gate_wait(board, 0);
    }
    return task_id == 0 ? 1 : 0;
}

static void degrade_leaves_the_slot_empty_and_goes_on(void **state) {
    struct host *host = *state;
    host->work = crashes_or_waits;
    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_DEGRADE), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 2), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, PF_EVENT_GAVE_UP, 0, 1));

    host_goes_on(host, 50);

    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_EMPTY);
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), 0);
    assert_int_equal(pf_pool_worker_state(host->pool, 1), PF_WORKER_READY);
    assert_int_equal(pf_pool_worker_count(host->pool), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 3);
    gate_open(host->board, 0);
    assert_int_equal(host_finishes(host), PF_EGAVEUP); /* as nothing is left, and one was lost */
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_GAVE_UP, ANY_TASK, 0)->error, PF_EGAVEUP);
}

static int says_fatal_at_the_gate(struct board *board, int task_id, int run) {
    if (task_id == 1) {
        gate_wait(board, 0);
        return 78;
    }
    return ends_on_term(board, task_id, run);
}

static void the_fatal_status_ends_the_pool(void **state) {
    struct host *host = *state;
    host->work = says_fatal_at_the_gate;
    assert_int_equal(pf_pool_set_exit_action(host->pool, 78, PF_EXIT_FATAL), 0);
    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_DEGRADE), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));

    gate_open(host->board, 0);

    assert_int_equal(host_finishes(host), PF_EFATAL);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 3);
    const struct record *gave_up = board_find(host->board, PF_EVENT_GAVE_UP, ANY_TASK, 0);
    assert_int_equal(gave_up->error, PF_EFATAL);
    assert_int_equal(gave_up->task_id, -1);
    const struct record *end = board_find(host->board, PF_EVENT_EXITED, 1, 0);
    assert_int_equal(end->exit_code, 78);
    assert_int_equal(end->will_restart, 0);
    assert_int_equal(end->level, 4);
    assert_int_equal(board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0)->error, PF_EFATAL);
}

static int says_fatal_on_term(struct board *board, int task_id, int run) {
    sigset_t term;
    int number = 0;

    (void)task_id;
    (void)run;
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    board_require(board, sigprocmask(SIG_BLOCK, &term, NULL) == 0);
    board_note(board, NOTE_READY, 0);
    board_require(board, sigwait(&term, &number) == 0);
    return 78;
}

static void the_fatal_status_during_a_stop_is_an_end_like_others(void **state) {
    struct host *host = *state;
    host->work = says_fatal_on_term;
    assert_int_equal(pf_pool_set_exit_action(host->pool, 78, PF_EXIT_FATAL), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));

    assert_int_equal(host_stops(host), 0);

    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(on_failure_restarts_abnormal_ends_only),
        host_test(never_restarts_nobody),
        host_test(always_restarts_everybody),
        host_test(always_gives_up_on_workers_that_end_at_once),
        host_test(always_does_not_count_clean_ends_of_long_lives),
        host_test(the_limit_of_a_life_counts_over_all_slots),
        host_test(the_default_limit_is_a_hundred_also_for_negatives),
        host_test(the_window_bounds_the_restarts_in_it),
        host_test(restarts_older_than_the_window_are_forgotten),
        host_test(no_window_has_too_many_restarts),
        host_test(degrade_leaves_the_slot_empty_and_goes_on),
        host_test(the_fatal_status_ends_the_pool),
        host_test(the_fatal_status_during_a_stop_is_an_end_like_others),
    };

    return run_group_with_each_backend("pool restart", tests);
}
