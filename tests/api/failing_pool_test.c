/*
 * failing_pool_test.c - a pool that cannot go on ends its workers and reports their ends
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { WORKERS = 3, KERNEL_SET_SIZE = 8 };

static int refused_with; /* the error of each wait; 0: it works */

/* That of the library. */
int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout_ms,
                const sigset_t *mask) {
    if (refused_with != 0) {
        errno = refused_with;
        return -1;
    }
    return (int)syscall(
        SYS_epoll_pwait, fd, events, count, timeout_ms, mask,
        (size_t)KERNEL_SET_SIZE); /* an int would leave half of the word as it was */
}

static void require_all_ends(struct board *board, int error) {
    for (int i = 0; i < WORKERS; i++) {
        const struct record *end = board_find(board, PF_EVENT_EXITED, i, 0);
        board_require(board, end != NULL && end->signal == SIGKILL);
        board_require(board, end != NULL && end->will_restart == 0);
        board_require(board, board_count(board, PF_EVENT_EXITED, i) == 1);
    }
    board_require(board, board_count(board, PF_EVENT_DONE, ANY_TASK) == 1);
    board_require(board, board_find(board, PF_EVENT_DONE, ANY_TASK, 0)->error == error);
    board_require(board, waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void begin(struct host *host, struct board *board) {
    host_open(host, board);
    host->work = ignores_term;
    board_require(board, host_begin(host, WORKERS) == 0);
    board_require(board, host_reaches(host, NOTE_READY, ANY_TASK, WORKERS));
}

static int host_whose_wait_fails(struct board *board) {
    struct host host;

    begin(&host, board);
    refused_with = EPERM;
    board_require(board, host_finishes(&host) == -EPERM);
    refused_with = 0;
    require_all_ends(board, -EPERM);
    board_require(board, pf_pool_alive_count(host.pool) == 0);
    board_require(board, pf_pool_dispatch(host.pool, 0) == -EPERM);
    host_close(&host);
    return 0;
}

static void a_wait_that_fails_ends_and_reports_all(void **state) {
    scenario_start_host(*state, host_whose_wait_fails);

    assert_exits((struct scenario *)*state, 0);
}

static int host_that_stops_meanwhile(struct board *board) {
    struct host host;

    begin(&host, board);
    board_require(board, pf_pool_stop(host.pool) == 0);
    board_require(board, host_turn(&host, 0));
    refused_with = ENOMEM;
    board_require(board, host_finishes(&host) == -ENOMEM);
    refused_with = 0;
    require_all_ends(board, -ENOMEM);
    host_close(&host);
    return 0;
}

static void a_stop_that_cannot_go_on_reports_all(void **state) {
    scenario_start_host(*state, host_that_stops_meanwhile);

    assert_exits((struct scenario *)*state, 0);
}

static int host_without_descriptors(struct board *board) {
    struct host host;

    begin(&host, board);
    for (int descriptor = STDERR_FILENO + 1; descriptor < 1024; descriptor++) {
        (void)close(descriptor);
    }
    board_require(board, host_finishes(&host) == -EBADF);
    require_all_ends(board, -EBADF);
    host_close(&host);
    return 0;
}

static void lost_descriptors_end_and_report_all(void **state) {
    scenario_start_host(*state, host_without_descriptors);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- With a callback ------------------------------------------------------------------- */

static int work(int task_id, void *board) {
    return ignores_term((struct board *)board, task_id, 0);
}

static void fail_when_all_run(const pf_event *event, void *board) {
    host_note_event(event, board);
    if (board_count((struct board *)board, PF_EVENT_STARTED, ANY_TASK) == WORKERS) {
        refused_with = EPERM;
    }
}

static int host_that_runs(struct board *board) {
    pf_pool *pool;
    int task_id = 0;

    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_workers(pool, WORKERS) == 0);
    board_require(board, pf_pool_set_backend(pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, work, board, NULL) == 0);
    board_require(board, pf_pool_set_event_callback(pool, fail_when_all_run, board, NULL) == 0);
    board_require(board, pf_pool_run(pool, &task_id) == -EPERM);
    require_all_ends(board, -EPERM);
    (void)pf_pool_free(pool);
    return 0;
}

static void a_callback_gets_all_before_the_error(void **state) {
    scenario_start_host(*state, host_that_runs);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_wait_that_fails_ends_and_reports_all),
        scenario_test(a_stop_that_cannot_go_on_reports_all),
        scenario_test(lost_descriptors_end_and_report_all),
        scenario_test(a_callback_gets_all_before_the_error),
    };
    return run_group_with_each_backend("failing pool", tests);
}
