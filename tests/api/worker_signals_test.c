/*
 * worker_signals_test.c - a worker has the signals of the host, and so has the host afterwards
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scenario.h"

enum { NOTE_HANDLED = KIND_NOTE };
enum { FLAG_OF_C_LIBRARY = 0x04000000 }; /* SA_RESTORER: set by it wherever it sets an action */

static struct sigaction host_actions[65];
static sigset_t host_mask;
static struct board *handler_board;

static void note_signal(int signal) { board_note(handler_board, NOTE_HANDLED, signal); }

static void set_signals(struct board *board) {
    struct sigaction action = {.sa_flags = SA_RESTART | SA_NODEFER};

    handler_board = board;
    action.sa_handler = note_signal;
    (void)sigaddset(&action.sa_mask, SIGALRM);
    board_require(board, sigaction(SIGUSR1, &action, NULL) == 0);
    board_require(board, sigaction(SIGRTMIN + 3, &action, NULL) == 0);
    board_require(board, sigaction(SIGHUP, &action, NULL) == 0);
    board_require(board, signal(SIGUSR2, SIG_IGN) != SIG_ERR);
    board_require(board, signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    (void)sigemptyset(&host_mask);
    (void)sigaddset(&host_mask, SIGWINCH);
    (void)sigaddset(&host_mask, SIGQUIT);
    (void)sigaddset(&host_mask, SIGRTMAX);
    board_require(board, sigprocmask(SIG_SETMASK, &host_mask, NULL) == 0);
    for (int number = 1; number <= SIGRTMAX; number++) {
        (void)sigaction(number, NULL, &host_actions[number]); /* the C library's own two fail */
    }
}

static void compare_signals(struct board *board) {
    sigset_t mask;

    board_require(board, sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) != 0) {
            continue;
        }
        int flags_changed = action.sa_flags ^ host_actions[number].sa_flags;
        bool same = action.sa_handler == host_actions[number].sa_handler &&
                    (flags_changed & ~FLAG_OF_C_LIBRARY) == 0 &&
                    memcmp(&action.sa_mask, &host_actions[number].sa_mask, 64 / 8) == 0;
        board_require(board, same);
        board_require(board, sigismember(&mask, number) == sigismember(&host_mask, number));
    }
}

static int compares_signals(struct board *board, int task_id, int run) {
    (void)task_id;
    compare_signals(board);
    return run == 0 ? 1 : 0;
}

static void workers_have_the_hosts_signal_mask_and_dispositions(void **state) {
    static const struct plan plan = {
        .workers = 3, .max_restarts = 3, .prepare = set_signals, .work = compares_signals};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 6);
}

static void compare_signals_afterwards(struct board *board, int result) {
    (void)result;
    compare_signals(board);
}

static void the_host_has_its_signals_back_after_a_failure(void **state) {
    static const struct plan plan = {.workers = 3,
                                     .max_restarts = 1,
                                     .prepare = set_signals,
                                     .work = compares_signals,
                                     .afterwards = compare_signals_afterwards};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, STATUS_RETURNED);
}

static void send_signals_to_newborn(struct board *board, const pf_event *event) {
    if (pf_event_type(event) == PF_EVENT_STARTED) {
        int signal = pf_event_restarts(event) < 3 ? SIGTERM : SIGUSR1;
        board_require(board, kill(pf_event_pid(event), signal) == 0);
    }
}

static int waits_for_its_signal(struct board *board, int task_id, int run) {
    (void)run;
    while (board_count(board, NOTE_HANDLED, task_id) == 0) {
        pause_ms(1);
    }
    return 0;
}

/* The first three are sent TERM before they had a chance to run, and die of it; then comes
 * USR1, for which the host has a handler. */
static void signals_sent_to_a_newborn_worker_are_not_lost(void **state) {
    static const struct plan plan = {.workers = 1,
                                     .max_restarts = 3,
                                     .prepare = set_signals,
                                     .work = waits_for_its_signal,
                                     .on_event = send_signals_to_newborn};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 0, i)->signal, SIGTERM);
    }
    assert_int_equal(board_find(run->board, NOTE_HANDLED, 0, 0)->value, SIGUSR1);
    assert_int_equal(board_count(run->board, NOTE_HANDLED, ANY_TASK), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(workers_have_the_hosts_signal_mask_and_dispositions),
        scenario_test(the_host_has_its_signals_back_after_a_failure),
        scenario_test(signals_sent_to_a_newborn_worker_are_not_lost),
    };

    return cmocka_run_group_tests_name("worker signals", tests, NULL, NULL);
}
