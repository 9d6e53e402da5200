/*
 * semantics_test.c - ids, restarts and the end of all workers: what a fork loop is to do
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
#include "scenario.h"

enum { NOTE_LOCAL = KIND_NOTE, NOTE_ATEXIT, NOTE_TASK_ID, NOTE_CHILD_TASK_ID, NOTE_SECOND_CALL };

static int exits_normally(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    return 0;
}

/* ---- Ids ----------------------------------------------------------------------------- */

static int host_with_a_local(struct board *board) {
    static const struct plan plan = {.workers = 4, .work = exits_normally};
    volatile int local = 42;

    /* plan_run() would hide whether the worker comes out of this very call. */
    int task_id = pf_fork_processes(plan.workers, plan.max_restarts);
    if (task_id >= 0) {
        (void)board_note_worker(board, task_id);
        board_note(board, NOTE_LOCAL, local);
        _exit(0);
    }
    return STATUS_RETURNED;
}

static void workers_come_out_of_the_same_call_with_ids_from_0(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_a_local);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(board_count(run->board, KIND_WORKER, i), 1);
        assert_int_equal(board_find(run->board, NOTE_LOCAL, i, 0)->value, 42);
    }
}

static void workers_are_started_in_the_order_of_their_ids(void **state) {
    static const struct plan plan = {.workers = 5, .work = exits_normally};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    int wraps = 0;
    for (unsigned i = 0; i < 5; i++) {
        const struct record *started = board_find(run->board, PF_EVENT_STARTED, ANY_TASK, i);
        assert_int_equal(started->task_id, i);
        assert_int_equal(started->pid, board_find(run->board, KIND_WORKER, (int)i, 0)->author);
        if (i > 0) {
            const struct record *before = board_find(run->board, PF_EVENT_STARTED, ANY_TASK, i - 1);
            wraps += started->pid < before->pid ? 1 : 0; /* pids begin anew at the highest */
        }
    }
    assert_true(wraps <= 1);
}

static void assert_starts_as_many_as_processors(struct scenario *run, const struct plan *plan) {
    char expected[64];

    scenario_start(run, plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), pf_cpu_count());
    (void)snprintf(expected, sizeof(expected), "Starting %d processes", pf_cpu_count());
    assert_string_equal(board_find(run->board, PF_EVENT_STARTING, ANY_TASK, 0)->message, expected);
}

static void zero_processes_means_one_a_processor(void **state) {
    static const struct plan plan = {.workers = 0, .work = exits_normally};

    assert_starts_as_many_as_processors(*state, &plan);
}

static void a_negative_number_of_processes_means_one_a_processor(void **state) {
    static const struct plan plan = {.workers = -3, .work = exits_normally};

    assert_starts_as_many_as_processors(*state, &plan);
}

static void the_least_integer_as_number_means_one_a_processor(void **state) {
    static const struct plan plan = {.workers = -2147483647 - 1, .work = exits_normally};

    assert_starts_as_many_as_processors(*state, &plan);
}

/* ---- Restarts ------------------------------------------------------------------------ */

static int middle_one_exits_once_with_3(struct board *board, int task_id, int run) {
    (void)board;
    return task_id == 1 && run == 0 ? 3 : 0;
}

static void an_abnormal_exit_restarts_the_same_id(void **state) {
    static const struct plan plan = {
        .workers = 3, .max_restarts = 1, .work = middle_one_exits_once_with_3};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, 0), 1);
    assert_int_equal(board_count(run->board, KIND_WORKER, 1), 2);
    assert_int_equal(board_count(run->board, KIND_WORKER, 2), 1);
    const struct record *first = board_find(run->board, PF_EVENT_EXITED, 1, 0);
    assert_int_equal(first->exit_code, 3);
    assert_int_equal(first->will_restart, 1);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 1, 1)->exit_code, 0);
    assert_int_not_equal(first->pid, board_find(run->board, PF_EVENT_STARTED, 1, 1)->pid);
}

/* Worker 2 first, then 1, then 0. */
static int exits_after_the_next_one(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id < 2) {
        board_require(board, board_reaches(board, PF_EVENT_EXITED, task_id + 1, 1));
    }
    return 0;
}

static void a_clean_exit_closes_the_slot(void **state) {
    static const struct plan plan = {
        .workers = 3, .max_restarts = PF_UNLIMITED, .work = exits_after_the_next_one};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 3);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTING, ANY_TASK), 1);
    for (int i = 0; i < 3; i++) {
        const struct record *end = board_find(run->board, PF_EVENT_EXITED, ANY_TASK, (unsigned)i);
        assert_int_equal(end->task_id, 2 - i);
        assert_int_equal(end->exit_code, 0);
        assert_int_equal(end->will_restart, 0);
    }
}

static int exits_with_256(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    return 256; /* of which the kernel keeps the lower eight bits */
}

static void status_256_is_status_0(void **state) {
    static const struct plan plan = {.workers = 1, .work = exits_with_256};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 0, 0)->exit_code, 0);
}

/* Worker 0 lets itself be stopped; meanwhile worker 1 crashes once and stays. */
static int stays_or_crashes_once(struct board *board, int task_id, int run) {
    if (task_id == 1 && run == 0) {
        gate_wait(board, 0);
        return 1;
    }
    gate_wait(board, 1);
    return 0;
}

static void a_stopped_worker_is_left_alone_and_goes_on(void **state) {
    static const struct plan plan = {
        .workers = 2, .max_restarts = 1, .work = stays_or_crashes_once};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 2));
    pid_t stopped = board_find(run->board, KIND_WORKER, 0, 0)->author;

    assert_int_equal(kill(stopped, SIGSTOP), 0);
    assert_true(process_reaches_state(stopped, 'T'));
    gate_open(run->board, 0);
    assert_true(board_reaches(run->board, KIND_WORKER, 1, 2)); /* events have passed by since */
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, 0), 0);
    assert_int_equal(process_state(stopped), 'T');
    assert_int_equal(kill(stopped, SIGCONT), 0);
    gate_open(run->board, 1);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, 0), 1);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 0, 0)->exit_code, 0);
}

/* ---- The end of all workers ---------------------------------------------------------- */

static struct board *atexit_board;

static void note_exit(void) { board_note(atexit_board, NOTE_ATEXIT, 0); }

static void register_exit_handler(struct board *board) {
    atexit_board = board;
    board_require(board, atexit(note_exit) == 0);
}

static void the_parent_exits_with_0_and_runs_its_exit_handlers_once(void **state) {
    static const struct plan plan = {
        .workers = 3, .prepare = register_exit_handler, .work = exits_normally};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    pid_t supervisor = run->supervisor;

    assert_exits(run, 0);

    assert_int_equal(board_count(run->board, NOTE_ATEXIT, ANY_TASK), 1);
    assert_int_equal(board_find(run->board, NOTE_ATEXIT, ANY_TASK, 0)->author, supervisor);
    assert_int_equal(board_count(run->board, KIND_RETURNED, ANY_TASK), 0);
}

/* ---- Who am I? ----------------------------------------------------------------------- */

static void note_task_id_of_supervisor(struct board *board, const pf_event *event) {
    (void)event;
    board_note_task(board, NOTE_TASK_ID, -1, pf_task_id());
}

static int notes_task_ids(struct board *board, int task_id, int run) {
    (void)run;
    board_note_task(board, NOTE_TASK_ID, task_id, pf_task_id());
    pid_t child = fork();
    if (child == 0) {
        board_note_task(board, NOTE_CHILD_TASK_ID, task_id, pf_task_id());
        _exit(0);
    }
    board_require(board, waitpid(child, NULL, 0) == child);
    if (task_id == 0) {
        return 0;
    }
    board_require(board, board_reaches(board, PF_EVENT_EXITED, 0, 1));
    return 1; /* and the pool gives up */
}

static void note_task_id_after_failure(struct board *board, int result) {
    (void)result;
    board_note_task(board, NOTE_TASK_ID, -1, pf_task_id());
}

static void the_task_id_is_known_in_workers_and_their_children_only(void **state) {
    static const struct plan plan = {.workers = 2,
                                     .work = notes_task_ids,
                                     .on_event = note_task_id_of_supervisor,
                                     .afterwards = note_task_id_after_failure};
    struct scenario *run = *state;
    assert_int_equal(pf_task_id(), -1);

    scenario_start(run, &plan);

    assert_exits(run, STATUS_RETURNED);
    assert_int_equal(board_find(run->board, NOTE_TASK_ID, 1, 0)->value, 1);
    assert_int_equal(board_find(run->board, NOTE_CHILD_TASK_ID, 1, 0)->value, 1);
    assert_true(board_count(run->board, NOTE_TASK_ID, -1) >= 5);
    const struct record *note = NULL;
    for (unsigned i = 0; (note = board_find(run->board, NOTE_TASK_ID, -1, i)) != NULL; i++) {
        assert_int_equal(note->value, -1);
    }
}

static void note_second_call(struct board *board, int task_id) {
    board_note_task(board, NOTE_SECOND_CALL, task_id, pf_fork_processes(2, 0));
    board_require(board, waitpid(-1, NULL, WNOHANG) == -1);
    board_require(board, errno == ECHILD);
    board_require(board, pf_task_id() == task_id);
}

static int calls_again(struct board *board, int task_id, int run) {
    (void)run;
    note_second_call(board, task_id);
    pid_t child = fork();
    if (child == 0) {
        note_second_call(board, task_id);
        _exit(0);
    }
    board_require(board, waitpid(child, NULL, 0) == child);
    return 0;
}

static void a_second_call_is_refused_in_a_worker_and_in_its_child(void **state) {
    static const struct plan plan = {.workers = 2, .work = calls_again};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, NOTE_SECOND_CALL, ANY_TASK), 4);
    for (unsigned i = 0; i < 4; i++) {
        const struct record *call = board_find(run->board, NOTE_SECOND_CALL, ANY_TASK, i);
        assert_int_equal(call->value, -EALREADY);
    }
    assert_int_equal(board_count(run->board, PF_EVENT_STARTING, ANY_TASK), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(workers_come_out_of_the_same_call_with_ids_from_0),
        scenario_test(workers_are_started_in_the_order_of_their_ids),
        scenario_test(zero_processes_means_one_a_processor),
        scenario_test(a_negative_number_of_processes_means_one_a_processor),
        scenario_test(the_least_integer_as_number_means_one_a_processor),
        scenario_test(an_abnormal_exit_restarts_the_same_id),
        scenario_test(a_clean_exit_closes_the_slot),
        scenario_test(status_256_is_status_0),
        scenario_test(a_stopped_worker_is_left_alone_and_goes_on),
        scenario_test(the_parent_exits_with_0_and_runs_its_exit_handlers_once),
        scenario_test(the_task_id_is_known_in_workers_and_their_children_only),
        scenario_test(a_second_call_is_refused_in_a_worker_and_in_its_child),
    };

    return cmocka_run_group_tests_name("semantics", tests, NULL, NULL);
}
