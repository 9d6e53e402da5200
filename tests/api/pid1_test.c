/*
 * pid1_test.c - the supervisor as process 1 of a namespace, as in a container
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scenario.h"

enum { NOTE_INIT = KIND_NOTE, NOTE_READY, NOTE_UNABLE, NOTE_ENDED, NOTE_STATUS, NOTE_REAPED };
enum { STATUS_UNABLE = 60, STATUS_KILLED = 61, ORPHANS = 12 };

/* What process 1 does, and whether it mounts a /proc of its own namespace, as containers have
 * it. Without, /proc tells other numbers than system calls do. */
static const struct plan *init_plan;
static bool init_mounts_proc;

static bool mount_proc(void) {
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("proc", "/proc", "proc", 0, NULL) == 0;
}

/* Forks process 1 of a new namespace and ends with its status. Processes of the namespace
 * have other numbers inside than outside; the records on the board have those of inside. */
static int keep_namespace(struct board *board) {
    leave_out_leak_check();
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
        board_note(board, NOTE_UNABLE, errno);
        return STATUS_UNABLE;
    }
    pid_t init = fork();
    if (init == 0) {
        board_require(board, prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L) == 0);
        board_require(board, getpid() == 1);
        if (init_mounts_proc && !mount_proc()) {
            board_note(board, NOTE_UNABLE, errno);
            _exit(STATUS_UNABLE);
        }
        board_note(board, NOTE_READY, 0);
        exit(plan_run(board, init_plan));
    }
    board_note(board, NOTE_INIT, init);
    int status = 0;
    board_require(board, waitpid(init, &status, 0) == init);
    return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_KILLED;
}

/* Returns the number that process 1 has outside. */
static pid_t start_as_init(struct scenario *run, const struct plan *plan) {
    init_plan = plan;
    scenario_start_host(run, keep_namespace);
    while (board_count(run->board, NOTE_INIT, ANY_TASK) == 0 ||
           board_count(run->board, NOTE_READY, ANY_TASK) == 0) {
        if (board_count(run->board, NOTE_UNABLE, ANY_TASK) > 0) {
            assert_exits(run, STATUS_UNABLE);
            print_message("skipped: no namespace of process ids can be made here\n");
            skip();
        }
        pause_ms(1);
    }
    return (pid_t)board_find(run->board, NOTE_INIT, ANY_TASK, 0)->value;
}

/* ---- Workers and signals ------------------------------------------------------------- */

static int crashes_twice(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    return run < 2 ? 3 : 0;
}

static void process_1_restarts_its_workers_and_exits_with_0(void **state) {
    static const struct plan plan = {.workers = 3, .max_restarts = 6, .work = crashes_twice};
    struct scenario *run = *state;

    (void)start_as_init(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 9);
    assert_int_equal(board_find(run->board, PF_EVENT_STARTING, ANY_TASK, 0)->author, 1);
}

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
    gate_open(board, task_id);
    wait_for_ever();
    return 1;
}

/* The default of a signal does nothing to process 1, so it exits as a shell would tell it. */
static void assert_exits_after(struct scenario *run, int signal) {
    static const struct plan plan = {.workers = 2, .work = ends_gracefully_on_term};
    pid_t init = start_as_init(run, &plan);
    gate_wait(run->board, 0);
    gate_wait(run->board, 1);

    assert_int_equal(kill(init, signal), 0);

    assert_exits(run, 128 + signal);
    assert_int_equal(board_count(run->board, NOTE_ENDED, ANY_TASK), 2);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 2);
}

static void process_1_handles_term(void **state) { assert_exits_after(*state, SIGTERM); }

static void process_1_handles_int(void **state) { assert_exits_after(*state, SIGINT); }

static int sends_term_to_process_1(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 0) {
        board_require(board, board_reaches(board, KIND_WORKER, ANY_TASK, 2));
        board_require(board, kill(1, SIGTERM) == 0);
    }
    wait_for_ever();
    return 1;
}

static void process_1_handles_term_from_within_its_namespace(void **state) {
    static const struct plan plan = {.workers = 2, .work = sends_term_to_process_1};
    struct scenario *run = *state;

    (void)start_as_init(run, &plan);

    assert_exits(run, 128 + SIGTERM);
}

/* ---- Orphans ------------------------------------------------------------------------- */

/* Forks a process whose parent ends at once, so that process 1 adopts it. Returns its id. */
static pid_t make_orphan(struct board *board, int gate) {
    int pipe_ends[2];
    pid_t orphan = 0;

    board_require(board, pipe(pipe_ends) == 0);
    pid_t parent = fork();
    if (parent == 0) {
        orphan = fork();
        if (orphan == 0) {
            while (getppid() != 1) {
                pause_ms(1);
            }
            if (gate >= 0) {
                gate_wait(board, gate);
            }
            _exit(7);
        }
        _exit(write(pipe_ends[1], &orphan, sizeof(orphan)) == (ssize_t)sizeof(orphan) ? 0 : 1);
    }
    board_require(board, read(pipe_ends[0], &orphan, sizeof(orphan)) == (ssize_t)sizeof(orphan));
    board_require(board, waitpid(parent, NULL, 0) == parent);
    (void)close(pipe_ends[0]); /* nothing more is to come */
    (void)close(pipe_ends[1]);
    return orphan;
}

/* A zombie still exists; one that was reaped does not. */
static bool is_reaped(pid_t pid) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    while (process_exists(pid)) {
        if (now_ms() > deadline) {
            return false;
        }
        pause_ms(1);
    }
    return true;
}

/* What process 1 adopts while it runs a callback could be the host's own, so orphans are made only
 * when it has told of all starts and sleeps. */
static void open_gate_when_asleep(const struct scenario *run, pid_t init, unsigned workers) {
    assert_true(board_reaches(run->board, PF_EVENT_STARTED, ANY_TASK, workers));
    assert_true(process_reaches_state(init, 'S'));
    gate_open(run->board, 2);
}

/* Half of the orphans end at once, half later while nothing else happens. */
static int makes_orphans(struct board *board, int task_id, int run) {
    pid_t orphans[ORPHANS];

    (void)run;
    if (task_id == 1) {
        board_require(board, board_reaches(board, NOTE_REAPED, ANY_TASK, 1));
        return 0;
    }
    gate_wait(board, 2);
    for (int i = 0; i < ORPHANS; i++) {
        orphans[i] = make_orphan(board, i % 2 == 0 ? 0 : -1);
    }
    gate_open(board, 0);
    for (int i = 0; i < ORPHANS; i++) {
        board_require(board, is_reaped(orphans[i]));
    }
    board_note(board, NOTE_REAPED, 0);
    return 0;
}

static void process_1_reaps_the_orphans_that_it_adopts(void **state) {
    static const struct plan plan = {.workers = 2, .work = makes_orphans};
    struct scenario *run = *state;

    pid_t init = start_as_init(run, &plan);
    open_gate_when_asleep(run, init, 2);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 2);
}

/* Process 1's own children are not orphans: one from before the call, one from a callback. */
static pid_t own_children[2];

static pid_t fork_own_child(struct board *board, int status) {
    pid_t child = fork();

    board_require(board, child >= 0);
    if (child == 0) {
        gate_wait(board, 1);
        board_note(board, NOTE_ENDED, status);
        _exit(status);
    }
    return child;
}

static void fork_child_before(struct board *board) { own_children[0] = fork_own_child(board, 5); }

static void fork_child_during(struct board *board, const pf_event *event) {
    if (pf_event_type(event) == PF_EVENT_STARTED && own_children[1] == 0) {
        own_children[1] = fork_own_child(board, 6);
    }
}

static void wait_for_own_children(struct board *board, int result) {
    board_require(board, result == PF_EGAVEUP);
    for (int i = 0; i < 2; i++) {
        int status = 0;
        board_require(board, waitpid(own_children[i], &status, 0) == own_children[i]);
        board_note(board, NOTE_STATUS, status);
    }
    board_require(board, waitpid(-1, NULL, WNOHANG) == -1);
    board_require(board, errno == ECHILD);
}

/* Lets process 1's own children end, and an orphan after them, which hides behind them. */
static int makes_an_orphan_and_crashes(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    gate_wait(board, 2);
    pid_t orphan = make_orphan(board, 0);
    gate_open(board, 1);
    board_require(board, board_reaches(board, NOTE_ENDED, -1, 2));
    gate_open(board, 0);
    board_require(board, is_reaped(orphan));
    return 1;
}

static void assert_own_children_are_left(struct scenario *run) {
    static const struct plan plan = {.workers = 1,
                                     .max_restarts = 0,
                                     .prepare = fork_child_before,
                                     .work = makes_an_orphan_and_crashes,
                                     .on_event = fork_child_during,
                                     .afterwards = wait_for_own_children};

    pid_t init = start_as_init(run, &plan);
    open_gate_when_asleep(run, init, 1);

    assert_exits(run, STATUS_RETURNED);
    assert_int_equal(board_find(run->board, NOTE_STATUS, ANY_TASK, 0)->value, 5 << 8);
    assert_int_equal(board_find(run->board, NOTE_STATUS, ANY_TASK, 1)->value, 6 << 8);
}

static void process_1_leaves_its_own_children_to_the_host(void **state) {
    assert_own_children_are_left(*state);
}

static void process_1_with_its_own_proc_leaves_its_own_children_to_the_host(void **state) {
    struct scenario *run = *state;

    init_mounts_proc = true;
    assert_own_children_are_left(run);
}

static int restore_proc(void **state) {
    init_mounts_proc = false;
    return scenario_teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(process_1_restarts_its_workers_and_exits_with_0),
        scenario_test(process_1_handles_term),
        scenario_test(process_1_handles_int),
        scenario_test(process_1_handles_term_from_within_its_namespace),
        scenario_test(process_1_reaps_the_orphans_that_it_adopts),
        scenario_test(process_1_leaves_its_own_children_to_the_host),
        cmocka_unit_test_setup_teardown(
            process_1_with_its_own_proc_leaves_its_own_children_to_the_host, scenario_setup,
            restore_proc),
    };

    return cmocka_run_group_tests_name("process 1", tests, NULL, NULL);
}
