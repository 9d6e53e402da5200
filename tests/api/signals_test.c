/*
 * signals_test.c - signals to the supervisor: whose they are, and how they end the pool
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scenario.h"

enum { NOTE_READY = KIND_NOTE, NOTE_ENDED, NOTE_HANDLED, NOTE_LEFT };

static struct board *handler_board;

static void end_gracefully(int signal) {
    board_note(handler_board, NOTE_ENDED, signal);
    _exit(0);
}

static int ends_gracefully_on_term(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    handler_board = board;
    (void)signal(SIGTERM, end_gracefully);
    board_note(board, NOTE_READY, 0);
    wait_for_ever();
    return 1;
}

static int ignores_term(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    (void)signal(SIGTERM, SIG_IGN);
    board_note(board, NOTE_READY, 0);
    wait_for_ever();
    return 1;
}

/* ---- The four signals ---------------------------------------------------------------- */

static void assert_stops_gracefully_and_dies_of(struct scenario *run, int signal) {
    static const struct plan plan = {.workers = 3, .work = ends_gracefully_on_term};
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, NOTE_READY, ANY_TASK, 3));

    scenario_signal(run, signal);

    assert_dies_of(run, signal);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 3);
    for (int i = 0; i < 3; i++) {
        assert_false(process_exists(board_find(run->board, KIND_WORKER, i, 0)->author));
        assert_int_equal(board_find(run->board, NOTE_ENDED, i, 0)->value, SIGTERM);
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 0)->exit_code, 0);
    }
    const struct record *stopping = board_find(run->board, PF_EVENT_STOPPING, ANY_TASK, 0);
    assert_int_equal(stopping->signal, signal);
    assert_int_equal(board_count(run->board, PF_EVENT_STOPPING, ANY_TASK), 1);
    assert_int_equal(board_count(run->board, PF_EVENT_KILLED, ANY_TASK), 0);
    assert_int_equal(board_count(run->board, PF_EVENT_DONE, ANY_TASK), 1);
}

static void term_stops_the_workers_gracefully_and_ends_the_parent(void **state) {
    assert_stops_gracefully_and_dies_of(*state, SIGTERM);
}

static void int_stops_the_workers_gracefully_and_ends_the_parent(void **state) {
    assert_stops_gracefully_and_dies_of(*state, SIGINT);
}

static void quit_stops_the_workers_gracefully_and_ends_the_parent(void **state) {
    assert_stops_gracefully_and_dies_of(*state, SIGQUIT);
}

static void hup_stops_the_workers_gracefully_and_ends_the_parent(void **state) {
    assert_stops_gracefully_and_dies_of(*state, SIGHUP);
}

static void workers_with_the_default_for_term_die_of_it_and_stay_down(void **state) {
    static const struct plan plan = {.workers = 2, .max_restarts = PF_UNLIMITED};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 2));

    scenario_signal(run, SIGTERM);

    assert_dies_of(run, SIGTERM);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 2);
    for (int i = 0; i < 2; i++) {
        const struct record *end = board_find(run->board, PF_EVENT_EXITED, i, 0);
        assert_int_equal(end->signal, SIGTERM);
        assert_int_equal(end->will_restart, 0);
        assert_int_equal(end->level, 6); /* it was asked to end, so nothing is wrong */
    }
}

/* ---- Again, and to all --------------------------------------------------------------- */

static void a_second_signal_kills_at_once(void **state) {
    static const struct plan plan = {.workers = 2, .work = ignores_term};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, NOTE_READY, ANY_TASK, 2));

    scenario_signal(run, SIGTERM);
    assert_true(board_reaches(run->board, PF_EVENT_STOPPING, ANY_TASK, 1));
    uint64_t first_ms = now_ms();
    while (now_ms() < first_ms + 250) {
        pause_ms(10); /* one that comes within 200 ms is taken for the same request */
    }
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 0);
    scenario_signal(run, SIGINT);

    assert_dies_of(run, SIGTERM);
    assert_true(now_ms() < first_ms + 9000); /* long before the time-out */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 0)->signal, SIGKILL);
    }
}

static int waits_for_the_gate_once_told_to_end(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    (void)signal(SIGTERM, SIG_IGN);
    board_note(board, NOTE_READY, 0);
    gate_wait(board, 0);
    return 0;
}

static void signals_close_together_are_one_request(void **state) {
    static const struct plan plan = {.workers = 2, .work = waits_for_the_gate_once_told_to_end};
    struct scenario *run = *state;
    uint64_t both = (UINT64_C(1) << (SIGTERM - 1)) | (UINT64_C(1) << (SIGINT - 1));
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, NOTE_READY, ANY_TASK, 2));
    pid_t supervisor = run->supervisor;

    /* While it is stopped both gather; it then sees them within the same moment. */
    assert_int_equal(kill(supervisor, SIGSTOP), 0);
    assert_true(process_reaches_state(supervisor, 'T'));
    scenario_signal(run, SIGTERM);
    scenario_signal(run, SIGINT);
    assert_int_equal(kill(supervisor, SIGCONT), 0);
    assert_true(board_reaches(run->board, PF_EVENT_STOPPING, ANY_TASK, 1));
    while ((process_signals(supervisor, "ShdPnd") & both) != 0) {
        pause_ms(1);
    }
    assert_true(process_reaches_state(supervisor, 'S'));
    gate_open(run->board, 0);

    int ended_by = scenario_wait(run) & 0x7f;
    assert_true(ended_by == SIGTERM || ended_by == SIGINT);
    assert_int_equal(board_count(run->board, PF_EVENT_STOPPING, ANY_TASK), 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 0)->exit_code, 0);
    }
}

/* As the terminal does it for Ctrl-C: workers that die of it are not to be restarted. */
static void a_signal_to_the_whole_group_restarts_nothing(void **state) {
    static const struct plan plan = {.workers = 8, .max_restarts = PF_UNLIMITED};
    struct scenario *run = *state;

    for (int round = 0; round < 10; round++) {
        scenario_start(run, &plan);
        assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 8 * ((unsigned)round + 1)));
        assert_int_equal(kill(-run->supervisor, SIGINT), 0);
        assert_dies_of(run, SIGINT);
        assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 8 * (round + 1));
    }
    const struct record *end = NULL;
    for (unsigned i = 0; (end = board_find(run->board, PF_EVENT_EXITED, ANY_TASK, i)) != NULL;
         i++) {
        assert_int_equal(end->will_restart, 0);
    }
}

/* ---- At odd moments ------------------------------------------------------------------ */

static void send_term_at_starting(struct board *board, const pf_event *event) {
    if (pf_event_type(event) == PF_EVENT_STARTING) {
        board_require(board, kill(getpid(), SIGTERM) == 0);
    }
}

static void a_signal_during_the_start_is_not_lost(void **state) {
    static const struct plan plan = {.workers = 20, .on_event = send_term_at_starting};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_dies_of(run, SIGTERM);
    assert_int_equal(board_count(run->board, PF_EVENT_DONE, ANY_TASK), 1);
}

/* Seldom in the end: a test that waits long for a processor is not to find its board full. */
static int crashes_at_once(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    if (run >= 200) {
        pause_ms(100);
    }
    return 1;
}

static void a_signal_in_a_storm_of_restarts_ends_it(void **state) {
    static const struct plan plan = {
        .workers = 4, .max_restarts = PF_UNLIMITED, .work = crashes_at_once};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, PF_EVENT_EXITED, ANY_TASK, 50));

    scenario_signal(run, SIGTERM);

    assert_dies_of(run, SIGTERM);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK),
                     board_count(run->board, PF_EVENT_EXITED, ANY_TASK));
}

/* ---- The host's own signals ---------------------------------------------------------- */

static void note_signal(int signal) { board_note(handler_board, NOTE_HANDLED, signal); }

static void take_hup_and_int_and_block_quit(struct board *board) {
    sigset_t quit;

    handler_board = board;
    (void)sigemptyset(&quit);
    (void)sigaddset(&quit, SIGQUIT);
    board_require(board, signal(SIGHUP, note_signal) != SIG_ERR);
    board_require(board, signal(SIGINT, SIG_IGN) != SIG_ERR);
    board_require(board, sigprocmask(SIG_BLOCK, &quit, NULL) == 0);
}

static void signals_that_the_host_handles_ignores_or_blocks_are_its_own(void **state) {
    static const struct plan plan = {
        .workers = 2, .max_restarts = 1, .prepare = take_hup_and_int_and_block_quit};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 2));

    scenario_signal(run, SIGINT);
    scenario_signal(run, SIGQUIT);
    scenario_signal(run, SIGHUP);

    assert_true(board_reaches(run->board, NOTE_HANDLED, ANY_TASK, 1));
    assert_int_equal(board_find(run->board, NOTE_HANDLED, ANY_TASK, 0)->value, SIGHUP);
    pid_t worker = board_find(run->board, KIND_WORKER, 1, 0)->author;
    assert_int_equal(kill(worker, SIGKILL), 0);
    assert_true(board_reaches(run->board, KIND_WORKER, 1, 2)); /* supervised as before */
    assert_int_equal(board_count(run->board, PF_EVENT_STOPPING, ANY_TASK), 0);
    scenario_signal(run, SIGTERM);
    assert_dies_of(run, SIGTERM);
}

static void compare_signals_after_failure(struct board *board, int result) {
    static const int taken[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};
    struct sigaction action;

    (void)result;
    for (unsigned i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        board_require(board, sigaction(taken[i], NULL, &action) == 0);
        board_require(board, action.sa_handler == SIG_DFL);
    }
    board_require(board, process_signals(getpid(), "SigBlk") == 0);
    board_require(board, sigaction(SIGCHLD, NULL, &action) == 0);
    board_require(board, action.sa_handler == SIG_DFL);
}

static void signals_are_given_back_when_the_call_returns(void **state) {
    static const struct plan plan = {
        .workers = 1, .work = crashes_at_once, .afterwards = compare_signals_after_failure};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, STATUS_RETURNED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(term_stops_the_workers_gracefully_and_ends_the_parent),
        scenario_test(int_stops_the_workers_gracefully_and_ends_the_parent),
        scenario_test(quit_stops_the_workers_gracefully_and_ends_the_parent),
        scenario_test(hup_stops_the_workers_gracefully_and_ends_the_parent),
        scenario_test(workers_with_the_default_for_term_die_of_it_and_stay_down),
        scenario_test(a_second_signal_kills_at_once),
        scenario_test(signals_close_together_are_one_request),
        scenario_test(a_signal_to_the_whole_group_restarts_nothing),
        scenario_test(a_signal_during_the_start_is_not_lost),
        scenario_test(a_signal_in_a_storm_of_restarts_ends_it),
        scenario_test(signals_that_the_host_handles_ignores_or_blocks_are_its_own),
        scenario_test(signals_are_given_back_when_the_call_returns),
    };

    return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
