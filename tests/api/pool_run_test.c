/*
 * pool_run_test.c - a pool that its host runs, and that returns in the worker
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_RESULT = KIND_NOTE, NOTE_TASK };
enum { UNTOUCHED = 77 };

/* Makes a pool without a worker function. */
static pf_pool *new_pool(struct board *board, int workers) {
    pf_pool *pool = NULL;

    board->of_pool = 1;
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_backend(pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_workers(pool, workers) == 0);
    board_require(board, pf_pool_set_event_callback(pool, host_note_event, board, NULL) == 0);
    return pool;
}

static int run_on(pf_pool *pool, int *ret_task_id) {
    int result = 0;

    result = pf_pool_run(pool, ret_task_id);
    return result;
}

/* ---- In the worker --------------------------------------------------------------------- */

/* A handle in a worker is good for one thing only. */
static void check_handle_in_worker(struct board *board, pf_pool *pool) {
    const pf_event *event = NULL;
    int task_id = UNTOUCHED;

    board_require(board, pf_pool_run(pool, &task_id) == -ECHILD && task_id == UNTOUCHED);
    board_require(board, pf_pool_start(pool) == -ECHILD);
    board_require(board, pf_pool_dispatch(pool, 0) == -ECHILD);
    board_require(board, pf_pool_next_event(pool, &event) == -ECHILD);
    board_require(board, pf_pool_stop(pool) == -ECHILD);
    board_require(board, pf_pool_kill(pool) == -ECHILD);
    board_require(board, pf_pool_alive_count(pool) == -ECHILD);
    board_require(board, pf_pool_set_workers(pool, 1) == -ECHILD);
    board_require(board, pf_pool_free(pool) == NULL);
}

static int host_that_returns_in_the_worker(struct board *board) {
    pf_pool *pool = new_pool(board, 4);
    int task_id = UNTOUCHED;
    pid_t supervisor = getpid();

    int result = run_on(pool, &task_id);
    if (getpid() != supervisor) {
        int run = board_note_worker(board, task_id);
        board_require(board, result == 0);
        board_require(board, pf_task_id() == task_id);
        board_require(board, getppid() == supervisor);
        check_handle_in_worker(board, pool);
        _exit(run == 0 ? 40 + task_id : 0);
    }
    board_require(board, result == 0);
    board_require(board, task_id == -1);
    board_require(board, pf_task_id() == -1);
    task_id = UNTOUCHED;
    board_require(board, pf_pool_run(pool, &task_id) == -EALREADY);
    board_require(board, pf_pool_start(pool) == -EALREADY);
    board_require(board, task_id == UNTOUCHED);
    board_require(board, pf_pool_free(pool) == NULL);
    return 0;
}

static void run_returns_the_task_id_in_each_worker(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_returns_in_the_worker);

    assert_exits(run, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(board_count(run->board, KIND_WORKER, i), 2);
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 0)->exit_code, 40 + i);
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 1)->exit_code, 0);
    }
}

/* A worker may well make a pool of its own. */
static int host_whose_workers_have_pools(struct board *board) {
    pf_pool *pool = new_pool(board, 2);
    int task_id = UNTOUCHED;
    pid_t supervisor = getpid();

    int result = run_on(pool, &task_id);
    if (getpid() != supervisor) {
        struct board *own = board_new();
        int worker = task_id;
        pid_t self = getpid();
        (void)board_note_worker(board, worker);
        (void)pf_pool_free(pool);
        pf_pool *second = new_pool(own, 3);
        board_require(board, run_on(second, &task_id) == 0);
        if (getpid() != self) {
            _exit(own->runs[task_id]++ == 0 ? 1 : 0);
        }
        board_require(board, task_id == -1 && pf_task_id() == worker);
        board_require(board, board_count(own, PF_EVENT_EXITED, ANY_TASK) == 6);
        board_require(board, board_count(own, KIND_FAULT, ANY_TASK) == 0);
        (void)pf_pool_free(second);
        board_free(own);
        _exit(0);
    }
    (void)pf_pool_free(pool);
    return result == 0 && task_id == -1 ? 0 : STATUS_RETURNED;
}

static void a_worker_may_have_a_pool_of_its_own(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_whose_workers_have_pools);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 2);
}

/* ---- In the supervisor ----------------------------------------------------------------- */

static int crashes(int task_id, void *user) {
    (void)task_id;
    (void)user;
    return 1;
}

static void run_reports_why_the_pool_failed(void **state) {
    const struct scenario *run = *state;
    int task_id = UNTOUCHED;
    pf_pool *pool = new_pool(run->board, 2);
    assert_int_equal(pf_pool_set_worker_fn(pool, crashes, NULL, NULL), 0);
    assert_int_equal(pf_pool_set_max_restarts(pool, 3), 0);

    assert_int_equal(run_on(pool, &task_id), PF_EGAVEUP);

    assert_int_equal(task_id, UNTOUCHED);
    assert_int_equal(pf_pool_run(pool, &task_id), -EALREADY);
    assert_int_equal(pf_pool_dispatch(pool, 0), -EINVAL); /* it was not begun by start */
    assert_int_equal(pf_pool_alive_count(pool), 0);
    assert_null(pf_pool_free(pool));
}

static void a_pool_that_was_started_is_not_run(void **state) {
    struct host *host = *state;
    int task_id = UNTOUCHED;
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(pf_pool_run(host->pool, &task_id), -EALREADY);
    assert_int_equal(pf_pool_start(host->pool), -EALREADY);

    assert_true(host_reaches(host, KIND_WORKER, 0, 1));
    assert_int_equal(pf_pool_run(host->pool, &task_id), -EALREADY);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(pf_pool_run(host->pool, &task_id), -EALREADY);
    assert_int_equal(pf_pool_start(host->pool), -EALREADY);
    assert_int_equal(task_id, UNTOUCHED);
}

static void run_wants_its_arguments(void **state) {
    int task_id = UNTOUCHED;
    struct host *host = *state;

    assert_int_equal(pf_pool_run(NULL, &task_id), -EINVAL);
    assert_int_equal(pf_pool_run(host->pool, NULL), -EINVAL);
    assert_int_equal(task_id, UNTOUCHED);
    assert_int_equal(host_begin(host, 1), 0); /* nothing had happened */
    assert_int_equal(host_stops(host), 0);
}

/* ---- Who is told ----------------------------------------------------------------------- */

static int host_without_a_callback_of_the_pool(struct board *board) {
    pf_pool *pool = NULL;
    int task_id = UNTOUCHED;

    board->of_pool = 1;
    pf_set_event_callback(host_note_event, board); /* which is for pf_fork_processes() alone */
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_backend(pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_workers(pool, 1) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, crashes, NULL, NULL) == 0);
    board_require(board, pf_pool_set_max_restarts(pool, 1) == 0);
    board_require(board, run_on(pool, &task_id) == PF_EGAVEUP);
    (void)pf_pool_free(pool);
    return 0;
}

static void without_a_callback_of_its_own_warnings_go_to_stderr(void **state) {
    struct scenario *run = *state;
    int first = 0;
    int second = 0;
    int end = 0;
    run->output_taken = true;

    scenario_start_host(run, host_without_a_callback_of_the_pool);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTING, ANY_TASK), 0);
    const char *text = scenario_output(run);
    assert_int_equal(sscanf(text,
                            "prefork: child 0 (pid %d) exited with status 1, restarting\n"
                            "prefork: child 0 (pid %d) exited with status 1\n"
                            "prefork: Too many child restarts, giving up\n%n",
                            &first, &second, &end),
                     2);
    assert_true(first > 0 && second > 0 && first != second);
    assert_int_equal(end, strlen(text));
}

static int host_that_starts_without_a_callback(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = crashes_at_once;
    board_require(board, pf_pool_set_max_restarts(host.pool, 1) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_finishes(&host) == PF_EGAVEUP);
    host_close(&host);
    return 0;
}

/* Neither to stderr nor to the callback for all: its host takes them. */
static void a_pool_that_was_started_reports_nobody_else(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_starts_without_a_callback);

    assert_exits(run, 0);
    assert_string_equal(scenario_output(run), "");
    assert_int_equal(board_count(run->board, PF_EVENT_GAVE_UP, ANY_TASK), 1);
}

/* ---- Children that come back from a callback ------------------------------------------- */

static pid_t forking_supervisor;

static void fork_and_come_back(const pf_event *event, void *user) {
    board_note_event(user, event);
    if (pf_event_type(event) == PF_EVENT_EXITED) {
        board_require(user, fork() >= 0);
    }
}

static int host_whose_callback_forks(struct board *board) {
    pf_pool *pool = new_pool(board, 1);
    int task_id = UNTOUCHED;
    int status = 0;

    forking_supervisor = getpid();
    board_require(board, pf_pool_set_event_callback(pool, fork_and_come_back, board, NULL) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, crashes, NULL, NULL) == 0);
    board_require(board, pf_pool_set_max_restarts(pool, 0) == 0);
    int result = run_on(pool, &task_id);
    if (getpid() != forking_supervisor) {
        board_require(board, result == -ECHILD);
        board_require(board, pf_pool_alive_count(pool) == -ECHILD);
        board_require(board, pf_pool_free(pool) == NULL);
        _exit(33);
    }
    board_require(board, result == PF_EGAVEUP);
    board_require(board, waitpid(-1, &status, 0) > 0 && status == 33 << 8);
    (void)pf_pool_free(pool);
    return 0;
}

static void a_child_that_comes_back_from_a_callback_gets_echild(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_whose_callback_forks);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_DONE, ANY_TASK), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(run_returns_the_task_id_in_each_worker),
        scenario_test(a_worker_may_have_a_pool_of_its_own),
        scenario_test(run_reports_why_the_pool_failed),
        host_test(a_pool_that_was_started_is_not_run),
        host_test(run_wants_its_arguments),
        scenario_test(without_a_callback_of_its_own_warnings_go_to_stderr),
        scenario_test(a_pool_that_was_started_reports_nobody_else),
        scenario_test(a_child_that_comes_back_from_a_callback_gets_echild),
    };

    return run_group_with_each_backend("pool run", tests);
}
