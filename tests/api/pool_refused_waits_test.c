/*
 * pool_refused_waits_test.c - systems that do not let the supervisor wait in every way
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "host.h"

enum { NOTE_GRANDCHILD = KIND_NOTE, NOTE_RESULT, NOTE_LEFT };
enum { WAIT_BY_PIDFD = 3 /* P_PIDFD */ };
enum { GET_INFO = (int)0xC040FF0B /* PIDFD_GET_INFO */ };

static int filter_error;

/* ---- One way is refused ---------------------------------------------------------------- */

static int ends_with_its_number(struct board *board, int task_id, int run) {
    return run == 0 ? 20 + task_id : ends_on_term(board, task_id, run);
}

static int host_of_statuses(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = ends_with_its_number;
    board_require(board, pf_pool_set_process_groups(host.pool, 1) == 0);
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 3));
    board_require(board, kill(host_pid(&host, 2, 1), SIGKILL) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 2, 2));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    board_require(board, waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    return 0;
}

static void assert_knows_statuses(struct scenario *run, host_fn host) {
    scenario_start_host(run, host);

    assert_exits(run, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 0)->exit_code, 20 + i);
    }
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 0, 1)->exit_code, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 2, 1)->signal, SIGKILL);
}

static int host_without_waitid(struct board *board) {
    board_require(board, filter_forbid(SYS_waitid, filter_error));
    return host_of_statuses(board);
}

static void where_waitid_is_forbidden_wait4_is_used(void **state) {
    filter_error = EPERM;
    assert_knows_statuses(*state, host_without_waitid);
}

static void where_waitid_is_missing_wait4_is_used(void **state) {
    filter_error = ENOSYS;
    assert_knows_statuses(*state, host_without_waitid);
}

static int host_without_waits_by_pidfd(struct board *board) {
    board_require(board, filter_forbid_value(SYS_waitid, 0, WAIT_BY_PIDFD, EPERM));
    return host_of_statuses(board);
}

static void where_only_pidfds_may_not_be_waited_for_pids_are(void **state) {
    assert_knows_statuses(*state, host_without_waits_by_pidfd);
}

static int host_without_wait4(struct board *board) {
    struct host host;

    board_require(board, filter_forbid(SYS_wait4, ENOSYS));
    host_open(&host, board);
    host.work = ends_with_its_number;
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 3));
    board_require(board, kill(host_pid(&host, 2, 1), SIGKILL) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 2, 2));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void where_wait4_is_missing_waitid_is_used(void **state) {
    assert_knows_statuses(*state, host_without_wait4);
}

/* ---- What is left of a group ----------------------------------------------------------- */

static int leaves_a_grandchild(struct board *board, int task_id, int run) {
    pid_t child = fork();

    if (child == 0) {
        board_note(board, NOTE_GRANDCHILD, getpid());
        wait_for_ever();
    }
    board_require(board, board_reaches(board, NOTE_GRANDCHILD, ANY_TASK, 1));
    return ends_on_term(board, task_id, run);
}

static int host_of_a_group_without_waitid(struct board *board) {
    struct host host;

    board_require(board, filter_forbid(SYS_waitid, EPERM));
    host_open(&host, board);
    host.work = leaves_a_grandchild;
    board_require(board, pf_pool_set_process_groups(host.pool, 1) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 0, 1));
    board_require(board, kill(host_pid(&host, 0, 0), SIGTERM) == 0);
    board_require(board, host_finishes(&host) == 0);
    host_close(&host);
    return 0;
}

/* The grandchild comes to the test process, which reaps it. */
static void what_is_left_of_a_group_ends_all_the_same(void **state) {
    struct scenario *run = *state;
    uint64_t deadline = now_ms() + PATIENCE_MS;
    int status = 0;

    scenario_start_host(run, host_of_a_group_without_waitid);

    assert_exits(run, 0);
    pid_t grandchild = (pid_t)board_find(run->board, NOTE_GRANDCHILD, ANY_TASK, 0)->value;
    while (waitpid(grandchild, &status, WNOHANG) == 0) {
        assert_true(now_ms() < deadline);
        pause_ms(1);
    }
    assert_int_equal(status, SIGKILL);
}

/* ---- Every way is refused -------------------------------------------------------------- */

static void forbid_all_waits(struct board *board) {
    board_require(board, filter_forbid(SYS_waitid, EPERM));
    board_require(board, filter_forbid(SYS_wait4, ENOSYS));
}

static int host_without_any_wait(struct board *board) {
    struct host host;

    forbid_all_waits(board);
    host_open(&host, board);
    board_note(board, NOTE_RESULT, host_begin(&host, 1));
    board_note(board, NOTE_RESULT, pf_fork_processes(1, 0));
    host_close(&host);
    return 0;
}

static void without_any_way_to_wait_no_pool_starts(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_without_any_wait);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, -ENOSYS);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 1)->value, -ENOSYS);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), 0);
}

static int host_that_loses_all_waits(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_stop(host.pool, SIGTERM, 100) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    forbid_all_waits(board);
    host_goes_on(&host, 1200);
    board_note(board, NOTE_LEFT, pf_pool_alive_count(host.pool));
    board_require(board, kill(host_pid(&host, 0, 0), SIGKILL) == 0);
    if (backend_under_test == PF_BACKEND_PIDFD) {
        board_require(board, host_reaches(&host, PF_EVENT_EXITED, 0, 1));
    }
    uint64_t start = now_ms();
    host_close(&host);
    board_require(board, now_ms() - start < PATIENCE_MS);
    return 0;
}

/* The zombies come to the test process. */
static void a_wait_that_is_refused_later_proves_no_end(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_loses_all_waits);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_LEFT, ANY_TASK, 0)->value, 2);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, 1), 0);
    const struct record *exited = board_find(run->board, PF_EVENT_EXITED, 0, 0);
    if (exited != NULL) {
        assert_int_equal(exited->exit_code, -1);
        assert_int_equal(exited->signal, 0);
    }
    run->output_taken = true;
    assert_true(reap_all() >= 0);
}

/* ---- The status of one that somebody else has reaped ----------------------------------- */

static int host_that_reaps_itself(struct board *board) {
    struct host host;
    int status = 0;

    board_require(board, filter_forbid_value(SYS_ioctl, 1, (uint32_t)GET_INFO, EPERM));
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 0, 1));
    pid_t worker = host_pid(&host, 0, 0);
    board_require(board, kill(worker, SIGTERM) == 0);
    board_require(board, waitpid(-1, &status, 0) == worker);
    board_require(board, host_reaches(&host, NOTE_READY, 0, 2));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void a_status_that_the_kernel_may_not_report_is_unknown(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_reaps_itself);

    assert_exits(run, 0);
    const struct record *exited = board_find(run->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(exited->exit_code, -1);
    assert_int_equal(exited->signal, 0);
    assert_non_null(strstr(exited->message, "unknown status"));
}

/* ---- The wait of the supervisor -------------------------------------------------------- */

static int host_that_may_not_wait(struct board *board) {
    struct host host;
    int task_id = 5;

    board_require(board, filter_forbid(SYS_epoll_pwait, EPERM));
    host_open(&host, board);
    board_require(board, host_begin(&host, 2) == -EPERM);
    board_require(board, pf_pool_run(host.pool, &task_id) == -EPERM && task_id == 5);
    board_require(board, pf_pool_fd(host.pool) == -EINVAL); /* it has not started */
    board_require(board, pf_fork_processes(2, 0) == -EPERM);
    host_close(&host);
    board_require(board, waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    return 0;
}

static void a_supervisor_that_may_not_wait_starts_nobody(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_may_not_wait);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 0);
}

static int host_that_may_wait_no_more(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    board_require(board, filter_forbid(SYS_epoll_pwait, EPERM));
    board_require(board, pf_pool_dispatch(host.pool, 0) == -EPERM);
    board_require(board, waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    board_require(board, pf_pool_dispatch(host.pool, 0) == -EPERM); /* the pool has ended */
    board_require(board, pf_pool_resize(host.pool, 3) == -ECANCELED);
    host_close(&host);
    return 0;
}

static void one_that_may_wait_no_more_leaves_no_worker(void **state) {
    scenario_start_host(*state, host_that_may_wait_no_more);

    assert_exits((struct scenario *)*state, 0);
}

static int host_whose_timer_is_refused(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    board_require(board, filter_forbid(SYS_timerfd_settime, filter_error));
    board_require(board, pf_pool_stop(host.pool) == 0); /* has a time-out */
    int result = 1;
    for (int i = 0; i < 100 && result > 0; i++) {
        result = pf_pool_dispatch(host.pool, 100);
    }
    board_require(board, result == 0 || result == -filter_error);
    board_require(board, pf_pool_dispatch(host.pool, 0) == result);
    board_require(board, waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    host_close(&host);
    return 0;
}

static void one_that_cannot_set_its_timer_fails(void **state) {
    filter_error = EPERM;
    scenario_start_host(*state, host_whose_timer_is_refused);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(where_waitid_is_forbidden_wait4_is_used),
        scenario_test(where_waitid_is_missing_wait4_is_used),
        scenario_test(where_only_pidfds_may_not_be_waited_for_pids_are),
        scenario_test(where_wait4_is_missing_waitid_is_used),
        scenario_test(what_is_left_of_a_group_ends_all_the_same),
        scenario_test(without_any_way_to_wait_no_pool_starts),
        scenario_test(a_wait_that_is_refused_later_proves_no_end),
        scenario_test(a_status_that_the_kernel_may_not_report_is_unknown),
        scenario_test(a_supervisor_that_may_not_wait_starts_nobody),
        scenario_test(one_that_may_wait_no_more_leaves_no_worker),
        scenario_test(one_that_cannot_set_its_timer_fails),
    };

    return run_group_with_each_backend("pool refused waits", tests);
}
