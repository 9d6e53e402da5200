/*
 * stop_order_test.c - what was asked for before a start is done before it
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "forker.h"
#include "host.h"

enum { SLOTS = 5 };

static int hand_over_term(pf_pool *pool) { return pf_pool_handle_signal(pool, SIGTERM); }

static int hand_over_ttou(pf_pool *pool) { return pf_pool_handle_signal(pool, SIGTTOU); }

/* To the process: PF_SIGNALS_STANDARD takes it. */
static int raise_term(pf_pool *pool) { return pool == NULL ? -1 : raise(SIGTERM); }

static int raise_quit(pf_pool *pool) { return pool == NULL ? -1 : raise(SIGQUIT); }

static int raise_ttou(pf_pool *pool) { return pool == NULL ? -1 : raise(SIGTTOU); }

/* ---- Before the first dispatch --------------------------------------------------------- */

static void assert_starts_nobody(struct host *host, int (*request)(pf_pool *)) {
    assert_int_equal(pf_pool_set_signals(host->pool, PF_SIGNALS_STANDARD), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);

    assert_int_equal(request(host->pool), 0);

    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTING, ANY_TASK), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_DONE, ANY_TASK), 1);
}

static void a_stop_before_the_first_dispatch_starts_nobody(void **state) {
    assert_starts_nobody(*state, pf_pool_stop);
}

static void a_kill_before_the_first_dispatch_starts_nobody(void **state) {
    assert_starts_nobody(*state, pf_pool_kill);
}

static void a_signal_handed_over_before_the_first_dispatch_starts_nobody(void **state) {
    assert_starts_nobody(*state, hand_over_term);
}

static void a_signal_before_the_first_dispatch_starts_nobody(void **state) {
    assert_starts_nobody(*state, raise_term);
}

static void assert_starts_one_less(struct host *host, int (*request)(pf_pool *)) {
    host->work = ends_on_term;
    assert_int_equal(pf_pool_set_signals(host->pool, PF_SIGNALS_STANDARD), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);

    assert_int_equal(request(host->pool), 0);

    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, SLOTS - 1));
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), SLOTS - 1);
    assert_int_equal(host_stops(host), 0);
}

static void fewer_slots_before_the_first_dispatch_start_fewer(void **state) {
    assert_starts_one_less(*state, hand_over_ttou);
}

static void a_signal_for_fewer_slots_before_the_first_dispatch_starts_fewer(void **state) {
    assert_starts_one_less(*state, raise_ttou);
}

/* ---- Between starts -------------------------------------------------------------------- */

enum { FORKS_BEFORE_SIGNAL = 3 };

static int forks;

/* In the supervisor, whose signals are blocked while it forks. */
static void raise_before_a_fork(void) {
    forks += 1;
    if (forks == FORKS_BEFORE_SIGNAL) {
        (void)kill(getpid(), SIGTERM);
    }
}

static int host_that_gets_a_signal_between_starts(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, pthread_atfork(raise_before_a_fork, NULL, NULL) == 0);
    board_require(board, host_begin(&host, 10 * SLOTS) == 0);
    board_require(board, host_finishes(&host) == 0);
    board_require(board, pf_pool_stop_signal(host.pool) == SIGTERM);
    host_close(&host);
    return 0;
}

static void a_signal_between_starts_starts_no_more(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_gets_a_signal_between_starts);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), FORKS_BEFORE_SIGNAL);
}

/* ---- In a callback --------------------------------------------------------------------- */

/* What the callback asks for, and when; set before the scenario is started. */
static int (*callback_request)(pf_pool *pool);
static int callback_event;
static struct host callback_host;

static void ask_in_callback(const pf_event *event, void *board) {
    board_note_event(board, event);
    if (pf_event_type(event) == callback_event) {
        board_require(board, callback_request(callback_host.pool) == 0);
    }
}

static int host_with_a_callback(struct board *board) {
    struct host *host = &callback_host;
    int task_id = 0;
    int result = 0;

    host_open(host, board);
    host->work = crashes_at_once;
    board_require(board, pf_pool_set_workers(host->pool, 1) == 0);
    board_require(board, pf_pool_set_signals(host->pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, pf_pool_set_event_callback(host->pool, ask_in_callback, board, NULL) == 0);
    result = pf_pool_run(host->pool, &task_id);
    board_require(board, result == 0);
    host_close(host);
    return 0;
}

static void assert_callback_starts(struct scenario *run, int (*request)(pf_pool *), int event,
                                   unsigned count) {
    callback_request = request;
    callback_event = event;

    scenario_start_host(run, host_with_a_callback);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), count);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), count);
}

static void a_stop_when_a_worker_has_ended_starts_no_other(void **state) {
    assert_callback_starts(*state, pf_pool_stop, PF_EVENT_EXITED, 1);
}

static void a_kill_when_a_worker_has_ended_starts_no_other(void **state) {
    assert_callback_starts(*state, pf_pool_kill, PF_EVENT_EXITED, 1);
}

static void a_signal_during_a_callback_starts_no_other(void **state) {
    assert_callback_starts(*state, raise_term, PF_EVENT_EXITED, 1);
}

static void a_quick_stop_during_a_callback_starts_no_other(void **state) {
    assert_callback_starts(*state, raise_quit, PF_EVENT_EXITED, 1);
}

static void a_stop_at_the_first_event_starts_nobody(void **state) {
    assert_callback_starts(*state, pf_pool_stop, PF_EVENT_STARTING, 0);
}

/* ---- Where the host forks -------------------------------------------------------------- */

static void assert_asks_for_no_fork(struct host *host, int (*request)(pf_pool *)) {
    const pf_event *event = NULL;
    assert_int_equal(pf_pool_set_signals(host->pool, PF_SIGNALS_STANDARD), 0);
    assert_int_equal(forker_begin(host, SLOTS), 0);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1); /* the requests to fork wait now */

    assert_int_equal(request(host->pool), 0);

    while (pf_pool_next_event(host->pool, &event) == 1) {
        assert_int_not_equal(pf_event_type(event), PF_EVENT_FORK_WANTED);
        board_note_event(host->board, event);
    }
    assert_int_equal(forker_finishes(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 0);
}

static void a_stop_takes_back_requests_to_fork(void **state) {
    assert_asks_for_no_fork(*state, pf_pool_stop);
}

static void a_signal_takes_back_requests_to_fork(void **state) {
    assert_asks_for_no_fork(*state, raise_term);
}

static void a_stop_before_the_first_dispatch_asks_for_no_fork(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, SLOTS), 0);

    assert_int_equal(pf_pool_stop(host->pool), 0);

    assert_int_equal(forker_finishes(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_FORK_WANTED, ANY_TASK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_stop_before_the_first_dispatch_starts_nobody),
        host_test(a_kill_before_the_first_dispatch_starts_nobody),
        host_test(a_signal_handed_over_before_the_first_dispatch_starts_nobody),
        host_test(a_signal_before_the_first_dispatch_starts_nobody),
        host_test(fewer_slots_before_the_first_dispatch_start_fewer),
        host_test(a_signal_for_fewer_slots_before_the_first_dispatch_starts_fewer),
        scenario_test(a_signal_between_starts_starts_no_more),
        scenario_test(a_stop_when_a_worker_has_ended_starts_no_other),
        scenario_test(a_kill_when_a_worker_has_ended_starts_no_other),
        scenario_test(a_signal_during_a_callback_starts_no_other),
        scenario_test(a_quick_stop_during_a_callback_starts_no_other),
        scenario_test(a_stop_at_the_first_event_starts_nobody),
        host_test(a_stop_takes_back_requests_to_fork),
        host_test(a_signal_takes_back_requests_to_fork),
        host_test(a_stop_before_the_first_dispatch_asks_for_no_fork),
    };

    return run_group_with_each_backend("the order of a stop", tests);
}
