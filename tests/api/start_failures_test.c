/*
 * start_failures_test.c - processes or descriptors run out: told, tried again, not counted
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "cmocka_all.h"
#include "scenario.h"

enum { NOTE_TAKEN = KIND_NOTE };
enum { WANTED = 6, RUNNING = 3, PLENTY = 4000 };

/* Worker 0 leaves at the first gate, all others at the second. */
static int waits_at_its_gate(struct board *board, int task_id, int run) {
    (void)run;
    gate_wait(board, task_id == 0 ? 0 : 1);
    return 0;
}

/* ---- Processes: the limit of a user -------------------------------------------------- */

/* This user has no other process, so the limit is reached by the pool's own. */
static uid_t user_of_this_test(void) { return (uid_t)(50000 + getpid() % 10000); }

static uid_t wanted_user;
static rlim_t wanted_processes;

static void limit_own_processes(rlim_t processes) {
    struct rlimit limit = {.rlim_cur = processes, .rlim_max = PLENTY};

    if (setrlimit(RLIMIT_NPROC, &limit) != 0) {
        _exit(95);
    }
}

/* Another user's limits cannot be set from outside, so the test asks the host by signal. */
static void make_room(int signal) {
    struct rlimit limit = {.rlim_cur = PLENTY, .rlim_max = PLENTY};

    (void)signal;
    limit_own_processes(PLENTY);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        _exit(95);
    }
}

static struct board *handler_board;

static void take_room(int signal) {
    limit_own_processes(1);
    board_note(handler_board, NOTE_TAKEN, signal);
}

static void obey_signals(struct board *board) {
    handler_board = board;
    board_require(board, signal(SIGUSR1, make_room) != SIG_ERR);
    board_require(board, signal(SIGUSR2, take_room) != SIG_ERR);
}

static void become_limited_user(struct board *board) {
    leave_out_leak_check();
    obey_signals(board);
    limit_own_processes(wanted_processes);
    board_require(board, setgid(65534) == 0);
    board_require(board, setuid(wanted_user) == 0);
}

static void limit_processes(rlim_t processes) {
    if (geteuid() != 0) {
        print_message("skipped: only root can become a user without other processes\n");
        skip();
    }
    wanted_user = user_of_this_test();
    wanted_processes = processes;
}

static void assert_start_failed(const struct record *failed, int task_id, int error) {
    assert_non_null(failed);
    assert_int_equal(failed->task_id, task_id);
    assert_int_equal(failed->error, error);
    assert_int_equal(failed->level, 3);
    assert_int_equal(failed->restarts, 0);
    assert_in_range(failed->delay_ms, 1, 1000);
}

static void want_of_processes_is_reported_tried_again_and_not_counted(void **state) {
    static const struct plan plan = {.workers = WANTED,
                                     .max_restarts = 0,
                                     .prepare = become_limited_user,
                                     .work = waits_at_its_gate};
    struct scenario *run = *state;
    limit_processes(RUNNING + 1);

    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, PF_EVENT_START_FAILED, ANY_TASK, 1));
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, RUNNING));
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), RUNNING);
    scenario_signal(run, SIGUSR1);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, WANTED));
    gate_open(run->board, 0);
    gate_open(run->board, 1);

    assert_exits(run, 0);
    assert_start_failed(board_find(run->board, PF_EVENT_START_FAILED, ANY_TASK, 0), RUNNING,
                        -EAGAIN);
    for (int i = 0; i < WANTED; i++) {
        assert_int_equal(board_count(run->board, KIND_WORKER, i), 1);
    }
}

/* The first ones leave at gates of their own, all others at the next. */
static int waits_at_one_of_many_gates(struct board *board, int task_id, int run) {
    (void)run;
    gate_wait(board, task_id < RUNNING ? task_id : RUNNING);
    return 0;
}

/* Waits until it is told that the next attempt is most of a second away; told: how often it was
 * told of failures before. */
static const struct record *next_long_delay(const struct board *board, unsigned told) {
    const struct record *failed = NULL;

    for (; failed == NULL || failed->delay_ms < 500; told++) {
        assert_true(board_reaches(board, PF_EVENT_START_FAILED, ANY_TASK, told + 1));
        failed = board_find(board, PF_EVENT_START_FAILED, ANY_TASK, told);
    }
    return failed;
}

static void starts_are_tried_at_once_when_a_worker_ends_and_told_once_a_second(void **state) {
    static const struct plan plan = {.workers = 2 * RUNNING,
                                     .max_restarts = 0,
                                     .prepare = become_limited_user,
                                     .work = waits_at_one_of_many_gates};
    struct scenario *run = *state;
    bool at_once = false;
    limit_processes(RUNNING + 1);

    scenario_start(run, &plan);
    /* A busy machine may start one late, but not each. */
    for (int i = 0; i < RUNNING && !at_once; i++) {
        unsigned told = i == 0 ? 0 : board_count(run->board, PF_EVENT_START_FAILED, ANY_TASK);
        const struct record *failed = next_long_delay(run->board, told);
        assert_in_range(failed->delay_ms, 500, 1000);
        gate_open(run->board, i);
        unsigned nth = RUNNING + (unsigned)i;
        assert_true(board_reaches(run->board, PF_EVENT_STARTED, ANY_TASK, nth + 1));
        const struct record *end = board_find(run->board, PF_EVENT_EXITED, i, 0);
        const struct record *next = board_find(run->board, PF_EVENT_STARTED, ANY_TASK, nth);
        at_once = next->time_ns - end->time_ns < failed->delay_ms * 1000000 / 2;
    }
    for (int gate = 0; gate <= RUNNING; gate++) {
        gate_open(run->board, gate);
    }

    assert_exits(run, 0);
    assert_true(at_once);
    const struct record *first = board_find(run->board, PF_EVENT_START_FAILED, ANY_TASK, 0);
    const struct record *second = board_find(run->board, PF_EVENT_START_FAILED, ANY_TASK, 1);
    assert_true(second->time_ns - first->time_ns >= UINT64_C(1000000000));
}

static void a_pool_without_any_worker_yet_waits_and_can_be_stopped(void **state) {
    static const struct plan plan = {.workers = 2, .prepare = become_limited_user};
    struct scenario *run = *state;
    limit_processes(1);

    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, PF_EVENT_START_FAILED, 0, 1));
    scenario_signal(run, SIGTERM);

    assert_dies_of(run, SIGTERM);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), 0);
    assert_int_equal(board_count(run->board, PF_EVENT_DONE, ANY_TASK), 1);
}

static int crashes_at_its_gate(struct board *board, int task_id, int run) {
    gate_wait(board, task_id == 0 ? 0 : 1);
    return task_id == 0 && run == 0 ? 4 : 0;
}

/* The crashed worker's room is taken before it can be started again. */
static void a_restart_that_finds_no_room_is_tried_again(void **state) {
    static const struct plan plan = {.workers = 2,
                                     .max_restarts = 1,
                                     .prepare = become_limited_user,
                                     .work = crashes_at_its_gate};
    struct scenario *run = *state;
    limit_processes(PLENTY);

    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 2));
    scenario_signal(run, SIGUSR2);
    assert_true(board_reaches(run->board, NOTE_TAKEN, ANY_TASK, 1));
    gate_open(run->board, 0);
    assert_true(board_reaches(run->board, PF_EVENT_START_FAILED, 0, 1));
    scenario_signal(run, SIGUSR1);
    assert_true(board_reaches(run->board, KIND_WORKER, 0, 2));
    gate_open(run->board, 1);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_START_FAILED, 0, 0)->restarts, 1);
    assert_int_equal(board_find(run->board, PF_EVENT_START_FAILED, 0, 0)->error, -EAGAIN);
}

/* ---- Processes: the limit of a control group ----------------------------------------- */

static struct cgroup group;

static void enter_group(struct board *board) { board_require(board, cgroup_enter(&group)); }

static void a_full_control_group_is_reported_and_tried_again(void **state) {
    static const struct plan plan = {
        .workers = WANTED, .prepare = enter_group, .work = waits_at_its_gate};
    struct scenario *run = *state;
    if (!cgroup_make(&group, "pids")) {
        print_message("skipped: no group with the pids controller can be made here\n");
        skip();
    }

    bool limited = cgroup_write(&group, "pids.max", "4"); /* the supervisor and three */
    scenario_start(run, &plan);
    bool failed = board_reaches(run->board, PF_EVENT_START_FAILED, RUNNING, 1) &&
                  board_reaches(run->board, KIND_WORKER, ANY_TASK, RUNNING);
    unsigned running = board_count(run->board, PF_EVENT_STARTED, ANY_TASK);
    bool widened = cgroup_write(&group, "pids.max", "max");
    bool recovered = board_reaches(run->board, KIND_WORKER, ANY_TASK, WANTED);
    gate_open(run->board, 0);
    gate_open(run->board, 1);
    int status = scenario_wait(run);
    if (status < 0) {
        kill_all_children(); /* the group is removed before this is judged */
    }
    bool removed = cgroup_remove(&group);

    assert_true(limited && failed && widened && recovered && removed);
    assert_int_equal(status, 0);
    assert_int_equal(running, RUNNING);
    assert_start_failed(board_find(run->board, PF_EVENT_START_FAILED, ANY_TASK, 0), RUNNING,
                        -EAGAIN);
}

/* ---- Descriptors --------------------------------------------------------------------- */

static int wanted_descriptors;

/* Sets the limit so that exactly so many descriptors can still be opened. */
static void leave_descriptors(struct board *board) {
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = PLENTY};
    int free_below = 0;

    obey_signals(board);

    while (free_below < wanted_descriptors || fcntl((int)limit.rlim_cur, F_GETFD) >= 0) {
        free_below += fcntl((int)limit.rlim_cur, F_GETFD) < 0 ? 1 : 0;
        limit.rlim_cur++;
    }
    board_require(board, setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void want_of_descriptors_is_reported_tried_again_and_not_counted(void **state) {
    static const struct plan plan = {
        .workers = 40, .max_restarts = 0, .prepare = leave_descriptors, .work = waits_at_its_gate};
    struct scenario *run = *state;
    wanted_descriptors = 12;

    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, PF_EVENT_START_FAILED, ANY_TASK, 1));
    assert_in_range(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), 1, 12);
    scenario_signal(run, SIGUSR1);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 40));
    gate_open(run->board, 0);
    gate_open(run->board, 1);

    assert_exits(run, 0);
    const struct record *failed = board_find(run->board, PF_EVENT_START_FAILED, ANY_TASK, 0);
    assert_start_failed(failed, failed->task_id, -EMFILE);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 40);
}

static void allow_descriptors(struct board *board, int result) {
    struct rlimit limit = {.rlim_cur = PLENTY, .rlim_max = PLENTY};

    board_require(board, result == -EMFILE);
    board_require(board, waitpid(-1, NULL, WNOHANG) == -1);
    board_require(board, errno == ECHILD);
    board_require(board, setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* What came of a start with so many descriptors left. */
enum outcome { OUTCOME_REFUSED, OUTCOME_SHORT_OF_WORKERS, OUTCOME_WORKING, OUTCOME_NONE };

static enum outcome outcome_of(const struct board *board) {
    if (board_count(board, KIND_RETURNED, ANY_TASK) > 0) {
        return OUTCOME_REFUSED;
    }
    if (board_count(board, PF_EVENT_START_FAILED, ANY_TASK) > 0) {
        return OUTCOME_SHORT_OF_WORKERS;
    }
    return board_count(board, KIND_WORKER, ANY_TASK) == 2 ? OUTCOME_WORKING : OUTCOME_NONE;
}

static enum outcome start_with_descriptors(int descriptors) {
    static const struct plan plan = {
        .workers = 2, .prepare = leave_descriptors, .afterwards = allow_descriptors};
    struct scenario once;
    enum outcome outcome = OUTCOME_NONE;
    uint64_t deadline = now_ms() + PATIENCE_MS;

    assert_true(scenario_open(&once));
    wanted_descriptors = descriptors;
    scenario_start(&once, &plan);
    while ((outcome = outcome_of(once.board)) == OUTCOME_NONE && now_ms() < deadline) {
        pause_ms(1);
    }
    if (outcome != OUTCOME_REFUSED) {
        scenario_signal(&once, SIGTERM);
    }
    int status = scenario_wait(&once);
    unsigned events = board_count(once.board, PF_EVENT_STARTING, ANY_TASK);
    assert_true(scenario_close(&once));
    assert_int_equal(status, outcome == OUTCOME_REFUSED ? STATUS_RETURNED << 8 : SIGTERM);
    assert_int_equal(events, outcome == OUTCOME_REFUSED ? 0 : 1);
    return outcome;
}

/* With none left the call fails; with some the supervisor runs, but not all workers; then they do.
 */
static void without_descriptors_for_the_supervisor_the_call_fails(void **state) {
    enum outcome outcome = OUTCOME_REFUSED;
    bool seen[OUTCOME_NONE + 1] = {false};

    (void)state;
    assert_int_equal(start_with_descriptors(0), OUTCOME_REFUSED);
    for (int descriptors = 0; outcome < OUTCOME_WORKING && descriptors < 20; descriptors++) {
        enum outcome next = start_with_descriptors(descriptors);
        assert_true(next >= outcome);
        outcome = next;
        seen[outcome] = true;
    }
    assert_true(seen[OUTCOME_REFUSED] && seen[OUTCOME_SHORT_OF_WORKERS] && seen[OUTCOME_WORKING]);
    assert_false(seen[OUTCOME_NONE]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(want_of_processes_is_reported_tried_again_and_not_counted),
        scenario_test(starts_are_tried_at_once_when_a_worker_ends_and_told_once_a_second),
        scenario_test(a_pool_without_any_worker_yet_waits_and_can_be_stopped),
        scenario_test(a_restart_that_finds_no_room_is_tried_again),
        scenario_test(a_full_control_group_is_reported_and_tried_again),
        scenario_test(want_of_descriptors_is_reported_tried_again_and_not_counted),
        scenario_test(without_descriptors_for_the_supervisor_the_call_fails),
    };

    return cmocka_run_group_tests_name("start failures", tests, NULL, NULL);
}
