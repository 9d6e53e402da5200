/*
 * exit_action_test.c - what an exit status means: pf_pool_set_exit_action()
 *
 * What a fatal status means for a replacement is in reload_fatal_test.c.
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

enum { CODE = 75, LEVEL_INFORMATION = 6, LEVEL_WARNING = 4 };

static void choose(struct host *host, int code, int action) {
    assert_int_equal(pf_pool_set_exit_action(host->pool, code, action), 0);
    if (action == PF_EXIT_DONE) {
        host->board->done_status = code;
    }
}

static int says_code_once(struct board *board, int task_id, int run) {
    return run == 0 ? CODE : ends_on_term(board, task_id, run);
}

static int says_code(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    return CODE;
}

static int says_code_at_the_gate(struct board *board, int task_id, int run) {
    if (run == 0) {
        gate_wait(board, 0);
        return CODE;
    }
    return ends_on_term(board, task_id, run);
}

/* ---- Restart --------------------------------------------------------------------------- */

static void restart_restarts_where_nobody_is(void **state) {
    struct host *host = *state;
    host->work = says_code_once;
    choose(host, CODE, PF_EXIT_RESTART);
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    const struct record *end = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(end->will_restart, 1);
    assert_int_equal(end->restarts, 1);
    assert_int_equal(end->level, LEVEL_WARNING);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 1);
    assert_int_equal(host_stops(host), 0);
}

static int ends_normally_once(struct board *board, int task_id, int run) {
    return run == 0 ? 0 : ends_on_term(board, task_id, run);
}

static void restart_counts_a_normal_exit_and_delays_it(void **state) {
    struct host *host = *state;
    host->work = ends_normally_once;
    choose(host, 0, PF_EXIT_RESTART);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, 0), 0);
    assert_int_equal(pf_pool_set_backoff(host->pool, 2, 2), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    const struct record *end = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(end->will_restart, 1);
    assert_int_equal(end->restarts, 1);
    assert_in_range(end->delay_ms, 1, 2);
    assert_int_equal(end->level, LEVEL_INFORMATION);
    assert_int_equal(host_stops(host), 0);
}

static void restart_ends_at_the_limit(void **state) {
    struct host *host = *state;
    host->work = says_code;
    choose(host, CODE, PF_EXIT_RESTART);
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 2), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 3);
}

static int ends_normally_in_slot_0(struct board *board, int task_id, int run) {
    return task_id == 0 && run < 2 ? 0 : ends_on_term(board, task_id, run);
}

/* One that was given up is not done: a reload starts it again. */
static void restart_leaves_the_slot_empty_at_the_limit(void **state) {
    struct host *host = *state;
    host->work = ends_normally_in_slot_0;
    choose(host, 0, PF_EXIT_RESTART);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 1), 0);
    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_DEGRADE), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, 0), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, PF_EVENT_GAVE_UP, 0, 1));
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_EMPTY);
    assert_true(host_reaches(host, NOTE_READY, 1, 1));

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(host_stops(host), 0);
}

/* ---- Done ------------------------------------------------------------------------------ */

static void assert_done(struct host *host, int policy) {
    host->work = says_code_at_the_gate;
    choose(host, CODE, PF_EXIT_DONE);
    assert_int_equal(pf_pool_set_restart_policy(host->pool, policy), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_int_equal(host_begin(host, 2), 0);
    gate_open(host->board, 0);

    assert_int_equal(host_finishes(host), 0);

    for (int i = 0; i < 2; i++) {
        const struct record *end = board_find(host->board, PF_EVENT_EXITED, i, 0);
        assert_int_equal(end->exit_code, CODE);
        assert_int_equal(end->will_restart, 0);
        assert_int_equal(end->level, LEVEL_INFORMATION);
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_DONE);
    }
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
}

static void done_is_an_end_like_a_normal_exit(void **state) {
    assert_done(*state, PF_RESTART_ON_FAILURE);
}

static void done_comes_before_a_policy_that_restarts_always(void **state) {
    assert_done(*state, PF_RESTART_ALWAYS);
}

static int is_done_or_stays(struct board *board, int task_id, int run) {
    return task_id == 0 && run == 0 ? CODE : ends_on_term(board, task_id, run);
}

static void a_reload_leaves_a_slot_that_is_done(void **state) {
    struct host *host = *state;
    host->work = is_done_or_stays;
    choose(host, CODE, PF_EXIT_DONE);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, 0), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, 1, 1));
    assert_true(host_reaches_state(host, 0, PF_WORKER_DONE));

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 1);
    assert_int_equal(host_stops(host), 0);
}

/* ---- Fatal ----------------------------------------------------------------------------- */

static int said; /* by worker 0 */

static int one_says_it(struct board *board, int task_id, int run) {
    if (task_id == 0) {
        gate_wait(board, 0);
        return said;
    }
    return ends_on_term(board, task_id, run);
}

static void assert_fatal(struct host *host, int code) {
    said = code;
    host->work = one_says_it;
    choose(host, code, PF_EXIT_FATAL);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, 1, 1));
    gate_open(host->board, 0);

    assert_int_equal(host_finishes(host), PF_EFATAL);

    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 1);
}

static void several_statuses_can_be_fatal(void **state) {
    struct host *host = *state;
    choose(host, 1, PF_EXIT_FATAL);
    choose(host, CODE, PF_EXIT_DONE);
    host->board->done_status = 0;
    assert_fatal(host, CODE); /* the last choice for a status holds */
}

static void a_normal_exit_can_be_fatal(void **state) { assert_fatal(*state, 0); }

/* ---- What is no status, and what is one's own failure ---------------------------------- */

static int dies_once(struct board *board, int task_id, int run) {
    if (run == 0) {
        (void)raise(SIGKILL);
    }
    return ends_on_term(board, task_id, run);
}

/* 9, and 137 as a shell would say it. */
static void a_signal_is_no_status(void **state) {
    struct host *host = *state;
    host->work = dies_once;
    choose(host, SIGKILL, PF_EXIT_FATAL);
    choose(host, 128 + SIGKILL, PF_EXIT_FATAL);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->restarts, 1);
    assert_int_equal(host_stops(host), 0);
}

static int serves_and_says_code_later(struct board *board, int task_id, int run) {
    return run == 1 ? CODE : ends_on_term(board, task_id, run);
}

static void assert_replacement_fails(struct host *host, int action) {
    host->work = serves_and_says_code_later;
    choose(host, CODE, action);
    host->board->done_status = 0; /* of a replacement it is a failure */
    assert_int_equal(pf_pool_set_min_uptime(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    assert_int_equal(host_replaces(host, 0), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->level, LEVEL_WARNING);
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 0));
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_READY);
    host_goes_on(host, 50);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 2);
    assert_int_equal(host_stops(host), 0);
}

static void a_replacement_fails_though_it_means_done(void **state) {
    assert_replacement_fails(*state, PF_EXIT_DONE);
}

static void a_replacement_fails_though_it_means_restart(void **state) {
    assert_replacement_fails(*state, PF_EXIT_RESTART);
}

static void assert_stop_first_goes_on(struct host *host, int action) {
    host->work = serves_and_says_code_later;
    choose(host, CODE, action);
    host->board->done_status = 0;
    assert_int_equal(pf_pool_set_min_uptime(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_reload_order(host->pool, PF_RELOAD_STOP_FIRST), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    assert_int_equal(host_replaces(host, 0), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    assert_true(host_reaches(host, NOTE_READY, 0, 2));
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 1);
    assert_int_equal(host_stops(host), 0);
}

static void a_replacement_that_means_done_is_restarted_if_it_is_alone(void **state) {
    assert_stop_first_goes_on(*state, PF_EXIT_DONE);
}

static void a_replacement_that_means_fatal_is_restarted_if_it_is_alone(void **state) {
    assert_stop_first_goes_on(*state, PF_EXIT_FATAL);
}

static int says_code_on_term(struct board *board, int task_id, int run) {
    (void)ends_on_term(board, task_id, run);
    return CODE;
}

static void of_a_worker_that_was_asked_to_stop_it_means_nothing(void **state) {
    struct host *host = *state;
    host->work = says_code_on_term;
    choose(host, CODE, PF_EXIT_RESTART);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));

    assert_int_equal(pf_pool_resize(host->pool, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 1, 0)->will_restart, 0);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(restart_restarts_where_nobody_is),
        host_test(restart_counts_a_normal_exit_and_delays_it),
        host_test(restart_ends_at_the_limit),
        host_test(restart_leaves_the_slot_empty_at_the_limit),
        host_test(done_is_an_end_like_a_normal_exit),
        host_test(done_comes_before_a_policy_that_restarts_always),
        host_test(a_reload_leaves_a_slot_that_is_done),
        host_test(several_statuses_can_be_fatal),
        host_test(a_normal_exit_can_be_fatal),
        host_test(a_signal_is_no_status),
        host_test(a_replacement_fails_though_it_means_done),
        host_test(a_replacement_fails_though_it_means_restart),
        host_test(a_replacement_that_means_done_is_restarted_if_it_is_alone),
        host_test(a_replacement_that_means_fatal_is_restarted_if_it_is_alone),
        host_test(of_a_worker_that_was_asked_to_stop_it_means_nothing),
    };

    return run_group_with_each_backend("exit action", tests);
}
