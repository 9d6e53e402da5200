/*
 * exec_clone_test.c - workers are executed where clone(2) gives no pidfd, or is forbidden
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "filter.h"

enum { WITH_PIDFD = CLONE_VM | CLONE_VFORK | 0x1000 /* CLONE_PIDFD */ | SIGCHLD };

static int filter_error;

static int supervise(struct board *board) {
    struct host host;

    host_open(&host, board);
    executes(&host, "run:", "term", NULL);
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_reports(&host, "ready", 3));
    board_require(board, kill(host_pid(&host, 1, 0), SIGKILL) == 0);
    board_require(board, host_reports(&host, "ready", 4));
    board_require(board, pf_pool_send_signal(host.pool, 1, 0) == 0);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void assert_workers_run(struct scenario *run, host_fn host, int error) {
    filter_error = error;

    scenario_start_host(run, host);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 1, 0)->signal, SIGKILL);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 1, 1)->exit_code, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_START_FAILED, ANY_TASK), 0);
}

static int host_without_clone_pidfd(struct board *board) {
    board_require(board, filter_forbid_value(SYS_clone, 0, WITH_PIDFD, filter_error));
    return supervise(board);
}

static void workers_run_where_clone_knows_no_pidfds(void **state) {
    assert_workers_run(*state, host_without_clone_pidfd, EINVAL);
}

static void workers_run_where_clone_may_give_no_pidfds(void **state) {
    assert_workers_run(*state, host_without_clone_pidfd, EPERM);
}

static int host_without_clone(struct board *board) {
    board_require(board, filter_forbid(SYS_clone, filter_error));
    return supervise(board);
}

static void workers_run_where_only_vfork_is_allowed(void **state) {
#ifdef SYS_vfork
    assert_workers_run(*state, host_without_clone, ENOSYS);
#else
    (void)state;
    (void)host_without_clone;
    skip();
#endif
}

static int host_of_a_missing_program(struct board *board) {
    const char *arguments[] = {"worker", NULL};
    struct host host;

    board_require(board, filter_forbid_value(SYS_clone, 0, WITH_PIDFD, EPERM));
    host_open(&host, board);
    board_require(board, pf_pool_set_exec(host.pool, "./missing", arguments, NULL) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_finishes(&host) == -ENOENT);
    host_close(&host);
    board_require(board, waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    return 0;
}

static void a_missing_program_is_reported_there_too(void **state) {
    scenario_start_host(*state, host_of_a_missing_program);

    assert_exits((struct scenario *)*state, 0);
}

/* A worker that ends at once may be gone before its pidfd can be opened. */
static void *reap_everybody(void *board) {
    for (;;) {
        if (waitpid(-1, NULL, 0) < 0) {
            pthread_testcancel();
            pause_ms(1);
        }
    }
    return board;
}

static int host_beside_a_thief(struct board *board) {
    const char *arguments[] = {"true", NULL};
    struct host host;
    pthread_t thief;

    board_require(board, filter_forbid_value(SYS_clone, 0, WITH_PIDFD, EPERM));
    host_open(&host, board);
    board_require(board, pthread_create(&thief, NULL, reap_everybody, board) == 0);
    board_require(board, pf_pool_set_exec(host.pool, "/bin/true", arguments, NULL) == 0);
    board_require(board, pf_pool_set_restart_policy(host.pool, PF_RESTART_ALWAYS) == 0);
    board_require(board, pf_pool_set_max_restarts(host.pool, 200) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_finishes(&host) == PF_EGAVEUP);
    host_close(&host);
    _exit(0); /* the thief waits */
}

static void a_worker_that_vanishes_at_once_has_run(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_beside_a_thief);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_START_FAILED, ANY_TASK), 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK),
                     board_count(run->board, PF_EVENT_EXITED, ANY_TASK));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(workers_run_where_clone_knows_no_pidfds),
        executed_scenario_test(workers_run_where_clone_may_give_no_pidfds),
        executed_scenario_test(workers_run_where_only_vfork_is_allowed),
        executed_scenario_test(a_missing_program_is_reported_there_too),
        executed_scenario_test(a_worker_that_vanishes_at_once_has_run),
    };

    return run_group_with_each_backend("exec clone", tests);
}
