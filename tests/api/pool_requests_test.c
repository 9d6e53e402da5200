/*
 * pool_requests_test.c - what signal handlers and other threads may ask a pool for
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_ASKED = KIND_NOTE };

/* What asks, and for what. */
static struct board *asking_board;
static pf_pool *asked_pool;
static int (*request)(pf_pool *pool);

static void ask_in_handler(int signal) {
    int saved_errno = errno;

    (void)signal;
    board_require(asking_board, request(asked_pool) == 0);
    board_note(asking_board, NOTE_ASKED, 0);
    errno = saved_errno;
}

static void ask_at_alarm(struct board *board) {
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = ask_in_handler;
    action.sa_flags = SA_RESTART;
    board_require(board, sigaction(SIGALRM, &action, NULL) == 0);
}

/* The last worker sends the alarm, once all of them run and the supervisor waits. */
static int last_one_alarms(struct board *board, int task_id, int run) {
    if (task_id == 2) {
        board_require(board, board_reaches(board, NOTE_READY, ANY_TASK, 2));
        board_require(board, process_reaches_state(getppid(), 'S'));
        board_require(board, kill(getppid(), SIGALRM) == 0);
    }
    return ends_on_term(board, task_id, run);
}

static void *ask_in_thread(void *nothing) {
    (void)nothing;
    while (board_count(asking_board, NOTE_READY, ANY_TASK) < 3) {
        pause_ms(1);
    }
    for (int i = 0; i < 100; i++) { /* again has no effect */
        board_require(asking_board, request(asked_pool) == 0);
    }
    board_note(asking_board, NOTE_ASKED, 0);
    return NULL;
}

static void open_asked(struct host *host, struct board *board) {
    host_open(host, board);
    host->work = ends_on_term;
    asking_board = board;
    asked_pool = host->pool;
    board_require(board, pf_pool_set_thread_policy(host->pool, PF_THREADS_ALLOW) == 0);
    board_require(board, pf_pool_set_workers(host->pool, 3) == 0);
}

static void run_to_the_end(struct host *host) {
    int task_id = 0;

    board_require(host->board,
                  pf_pool_set_event_callback(host->pool, host_note_event, host->board, NULL) == 0);
    host->result = pf_pool_run(host->pool, &task_id);
    board_require(host->board, host->result == 0);
}

static void dispatch_to_the_end(struct host *host) {
    board_require(host->board, pf_pool_start(host->pool) == 0);
    while (host_turn(host, -1)) {
    }
    board_require(host->board, host->result == 0);
}

/* Waits only outside of the library. */
static void poll_to_the_end(struct host *host) {
    board_require(host->board, pf_pool_start(host->pool) == 0);
    while (host_turn(host, 0)) {
        struct pollfd one = {.fd = pf_pool_fd(host->pool), .events = POLLIN};
        (void)poll(&one, 1, -1); /* a signal may cut it short */
    }
    board_require(host->board, host->result == 0);
}

/* What a host of this test does; set before the scenario is started. */
static void (*go_to_the_end)(struct host *host);
static bool by_thread;

static int host_that_is_asked(struct board *board) {
    struct host host;
    pthread_t thread = pthread_self(); /* no other yet */

    open_asked(&host, board);
    if (by_thread) {
        board_require(board, pthread_create(&thread, NULL, ask_in_thread, NULL) == 0);
    } else {
        host.work = last_one_alarms;
        ask_at_alarm(board);
    }
    go_to_the_end(&host);
    board_require(board, !by_thread || pthread_join(thread, NULL) == 0);
    host_close(&host);
    return 0;
}

static void assert_ends(struct scenario *run, int (*wanted_request)(pf_pool *),
                        void (*wanted_way)(struct host *), bool in_thread) {
    request = wanted_request;
    go_to_the_end = wanted_way;
    by_thread = in_thread;

    scenario_start_host(run, host_that_is_asked);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, NOTE_ASKED, ANY_TASK), 1);
    assert_int_equal(board_count(run->board, PF_EVENT_STOPPING, ANY_TASK), 1);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), 3);
    assert_int_equal(board_count(run->board, PF_EVENT_DONE, ANY_TASK), 1);
    for (int i = 0; i < 3; i++) {
        const struct record *end = board_find(run->board, PF_EVENT_EXITED, i, 0);
        assert_int_equal(end->will_restart, 0);
        assert_true(wanted_request != pf_pool_kill || end->signal == SIGKILL);
    }
}

static void a_handler_may_stop_a_run(void **state) {
    assert_ends(*state, pf_pool_stop, run_to_the_end, false);
}

static void a_handler_may_kill_a_run(void **state) {
    assert_ends(*state, pf_pool_kill, run_to_the_end, false);
}

static int take_quit(pf_pool *pool) { return pf_pool_handle_signal(pool, SIGQUIT); }

static void a_handler_may_hand_its_signal_to_a_run(void **state) {
    assert_ends(*state, take_quit, run_to_the_end, false);
}

static void another_thread_may_hand_a_signal_to_a_pool_in_a_loop(void **state) {
    assert_ends(*state, take_quit, poll_to_the_end, true);
}

static void a_handler_may_stop_a_dispatch(void **state) {
    assert_ends(*state, pf_pool_stop, dispatch_to_the_end, false);
}

static void a_handler_may_kill_a_pool_in_a_loop(void **state) {
    assert_ends(*state, pf_pool_kill, poll_to_the_end, false);
}

static void another_thread_may_stop_a_run(void **state) {
    assert_ends(*state, pf_pool_stop, run_to_the_end, true);
}

static void another_thread_may_kill_a_run(void **state) {
    assert_ends(*state, pf_pool_kill, run_to_the_end, true);
}

static void another_thread_may_stop_a_dispatch(void **state) {
    assert_ends(*state, pf_pool_stop, dispatch_to_the_end, true);
}

static void another_thread_may_stop_a_pool_in_a_loop(void **state) {
    assert_ends(*state, pf_pool_stop, poll_to_the_end, true);
}

static void another_thread_may_kill_a_pool_in_a_loop(void **state) {
    assert_ends(*state, pf_pool_kill, poll_to_the_end, true);
}

/* ---- In a storm ------------------------------------------------------------------------ */

static int host_in_a_storm(struct board *board) {
    struct host host;
    struct itimerval timer = {.it_value = {.tv_usec = 40000}, .it_interval = {.tv_usec = 1000}};

    open_asked(&host, board);
    host.work = crashes_at_once;
    board_require(board, pf_pool_set_max_restarts(host.pool, 3000) == 0);
    ask_at_alarm(board);
    board_require(board, pf_pool_start(host.pool) == 0); /* before it nothing can be asked for */
    board_require(board, setitimer(ITIMER_REAL, &timer, NULL) == 0);
    while (host_turn(&host, -1)) {
    }
    board_require(board, host.result == 0);
    timer = (struct itimerval){.it_value = {.tv_usec = 0}};
    board_require(board, setitimer(ITIMER_REAL, &timer, NULL) == 0);
    host_close(&host);
    return 0;
}

static void handlers_may_stop_again_and_again_in_a_storm_of_ends(void **state) {
    struct scenario *run = *state;
    request = pf_pool_stop;

    scenario_start_host(run, host_in_a_storm);

    assert_exits(run, 0);
    assert_true(board_count(run->board, NOTE_ASKED, ANY_TASK) >= 1);
    assert_int_equal(board_count(run->board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK),
                     board_count(run->board, PF_EVENT_EXITED, ANY_TASK));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_handler_may_stop_a_run),
        scenario_test(a_handler_may_kill_a_run),
        scenario_test(a_handler_may_hand_its_signal_to_a_run),
        scenario_test(another_thread_may_hand_a_signal_to_a_pool_in_a_loop),
        scenario_test(a_handler_may_stop_a_dispatch),
        scenario_test(a_handler_may_kill_a_pool_in_a_loop),
        scenario_test(another_thread_may_stop_a_run),
        scenario_test(another_thread_may_kill_a_run),
        scenario_test(another_thread_may_stop_a_dispatch),
        scenario_test(another_thread_may_stop_a_pool_in_a_loop),
        scenario_test(another_thread_may_kill_a_pool_in_a_loop),
        scenario_test(handlers_may_stop_again_and_again_in_a_storm_of_ends),
    };

    return run_group_with_each_backend("pool requests", tests);
}
