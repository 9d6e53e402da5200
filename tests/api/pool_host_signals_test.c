/*
 * pool_host_signals_test.c - the host's own signals, handlers and threads beside its pools
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_HANDLED = KIND_NOTE, NOTE_RESULT, NOTE_CHILD };

static struct board *handler_board;

static void note_signal(int signal) { board_note(handler_board, NOTE_HANDLED, signal); }

static void handle(struct board *board, int signal, void (*handler)(int), int flags) {
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = handler;
    action.sa_flags = flags;
    handler_board = board;
    board_require(board, sigaction(signal, &action, NULL) == 0);
}

/* And again and again, as a call that waits may begin just after an alarm; 0: no more. */
static void alarm_in(struct board *board, int milliseconds) {
    struct timeval span = {.tv_usec = milliseconds * 1000};
    struct itimerval timer = {.it_value = span, .it_interval = span};

    board_require(board, setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

/* ---- What the host handles, ignores or blocks is its own ------------------------------- */

static int host_with_its_own_signals(struct board *board) {
    struct host host;
    sigset_t quit;
    int task_id = 0;
    struct sigaction action;

    handle(board, SIGINT, note_signal, 0);
    handle(board, SIGUSR1, SIG_IGN, 0);
    (void)sigemptyset(&quit);
    (void)sigaddset(&quit, SIGQUIT);
    board_require(board, sigprocmask(SIG_BLOCK, &quit, NULL) == 0);
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, pf_pool_set_workers(host.pool, 2) == 0);
    board_require(board, pf_pool_set_event_callback(host.pool, host_note_event, board, NULL) == 0);
    host.result = pf_pool_run(host.pool, &task_id);
    board_require(board, pf_pool_stop_signal(host.pool) == SIGTERM);
    board_require(board, sigaction(SIGINT, NULL, &action) == 0);
    board_require(board, action.sa_handler == note_signal);
    board_require(board, sigaction(SIGUSR1, NULL, &action) == 0);
    board_require(board, action.sa_handler == SIG_IGN);
    board_require(board, process_signals(getpid(), "SigBlk") == UINT64_C(1) << (SIGQUIT - 1));
    host_close(&host);
    return 0;
}

/* Each is told once, when the pool starts, in any order. */
static void assert_unavailable(const struct board *board, const int *numbers, unsigned count) {
    assert_int_equal(board_count(board, PF_EVENT_SIGNAL_UNAVAILABLE, ANY_TASK), count);
    for (unsigned i = 0; i < count; i++) {
        unsigned found = 0;
        for (unsigned n = 0; n < count; n++) {
            const struct record *told = board_find(board, PF_EVENT_SIGNAL_UNAVAILABLE, ANY_TASK, n);
            assert_int_equal(told->level, 5);
            found += told->signal == numbers[i] ? 1 : 0;
        }
        assert_int_equal(found, 1);
    }
}

static void they_do_not_control_the_pool(void **state) {
    static const int numbers[] = {SIGINT, SIGUSR1, SIGQUIT};
    struct scenario *run = *state;
    scenario_start_host(run, host_with_its_own_signals);
    assert_true(board_reaches(run->board, NOTE_READY, ANY_TASK, 2));
    assert_unavailable(run->board, numbers, 3);
    assert_true(process_reaches_state(run->supervisor, 'S')); /* only a wait is interrupted */

    scenario_signal(run, SIGUSR1);
    scenario_signal(run, SIGQUIT);
    scenario_signal(run, SIGINT);

    assert_true(board_reaches(run->board, NOTE_HANDLED, ANY_TASK, 1));
    assert_int_equal(board_find(run->board, NOTE_HANDLED, ANY_TASK, 0)->value, SIGINT);
    pid_t worker = board_find(run->board, KIND_WORKER, 0, 0)->author;
    assert_int_equal(kill(worker, SIGKILL), 0);
    assert_true(board_reaches(run->board, NOTE_READY, 0, 2)); /* supervised as before */
    assert_int_equal(board_count(run->board, PF_EVENT_STOPPING, ANY_TASK), 0);
    scenario_signal(run, SIGTERM);
    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, NOTE_HANDLED, ANY_TASK), 1);
}

/* By the default callback, which writes down warnings alone; the teardown looks at stderr. */
static int call_that_ignores_hangups(struct board *board) {
    board_require(board, signal(SIGHUP, SIG_IGN) != SIG_ERR);
    int task_id = pf_fork_processes(1, 0);

    _exit(task_id == 0 ? 0 : 1);
}

static void the_default_callback_does_not_print_them(void **state) {
    scenario_start_host(*state, call_that_ignores_hangups);

    assert_exits((struct scenario *)*state, 0);
}

static int host_without_signals(struct board *board) {
    struct host host;

    host_open(&host, board);
    board_require(board, pf_pool_set_workers(host.pool, 3) == 0);
    board_require(board, pf_pool_start(host.pool) == 0);
    while (host_turn(&host, -1)) {
    }
    return 1;
}

static void by_default_the_pool_takes_none(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_without_signals);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 3));

    scenario_signal(run, SIGTERM);

    assert_dies_of(run, SIGTERM);
    assert_int_equal(reap_all(), 3); /* told by the kernel, not by the library */
    assert_int_equal(board_count(run->board, PF_EVENT_STOPPING, ANY_TASK), 0);
}

static int host_that_changes_its_mind(struct board *board) {
    struct host host;
    struct sigaction action;

    host_open(&host, board);
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, 0, 1));
    board_require(board, sigaction(SIGTERM, NULL, &action) == 0);
    board_require(board, action.sa_handler != SIG_DFL);
    handle(board, SIGINT, note_signal, 0);
    host_close(&host); /* while it runs */
    board_require(board, sigaction(SIGTERM, NULL, &action) == 0);
    board_require(board, action.sa_handler == SIG_DFL);
    board_require(board, sigaction(SIGINT, NULL, &action) == 0);
    board_require(board, action.sa_handler == note_signal); /* the host's newest word */
    return 0;
}

static void a_free_gives_them_back_but_for_those_the_host_has_taken(void **state) {
    scenario_start_host(*state, host_that_changes_its_mind);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- Children of the host's own -------------------------------------------------------- */

static int host_with_a_child(struct board *board) {
    struct host host;
    int status = 0;

    host_open(&host, board);
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, 0, 1));
    pid_t child = fork();
    if (child == 0) {
        board_note(board, NOTE_CHILD, getpid());
        wait_for_ever();
    }
    board_require(board, host_reaches(&host, NOTE_CHILD, ANY_TASK, 1));
    board_require(board, kill(child, SIGTERM) == 0);
    board_require(board, waitpid(child, &status, 0) == child);
    board_require(board, WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    host_goes_on(&host, 20);
    board_require(board, board_count(board, PF_EVENT_STOPPING, ANY_TASK) == 0);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void a_child_of_the_host_dies_of_its_signals_as_ever(void **state) {
    scenario_start_host(*state, host_with_a_child);

    assert_exits((struct scenario *)*state, 0);
}

/* It inherits the handlers of the host's pool, and has a pool of its own beside. */
static int child_with_a_pool(struct board *board, pf_pool *inherited) {
    struct host own;

    host_open(&own, board);
    own.work = ends_on_term;
    board_require(board, pf_pool_set_signals(own.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, pf_pool_free(inherited) == NULL);
    board_require(board, host_begin(&own, 2) == 0);
    board_require(board, host_reaches(&own, NOTE_READY, ANY_TASK, 2));
    uint64_t killed_ms = now_ms();
    board_require(board, kill(host_pid(&own, 0, 0), SIGKILL) == 0);
    while (board_count(board, PF_EVENT_EXITED, 0) == 0) {
        (void)host_turn(&own, -1);
    }
    board_require(board, now_ms() - killed_ms < time_scale() * 500U || SANITIZED);
    board_require(board, host_reaches(&own, NOTE_READY, 0, 2));
    board_require(board, kill(getpid(), SIGTERM) == 0);
    board_require(board, host_finishes(&own) == 0);
    board_require(board, pf_pool_stop_signal(own.pool) == SIGTERM);
    host_close(&own);
    return 33;
}

static int host_whose_child_has_a_pool(struct board *board) {
    struct host host;
    struct board *apart = board_new();
    int status = 0;

    board_require(board, apart != NULL);
    host_open(&host, apart);
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, ANY_TASK, 2));
    pid_t child = fork();
    if (child == 0) {
        _exit(child_with_a_pool(board, host.pool));
    }
    while (waitpid(child, &status, WNOHANG) == 0) {
        (void)host_turn(&host, 5);
    }
    board_note(board, NOTE_RESULT, status);
    board_require(board, pf_pool_alive_count(host.pool) == 2);
    board_require(board, host_stops(&host) == 0);
    board_require(board, board_count(apart, PF_EVENT_EXITED, ANY_TASK) == 2);
    host_close(&host);
    board_free(apart);
    return 0;
}

static void a_child_of_the_host_may_have_a_pool_of_its_own(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_whose_child_has_a_pool);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, 33 << 8);
}

/* ---- Handlers that run during a wait --------------------------------------------------- */

static int handler_flags;
static pf_pool *handled_pool;

static void note_and_stop(int signal) {
    note_signal(signal);
    (void)pf_pool_stop(handled_pool);
}

/* Without signals of the pool: only a stop ends the run. */
static int host_that_is_interrupted(struct board *board) {
    struct host host;
    int task_id = 0;

    handle(board, SIGALRM, note_signal, handler_flags);
    handle(board, SIGUSR1, note_and_stop, handler_flags);
    host_open(&host, board);
    handled_pool = host.pool;
    host.work = ends_on_term;
    board_require(board, pf_pool_set_workers(host.pool, 1) == 0);
    board_require(board, pf_pool_set_event_callback(host.pool, host_note_event, board, NULL) == 0);
    board_require(board, pf_pool_run(host.pool, &task_id) == 0);
    board_require(board, task_id == -1 && board_count(board, NOTE_HANDLED, ANY_TASK) == 4);
    host_close(&host);
    return 0;
}

static void check_that_a_run_continues(struct scenario *run) {
    scenario_start_host(run, host_that_is_interrupted);
    assert_true(board_reaches(run->board, NOTE_READY, 0, 1));

    for (unsigned times = 1; times <= 3; times++) {
        scenario_signal(run, SIGALRM);
        assert_true(board_reaches(run->board, NOTE_HANDLED, ANY_TASK, times));
        assert_true(process_reaches_state(run->supervisor, 'S'));
    }

    assert_int_equal(kill(board_find(run->board, KIND_WORKER, 0, 0)->author, SIGKILL), 0);
    assert_true(board_reaches(run->board, NOTE_READY, 0, 2)); /* supervised as before */
    assert_int_equal(board_count(run->board, PF_EVENT_STOPPING, ANY_TASK), 0);
    scenario_signal(run, SIGUSR1); /* what a handler asks for is done */
    assert_exits(run, 0);
}

static void a_run_continues_after_a_handler(void **state) {
    handler_flags = 0;
    check_that_a_run_continues(*state);
}

static void also_for_a_handler_that_restarts_calls(void **state) {
    handler_flags = SA_RESTART;
    check_that_a_run_continues(*state);
}

static int host_whose_dispatch_is_interrupted(struct board *board) {
    struct host host;

    handle(board, SIGALRM, note_signal, handler_flags);
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 0, 1));
    (void)host_turn(&host, 0);
    alarm_in(board, 100);
    int result = 1;
    while (result == 1 && board_count(board, NOTE_HANDLED, ANY_TASK) == 0) {
        result = pf_pool_dispatch(host.pool, -1);
    }
    alarm_in(board, 0);
    board_require(board, result == 1);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void a_dispatch_without_end_returns_when_a_handler_has_run(void **state) {
    handler_flags = 0;

    scenario_start_host(*state, host_whose_dispatch_is_interrupted);

    assert_exits((struct scenario *)*state, 0);
}

static void also_for_one_that_restarts_calls(void **state) {
    handler_flags = SA_RESTART;

    scenario_start_host(*state, host_whose_dispatch_is_interrupted);

    assert_exits((struct scenario *)*state, 0);
}

/* With workers that end all the time the descriptor is readable all the time: a handler runs
 * all the same. */
static int host_in_a_storm(struct board *board) {
    struct host host;

    handle(board, SIGALRM, note_signal, SA_RESTART);
    host_open(&host, board);
    host.work = crashes_at_once;
    board_require(board, pf_pool_set_max_restarts(host.pool, 1500) == 0);
    board_require(board, host_begin(&host, 4) == 0);
    alarm_in(board, 100);
    int result = 1;
    while (board_count(board, NOTE_HANDLED, ANY_TASK) == 0 && (result == 1)) {
        const pf_event *event = NULL;
        result = pf_pool_dispatch(host.pool, -1);
        while (pf_pool_next_event(host.pool, &event) == 1) {
        }
    }
    alarm_in(board, 0);
    board_require(board, result == 1);
    host_close(&host);
    return 0;
}

static void a_storm_of_ends_does_not_keep_a_handler_from_running(void **state) {
    scenario_start_host(*state, host_in_a_storm);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(they_do_not_control_the_pool),
        scenario_test(the_default_callback_does_not_print_them),
        scenario_test(by_default_the_pool_takes_none),
        scenario_test(a_free_gives_them_back_but_for_those_the_host_has_taken),
        scenario_test(a_child_of_the_host_dies_of_its_signals_as_ever),
        scenario_test(a_child_of_the_host_may_have_a_pool_of_its_own),
        scenario_test(a_run_continues_after_a_handler),
        scenario_test(also_for_a_handler_that_restarts_calls),
        scenario_test(a_dispatch_without_end_returns_when_a_handler_has_run),
        scenario_test(also_for_one_that_restarts_calls),
        scenario_test(a_storm_of_ends_does_not_keep_a_handler_from_running),
    };

    return run_group_with_each_backend("pool and the host's signals", tests);
}
