/*
 * children_test.c - the host's own children and its ways with SIGCHLD
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scenario.h"

enum { NOTE_CHILD = KIND_NOTE, NOTE_STATUS, NOTE_STOLEN, NOTE_SIGCHLD, NOTE_CALL, NOTE_AGAIN };

/* ---- Children of the host ------------------------------------------------------------ */

static pid_t child_before;
static pid_t child_during;

static pid_t fork_child(struct board *board, int status) {
    pid_t child = fork();

    board_require(board, child >= 0);
    if (child == 0) {
        gate_wait(board, 0);
        _exit(status);
    }
    board_note(board, NOTE_CHILD, child);
    return child;
}

static void fork_child_before(struct board *board) { child_before = fork_child(board, 5); }

static void fork_child_during(struct board *board, const pf_event *event) {
    if (pf_event_type(event) == PF_EVENT_STARTED && child_during == 0) {
        child_during = fork_child(board, 6);
    }
}

static void wait_for_own_children(struct board *board, int result) {
    int status = 0;

    (void)result;
    board_require(board, waitpid(child_before, &status, 0) == child_before);
    board_note(board, NOTE_STATUS, status);
    board_require(board, waitpid(child_during, &status, 0) == child_during);
    board_note(board, NOTE_STATUS, status);
    board_require(board, waitpid(-1, &status, 0) == -1);
    board_require(board, errno == ECHILD);
}

/* Crashes once the host's children are zombies, and a second time to end the pool. */
static int crashes_after_the_children(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    for (unsigned i = 0; i < 2; i++) {
        board_require(board, board_reaches(board, NOTE_CHILD, ANY_TASK, 2));
        pid_t child = (pid_t)board_find(board, NOTE_CHILD, ANY_TASK, i)->value;
        board_require(board, process_reaches_state(child, 'Z'));
    }
    return 1;
}

static void children_of_the_host_keep_their_statuses_for_it(void **state) {
    static const struct plan plan = {.workers = 1,
                                     .max_restarts = 1,
                                     .prepare = fork_child_before,
                                     .work = crashes_after_the_children,
                                     .on_event = fork_child_during,
                                     .afterwards = wait_for_own_children};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, NOTE_CHILD, ANY_TASK, 2));

    gate_open(run->board, 0);

    assert_exits(run, STATUS_RETURNED);
    assert_int_equal(board_find(run->board, NOTE_STATUS, ANY_TASK, 0)->value, 5 << 8);
    assert_int_equal(board_find(run->board, NOTE_STATUS, ANY_TASK, 1)->value, 6 << 8);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 2);
}

/* ---- Callbacks that fork ------------------------------------------------------------- */

static void fork_and_wait(struct board *board, const pf_event *event) {
    int status = 0;

    (void)event;
    pid_t child = fork();
    if (child == 0) {
        _exit(9);
    }
    board_require(board, waitpid(child, &status, 0) == child);
    board_note_task(board, NOTE_STATUS, -1, status);
}

static int crashes_once(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    return run == 0 ? 1 : 0;
}

static void a_callback_may_fork_and_wait_for_its_child(void **state) {
    static const struct plan plan = {
        .workers = 3, .max_restarts = 3, .work = crashes_once, .on_event = fork_and_wait};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    unsigned events = 1 + 6 + 6 + 1; /* STARTING, STARTED, EXITED, DONE */
    assert_int_equal(board_count(run->board, NOTE_STATUS, ANY_TASK), events);
    for (unsigned i = 0; i < events; i++) {
        assert_int_equal(board_find(run->board, NOTE_STATUS, ANY_TASK, i)->value, 9 << 8);
    }
}

static pid_t supervisor;

static void fork_and_return_twice(struct board *board, const pf_event *event) {
    if (pf_event_type(event) == PF_EVENT_STARTING) {
        supervisor = getpid();
    }
    if (pf_event_type(event) == PF_EVENT_EXITED && getpid() == supervisor) {
        board_require(board, fork() >= 0);
    }
}

static void end_child_that_returned(struct board *board, int result) {
    board_require(board, getpid() != supervisor);
    board_require(board, pf_task_id() == -1);
    board_note(board, NOTE_CALL, result);
    _exit(0);
}

static int crashes_once_and_stays(struct board *board, int task_id, int run) {
    (void)task_id;
    if (run > 0) {
        board_require(board, board_reaches(board, NOTE_CALL, ANY_TASK, 2));
    }
    return run == 0 ? 1 : 0;
}

/* Worker 0 crashes once and ends; then two children have come back from the call. */
static void a_child_that_returns_from_a_callback_gets_echild(void **state) {
    static const struct plan plan = {.workers = 2,
                                     .max_restarts = 2,
                                     .work = crashes_once_and_stays,
                                     .on_event = fork_and_return_twice,
                                     .afterwards = end_child_that_returned};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_true(reap_all() >= 0); /* the children of the last two ends, which nobody waited for */
    assert_int_equal(board_count(run->board, NOTE_CALL, ANY_TASK), 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(board_find(run->board, NOTE_CALL, ANY_TASK, i)->value, -ECHILD);
    }
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 4);
}

/* ---- SIGCHLD ------------------------------------------------------------------------- */

enum { SLOTS = 4, RUNS = 50 };

/* Every worker has a status of its own; the last one of a slot ends normally. */
static int exits_with_its_own_status(struct board *board, int task_id, int run) {
    (void)board;
    return run < RUNS ? 1 + task_id * RUNS + run : 0;
}

static void assert_no_status_is_lost(struct scenario *run, void (*prepare)(struct board *)) {
    const struct plan plan = {.workers = SLOTS,
                              .max_restarts = PF_UNLIMITED,
                              .prepare = prepare,
                              .work = exits_with_its_own_status};
    if (!kernel_keeps_statuses()) {
        print_message("skipped: this kernel forgets the status of a process reaped by others\n");
        skip();
    }

    scenario_start(run, &plan);

    assert_exits(run, 0);
    for (int task_id = 0; task_id < SLOTS; task_id++) {
        assert_int_equal(board_count(run->board, PF_EVENT_EXITED, task_id), RUNS + 1);
        for (int i = 0; i <= RUNS; i++) {
            const struct record *end =
                board_find(run->board, PF_EVENT_EXITED, task_id, (unsigned)i);
            assert_int_equal(end->exit_code, i < RUNS ? 1 + task_id * RUNS + i : 0);
        }
    }
}

static void ignore_sigchld(struct board *board) {
    board_require(board, signal(SIGCHLD, SIG_IGN) != SIG_ERR);
}

static void no_status_is_lost_when_sigchld_is_ignored(void **state) {
    assert_no_status_is_lost(*state, ignore_sigchld);
}

static void set_no_child_wait(struct board *board) {
    struct sigaction action = {.sa_flags = SA_NOCLDWAIT};

    action.sa_handler = SIG_DFL;
    board_require(board, sigaction(SIGCHLD, &action, NULL) == 0);
}

static void no_status_is_lost_with_sa_nocldwait(void **state) {
    assert_no_status_is_lost(*state, set_no_child_wait);
}

static struct board *thief_board;

static void steal_all(int signal) {
    int saved_errno = errno;

    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
        board_note(thief_board, NOTE_STOLEN, 0);
    }
    errno = saved_errno;
}

static void handle_sigchld_by_wait(struct board *board) {
    struct sigaction action = {.sa_flags = SA_RESTART};

    thief_board = board;
    action.sa_handler = steal_all;
    board_require(board, sigaction(SIGCHLD, &action, NULL) == 0);
}

static void no_status_is_lost_to_a_handler_that_waits_for_any_child(void **state) {
    struct scenario *run = *state;

    assert_no_status_is_lost(run, handle_sigchld_by_wait);

    print_message("the handler took %u of %u\n", board_count(run->board, NOTE_STOLEN, ANY_TASK),
                  (unsigned)(SLOTS * (RUNS + 1)));
}

/* A host that waits for any child whenever it is told of anything, so surely before the
 * library has seen the ends of the other workers. */
static void steal_in_callback(struct board *board, const pf_event *event) {
    (void)event;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
        board_note_task(board, NOTE_STOLEN, -1, 0);
    }
}

static void no_status_is_lost_to_a_callback_that_waits_for_any_child(void **state) {
    static const struct plan plan = {.workers = SLOTS,
                                     .max_restarts = PF_UNLIMITED,
                                     .work = exits_with_its_own_status,
                                     .on_event = steal_in_callback};
    struct scenario *run = *state;
    if (!kernel_keeps_statuses()) {
        print_message("skipped: this kernel forgets the status of a process reaped by others\n");
        skip();
    }

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), SLOTS * (RUNS + 1));
    for (int task_id = 0; task_id < SLOTS; task_id++) {
        for (int i = 0; i < RUNS; i++) {
            const struct record *end =
                board_find(run->board, PF_EVENT_EXITED, task_id, (unsigned)i);
            assert_int_equal(end->exit_code, 1 + task_id * RUNS + i);
        }
    }
}

static void note_sigchld(int signal) { board_note(thief_board, NOTE_SIGCHLD, signal); }

static void handle_sigchld(struct board *board) {
    thief_board = board;
    board_require(board, signal(SIGCHLD, note_sigchld) != SIG_ERR);
}

static void look_at_handler(struct board *board, const pf_event *event) {
    struct sigaction action;

    (void)event;
    board_require(board, sigaction(SIGCHLD, NULL, &action) == 0);
    board_require(board, action.sa_handler == note_sigchld);
}

static void the_hosts_handler_for_sigchld_stays_and_is_called(void **state) {
    static const struct plan plan = {.workers = 2,
                                     .max_restarts = 2,
                                     .prepare = handle_sigchld,
                                     .work = crashes_once,
                                     .on_event = look_at_handler};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_true(board_count(run->board, NOTE_SIGCHLD, ANY_TASK) >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(children_of_the_host_keep_their_statuses_for_it),
        scenario_test(a_callback_may_fork_and_wait_for_its_child),
        scenario_test(a_child_that_returns_from_a_callback_gets_echild),
        scenario_test(no_status_is_lost_when_sigchld_is_ignored),
        scenario_test(no_status_is_lost_with_sa_nocldwait),
        scenario_test(no_status_is_lost_to_a_handler_that_waits_for_any_child),
        scenario_test(no_status_is_lost_to_a_callback_that_waits_for_any_child),
        scenario_test(the_hosts_handler_for_sigchld_stays_and_is_called),
    };

    return cmocka_run_group_tests_name("children", tests, NULL, NULL);
}
