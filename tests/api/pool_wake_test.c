/*
 * pool_wake_test.c - waking a pool that waits, from threads and from signal handlers
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_WOKEN = KIND_NOTE, NOTE_RESULT };

static struct board *wake_board;
static pf_pool *woken_pool;

static bool is_readable(const pf_pool *pool) {
    struct pollfd descriptor = {.fd = pf_pool_fd(pool), .events = POLLIN};

    return poll(&descriptor, 1, 0) == 1;
}

/* A pool of one worker that has nothing to do. */
static void begin_quietly(struct host *host) {
    host->work = ends_on_term;
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    uint64_t deadline = now_ms() + PATIENCE_MS;
    while (is_readable(host->pool) && now_ms() < deadline) {
        assert_true(host_turn(host, 0));
    }
    assert_false(is_readable(host->pool));
}

static void it_ends_one_wait_and_is_remembered_once(void **state) {
    struct host *host = *state;
    begin_quietly(host);

    assert_int_equal(pf_pool_wake(host->pool), 0);
    assert_int_equal(pf_pool_wake(host->pool), 0);

    assert_true(is_readable(host->pool));
    assert_int_equal(pf_pool_dispatch(host->pool, -1), 1);
    assert_false(is_readable(host->pool));
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

static void it_needs_a_pool_that_has_started(void **state) {
    struct host *host = *state;
    host->work = ends_at_once;

    assert_int_equal(pf_pool_wake(NULL), -EINVAL);
    assert_int_equal(pf_pool_wake(host->pool), -EINVAL);

    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(pf_pool_wake(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(pf_pool_wake(host->pool), 0); /* after the end */
    assert_int_equal(pf_pool_dispatch(host->pool, -1), 0);
}

/* ---- From another thread --------------------------------------------------------------- */

static void *wake_when_it_waits(void *pool) {
    bool waits = process_reaches_state(getpid(), 'S'); /* the main thread */

    board_note(wake_board, NOTE_WOKEN, waits ? pf_pool_wake(pool) : -ETIMEDOUT);
    return NULL;
}

static void another_thread_ends_a_dispatch_under_way(void **state) {
    struct host *host = *state;
    pthread_t thread;
    begin_quietly(host);
    wake_board = host->board;
    assert_int_equal(pthread_create(&thread, NULL, wake_when_it_waits, host->pool), 0);

    int result = pf_pool_dispatch(host->pool, -1);

    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(result, 1);
    assert_int_equal(board_find(host->board, NOTE_WOKEN, ANY_TASK, 0)->value, 0);
    assert_int_equal(host_stops(host), 0);
}

/* ---- From a signal handler ------------------------------------------------------------- */

static void wake_from_handler(int signal) {
    (void)signal;
    board_note(wake_board, NOTE_WOKEN, pf_pool_wake(woken_pool));
}

static int host_that_runs(struct board *board) {
    struct host host;
    struct sigaction action;
    int task_id = 0;

    memset(&action, 0, sizeof(action));
    action.sa_handler = wake_from_handler;
    board_require(board, sigaction(SIGUSR1, &action, NULL) == 0);
    host_open(&host, board);
    wake_board = board;
    woken_pool = host.pool;
    host.work = ends_on_term;
    board_require(board, pf_pool_set_workers(host.pool, 1) == 0);
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STOP_ONLY) == 0);
    board_require(board, pf_pool_set_event_callback(host.pool, host_note_event, board, NULL) == 0);
    int result = pf_pool_run(host.pool, &task_id);
    board_note(board, NOTE_RESULT, result);
    host_close(&host);
    return 0;
}

static void it_does_not_end_a_run(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_that_runs);
    assert_true(board_reaches(run->board, NOTE_READY, 0, 1));

    scenario_signal(run, SIGUSR1);

    assert_true(board_reaches(run->board, NOTE_WOKEN, ANY_TASK, 1));
    assert_int_equal(board_find(run->board, NOTE_WOKEN, ANY_TASK, 0)->value, 0);
    assert_true(process_reaches_state(run->supervisor, 'S'));
    assert_int_equal(board_count(run->board, NOTE_RESULT, ANY_TASK), 0);
    scenario_signal(run, SIGTERM);
    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, 0);
}

/* ---- In another process ---------------------------------------------------------------- */

static int wakes_in_the_worker(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_note(board, NOTE_WOKEN, pf_pool_wake(woken_pool));
    return 0;
}

static void a_worker_cannot_wake_its_supervisor(void **state) {
    struct host *host = *state;
    woken_pool = host->pool;
    host->work = wakes_in_the_worker;

    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(board_find(host->board, NOTE_WOKEN, ANY_TASK, 0)->value, -ECHILD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(it_ends_one_wait_and_is_remembered_once),
        host_test(it_needs_a_pool_that_has_started),
        host_test(another_thread_ends_a_dispatch_under_way),
        scenario_test(it_does_not_end_a_run),
        host_test(a_worker_cannot_wake_its_supervisor),
    };

    return run_group_with_each_backend("waking a pool", tests);
}
