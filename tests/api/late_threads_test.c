/*
 * late_threads_test.c - threads that the host begins once its pool runs
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { GATE_END = 1, RUNS = 15 };

static struct board *thread_board;

static void *wait_for_the_gate(void *nothing) {
    gate_wait(thread_board, GATE_END);
    return nothing;
}

static int host_that_begins_a_thread(struct board *board) {
    struct host host;
    pthread_t thread;

    thread_board = board;
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_max_restarts(host.pool, 1) == 0); /* one, for the kill */
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    board_require(board, pthread_create(&thread, NULL, wait_for_the_gate, NULL) == 0);
    board_require(board, kill(host_pid(&host, 0, 0), SIGKILL) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_START_FAILED, 0, 2)); /* tried again */
    board_require(board, pf_pool_alive_count(host.pool) == 1);
    board_require(board, pf_pool_worker_state(host.pool, 0) == PF_WORKER_STARTING);
    gate_open(board, GATE_END);
    board_require(board, pthread_join(thread, NULL) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 0, 2));
    board_require(board, pf_pool_worker_restarts(host.pool, 0) == 1);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void assert_start_was_put_off(const struct board *board) {
    const struct record *failure = board_find(board, PF_EVENT_START_FAILED, 0, 0);

    assert_non_null(failure);
    assert_int_equal(failure->error, PF_ETHREADS);
    assert_int_equal(failure->will_restart, 1);
    assert_int_equal(board_find(board, PF_EVENT_EXITED, 0, 0)->restarts, 1);
    assert_int_equal(failure->restarts, 1);
    assert_int_equal(board_count(board, PF_EVENT_STARTED, ANY_TASK), 3);
    assert_int_equal(board_count(board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
}

static void they_put_starts_off(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_begins_a_thread);

    assert_exits(run, 0);
    assert_start_was_put_off(run->board);
}

/* The first dispatch forks, and nothing was counted or lost when it cannot. */
static int host_that_begins_a_thread_at_once(struct board *board) {
    struct host host;
    pthread_t thread;

    thread_board = board;
    host_open(&host, board);
    host.work = ends_at_once;
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, pthread_create(&thread, NULL, wait_for_the_gate, NULL) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_START_FAILED, ANY_TASK, 1));
    board_require(board, pf_pool_alive_count(host.pool) == 0);
    gate_open(board, GATE_END);
    board_require(board, pthread_join(thread, NULL) == 0);
    board_require(board, host_finishes(&host) == 0);
    host_close(&host);
    return 0;
}

static void also_before_a_first_worker(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_begins_a_thread_at_once);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), 2);
}

static void *leave_at_once(void *nothing) { return nothing; }

/* The kernel wakes who joins a thread a moment before it is gone. */
static int host_that_has_joined_its_threads(struct board *board) {
    struct host host;
    pthread_t thread;

    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, host_begin(&host, 1) == 0);
    for (unsigned i = 0; i < RUNS; i++) {
        board_require(board, host_reaches(&host, NOTE_READY, 0, i + 1));
        board_require(board, kill(host_pid(&host, 0, i), SIGKILL) == 0);
        board_require(board, process_reaches_state(host_pid(&host, 0, i), 'Z'));
        board_require(board, pthread_create(&thread, NULL, leave_at_once, NULL) == 0);
        board_require(board, pthread_join(thread, NULL) == 0);
        (void)host_turn(&host, 0);
    }
    board_require(board, host_reaches(&host, NOTE_READY, 0, RUNS + 1));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void those_that_were_joined_do_not(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_has_joined_its_threads);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_START_FAILED, ANY_TASK), 0);
}

static void begin_thread_at_the_first_end(struct board *board, const pf_event *event) {
    pthread_t thread;

    if (pf_event_type(event) == PF_EVENT_EXITED && pf_event_restarts(event) == 1) {
        thread_board = board;
        board_require(board, pthread_create(&thread, NULL, wait_for_the_gate, NULL) == 0);
        board_require(board, pthread_detach(thread) == 0);
    } else if (pf_event_type(event) == PF_EVENT_START_FAILED) {
        gate_open(board, GATE_END);
    }
}

static int slot_0_fails_once(struct board *board, int task_id, int run) {
    (void)board;
    return task_id == 0 && run == 0 ? 1 : 0;
}

static const struct plan one_call = {.workers = 2,
                                     .max_restarts = 1,
                                     .work = slot_0_fails_once,
                                     .on_event = begin_thread_at_the_first_end};

static void the_one_call_puts_starts_off_too(void **state) {
    struct scenario *run = *state;

    scenario_start(run, &one_call);

    assert_exits(run, 0);
    assert_start_was_put_off(run->board);
}

/* ---- Allowed --------------------------------------------------------------------------- */

static int host_that_allows_threads(struct board *board) {
    struct host host;
    pthread_t thread;

    thread_board = board;
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_thread_policy(host.pool, PF_THREADS_ALLOW) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 0, 1));
    board_require(board, pthread_create(&thread, NULL, wait_for_the_gate, NULL) == 0);
    board_require(board, kill(host_pid(&host, 0, 0), SIGKILL) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 0, 2));
    gate_open(board, GATE_END);
    board_require(board, pthread_join(thread, NULL) == 0);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void where_they_are_allowed_starts_go_on(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_allows_threads);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_START_FAILED, ANY_TASK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(they_put_starts_off),
        scenario_test(also_before_a_first_worker),
        scenario_test(those_that_were_joined_do_not),
        scenario_test(the_one_call_puts_starts_off_too),
        scenario_test(where_they_are_allowed_starts_go_on),
    };

    return run_group_with_each_backend("late threads", tests);
}
