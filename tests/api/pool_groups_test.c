/*
 * pool_groups_test.c - workers that lead a process group of their own
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_GRANDCHILD = KIND_NOTE, NOTE_GOT };

static struct board *handler_board;

static void note_signal(int signal) {
    board_note_task(handler_board, NOTE_GOT, -1, (int64_t)getpid() * 100 + signal);
}

/* A process that nobody but its group's leader knows of, and that hears no SIGTERM. */
static void fork_grandchild(struct board *board) {
    pid_t worker = getpid();
    pid_t child = fork();

    board_require(board, child >= 0);
    if (child == 0) {
        board_require(board, getpgrp() == worker);
        handler_board = board;
        board_require(board, signal(SIGTERM, SIG_IGN) != SIG_ERR);
        board_require(board, signal(SIGUSR1, note_signal) != SIG_ERR);
        board_note(board, NOTE_GRANDCHILD, getpid());
        wait_for_ever();
    }
}

static int has_grandchildren(struct board *board, int task_id, int run) {
    board_require(board, getpgrp() == getpid());
    handler_board = board;
    board_require(board, signal(SIGUSR1, note_signal) != SIG_ERR);
    fork_grandchild(board);
    fork_grandchild(board);
    return ends_on_term(board, task_id, run);
}

static pid_t grandchild(const struct host *host, unsigned nth) {
    const struct record *note = board_find(host->board, NOTE_GRANDCHILD, ANY_TASK, nth);

    return note == NULL ? 0 : (pid_t)note->value;
}

/* They end, and come to the test process, which reaps them. */
static void assert_grandchild_is_killed(const struct host *host, unsigned nth) {
    pid_t pid = grandchild(host, nth);
    uint64_t deadline = now_ms() + PATIENCE_MS;
    int status = 0;

    assert_true(pid > 0);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        assert_true(now_ms() < deadline);
        pause_ms(1);
    }
    assert_int_equal(status, SIGKILL);
}

static void begin(struct host *host, int workers) {
    host->work = has_grandchildren;
    assert_int_equal(pf_pool_set_process_groups(host->pool, PF_GROUP_SIGNALS), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, (unsigned)workers));
    assert_true(host_reaches(host, NOTE_GRANDCHILD, ANY_TASK, 2 * (unsigned)workers));
}

static bool is_noted(const struct board *board, pid_t pid, int signal) {
    const struct record *note = NULL;

    for (unsigned i = 0; (note = board_find(board, NOTE_GOT, ANY_TASK, i)) != NULL; i++) {
        if (note->value == (int64_t)pid * 100 + signal) {
            return true;
        }
    }
    return false;
}

static void signals_go_to_the_group(void **state) {
    struct host *host = *state;
    begin(host, 2);

    assert_int_equal(pf_pool_send_signal(host->pool, 0, SIGUSR1), 0);

    assert_true(host_reaches(host, NOTE_GOT, ANY_TASK, 3));
    host_goes_on(host, 20);
    assert_int_equal(board_count(host->board, NOTE_GOT, ANY_TASK), 3);
    assert_true(is_noted(host->board, host_pid(host, 0, 0), SIGUSR1));
    for (unsigned i = 0; i < 4; i++) {
        const struct record *note = board_find(host->board, NOTE_GRANDCHILD, ANY_TASK, i);
        assert_int_equal(is_noted(host->board, (pid_t)note->value, SIGUSR1), note->task_id == 0);
    }
    assert_int_equal(host_stops(host), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_grandchild_is_killed(host, i);
    }
}

static void what_is_left_of_a_group_ends_with_its_leader(void **state) {
    struct host *host = *state;
    begin(host, 1);

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);

    assert_true(host_reaches(host, NOTE_READY, 0, 2));
    assert_grandchild_is_killed(host, 0);
    assert_grandchild_is_killed(host, 1);
    assert_true(host_reaches(host, NOTE_GRANDCHILD, ANY_TASK, 4));
    assert_true(process_exists(grandchild(host, 2)));
    assert_int_equal(host_stops(host), 0);
    assert_grandchild_is_killed(host, 2);
    assert_grandchild_is_killed(host, 3);
}

static void a_kill_and_a_free_reach_the_group(void **state) {
    struct host *host = *state;
    begin(host, 2);

    host_close(host);

    for (unsigned i = 0; i < 4; i++) {
        assert_grandchild_is_killed(host, i);
    }
}

static void a_kill_reaches_the_group(void **state) {
    struct host *host = *state;
    begin(host, 2);

    assert_int_equal(pf_pool_kill(host->pool), 0);

    assert_int_equal(host_finishes(host), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_grandchild_is_killed(host, i);
    }
}

/* The group is there as soon as the worker is told of, though it may not have run yet. */
static void a_signal_right_after_the_start_reaches_the_group(void **state) {
    enum { MANY = 40 };
    struct host *host = *state;
    assert_int_equal(pf_pool_set_process_groups(host->pool, PF_GROUP_SIGNALS), 0);
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 0), 0);
    assert_int_equal(host_begin(host, MANY), 0);
    (void)host_turn(host, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), MANY);

    assert_int_equal(host_stops(host), 0);

    for (int i = 0; i < MANY; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->signal, SIGTERM);
    }
}

static int leaves_a_grandchild(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    fork_grandchild(board);
    board_require(board, board_reaches(board, NOTE_GRANDCHILD, ANY_TASK, 1));
    return 0;
}

static void also_after_a_normal_end(void **state) {
    struct host *host = *state;
    host->work = leaves_a_grandchild;
    assert_int_equal(pf_pool_set_process_groups(host->pool, PF_GROUP_SIGNALS), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_grandchild_is_killed(host, 0);
}

static int stays_in_the_hosts_group(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, getpgrp() == getpgid(getppid()));
    board_require(board, getpgrp() != getpid());
    return 0;
}

static void without_the_setting_workers_stay_in_the_hosts_group(void **state) {
    struct host *host = *state;
    host->work = stays_in_the_hosts_group;
    assert_int_equal(pf_pool_set_process_groups(host->pool, PF_GROUP_SIGNALS), 0);
    assert_int_equal(pf_pool_set_process_groups(host->pool, 0), 0);
    assert_int_equal(host_begin(host, 2), 0);

    assert_int_equal(host_finishes(host), 0);
}

/* A worker that has left for a session of its own is still stopped. */
static int has_a_session_of_its_own(struct board *board, int task_id, int run) {
    pid_t child = fork();

    (void)run;
    if (child == 0) { /* the leader of a group can have no new session, so a child has it */
        board_require(board, setsid() == getpid());
        board_note(board, NOTE_GRANDCHILD, getpid());
        wait_for_ever();
    }
    return ends_on_term(board, task_id, run);
}

static void those_who_left_the_group_are_left_alone(void **state) {
    struct host *host = *state;
    int status = 0;
    host->work = has_a_session_of_its_own;
    assert_int_equal(pf_pool_set_process_groups(host->pool, PF_GROUP_SIGNALS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_true(host_reaches(host, NOTE_GRANDCHILD, ANY_TASK, 1));

    assert_int_equal(host_stops(host), 0);

    pid_t left = grandchild(host, 0);
    assert_int_equal(waitpid(left, &status, WNOHANG), 0);
    assert_int_equal(kill(left, SIGKILL), 0);
    assert_int_equal(waitpid(left, &status, 0), left);
}

/* Its grandchild stays behind, so that the group goes on. */
static void leave_the_group(struct board *board) {
    handler_board = board;
    board_require(board, signal(SIGUSR1, note_signal) != SIG_ERR);
    fork_grandchild(board);
    board_require(board, board_reaches(board, NOTE_GRANDCHILD, ANY_TASK, 1));
    board_require(board, setpgid(0, getpgid(getppid())) == 0);
}

static int leaves_its_group(struct board *board, int task_id, int run) {
    leave_the_group(board);
    return ends_on_term(board, task_id, run);
}

static int leaves_its_group_and_ignores_term(struct board *board, int task_id, int run) {
    leave_the_group(board);
    return ignores_term(board, task_id, run);
}

static void begin_outside(struct host *host, int (*work)(struct board *, int, int),
                          uint64_t stop_ms) {
    host->work = work;
    assert_int_equal(pf_pool_set_process_groups(host->pool, PF_GROUP_SIGNALS), 0);
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, stop_ms), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
}

static void a_worker_that_left_its_group_is_signalled_too(void **state) {
    struct host *host = *state;
    begin_outside(host, leaves_its_group, PATIENCE_MS);

    assert_int_equal(pf_pool_send_signal(host->pool, 0, SIGUSR1), 0);

    assert_true(host_reaches(host, NOTE_GOT, ANY_TASK, 2));
    host_goes_on(host, 20);
    assert_int_equal(board_count(host->board, NOTE_GOT, ANY_TASK), 2);
    assert_true(is_noted(host->board, host_pid(host, 0, 0), SIGUSR1));
    assert_true(is_noted(host->board, grandchild(host, 0), SIGUSR1));
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->exit_code, 0);
    assert_grandchild_is_killed(host, 0);
}

static void a_worker_that_left_its_group_is_killed_too(void **state) {
    struct host *host = *state;
    begin_outside(host, leaves_its_group_and_ignores_term, 50);

    assert_int_equal(host_stops(host), 0);

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGKILL);
    assert_grandchild_is_killed(host, 0);
}

static void a_free_reaches_a_worker_that_left_its_group(void **state) {
    struct host *host = *state;
    begin_outside(host, leaves_its_group_and_ignores_term, PATIENCE_MS);

    host_close(host);

    assert_grandchild_is_killed(host, 0);
}

/* ---- Groups that are only killed ------------------------------------------------------- */

static void end_in_order(int signal) {
    board_note_task(handler_board, NOTE_GOT, -1, (int64_t)getpid() * 100 + signal);
    _exit(9);
}

/* As has_grandchildren(), but the signal for which its children have a handler ends it. */
static int masters(struct board *board, int task_id, int run) {
    handler_board = board;
    fork_grandchild(board);
    fork_grandchild(board);
    board_require(board, signal(SIGUSR1, run == 0 ? end_in_order : SIG_IGN) != SIG_ERR);
    return ignores_term(board, task_id, run);
}

static void begin_masters(struct host *host, uint64_t stop_ms) {
    host->work = masters;
    assert_int_equal(pf_pool_set_process_groups(host->pool, PF_GROUP_KILL), 0);
    assert_int_equal(pf_pool_set_stop(host->pool, SIGUSR1, stop_ms), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 1));
    assert_true(host_reaches(host, NOTE_GRANDCHILD, ANY_TASK, 2));
}

static void assert_only_the_worker_got(const struct host *host, int signal) {
    assert_int_equal(board_count(host->board, NOTE_GOT, ANY_TASK), 1);
    assert_true(is_noted(host->board, host_pid(host, 0, 0), signal));
}

static void a_stop_is_for_the_worker_alone_and_then_the_group_is_killed(void **state) {
    struct host *host = *state;
    begin_masters(host, PATIENCE_MS);

    assert_int_equal(host_stops(host), 0);

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->exit_code, 9);
    assert_grandchild_is_killed(host, 0);
    assert_grandchild_is_killed(host, 1);
    assert_only_the_worker_got(host, SIGUSR1);
}

static void a_signal_is_for_the_worker_alone(void **state) {
    struct host *host = *state;
    begin_masters(host, 50);

    assert_int_equal(pf_pool_send_signal(host->pool, 0, SIGUSR1), 0);

    assert_true(host_reaches(host, NOTE_READY, 0, 2)); /* it ended of it, and was restarted */
    assert_only_the_worker_got(host, SIGUSR1);
    assert_grandchild_is_killed(host, 0);
    assert_grandchild_is_killed(host, 1);
    assert_true(host_reaches(host, NOTE_GRANDCHILD, ANY_TASK, 4));
    assert_int_equal(host_stops(host), 0); /* by SIGKILL, as the second one ignores the signal */
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 1)->signal, SIGKILL);
    assert_grandchild_is_killed(host, 2);
    assert_grandchild_is_killed(host, 3);
}

static void a_free_kills_the_group_after_its_worker(void **state) {
    struct host *host = *state;
    begin_masters(host, PATIENCE_MS);

    host_close(host);

    assert_grandchild_is_killed(host, 0);
    assert_grandchild_is_killed(host, 1);
    assert_int_equal(board_count(host->board, NOTE_GOT, ANY_TASK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(signals_go_to_the_group),
        host_test(what_is_left_of_a_group_ends_with_its_leader),
        host_test(a_kill_and_a_free_reach_the_group),
        host_test(a_kill_reaches_the_group),
        host_test(a_signal_right_after_the_start_reaches_the_group),
        host_test(also_after_a_normal_end),
        host_test(without_the_setting_workers_stay_in_the_hosts_group),
        host_test(those_who_left_the_group_are_left_alone),
        host_test(a_worker_that_left_its_group_is_signalled_too),
        host_test(a_worker_that_left_its_group_is_killed_too),
        host_test(a_free_reaches_a_worker_that_left_its_group),
        host_test(a_stop_is_for_the_worker_alone_and_then_the_group_is_killed),
        host_test(a_signal_is_for_the_worker_alone),
        host_test(a_free_kills_the_group_after_its_worker),
    };

    return run_group_with_each_backend("pool groups", tests);
}
