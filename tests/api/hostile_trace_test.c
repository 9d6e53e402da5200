/*
 * hostile_trace_test.c - workers that make their supervisor their tracer, or the parent of others
 *
 * The kernel then shows it stops of a worker, and ends of children that it has not started, where
 * it waits for the ends of its workers.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "hostile.h"

enum { STOP_MS = 200 };

static int is_traced_and_stops(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        board_note(board, NOTE_UNABLE, errno);
        wait_for_ever();
    }
    board_note(board, NOTE_DONE, 0);
    (void)raise(SIGUSR1); /* which its tracer is shown: it stops, and never goes on */
    return 1;
}

static void begin_traced(struct host *host) {
    host->work = is_traced_and_stops;
    board_require(host->board, pf_pool_set_stop(host->pool, SIGTERM, STOP_MS) == 0);
    board_require(host->board, host_begin(host, 1) == 0);
    board_require(host->board, host_reaches(host, KIND_WORKER, 0, 1));
}

/* A stop is no end. */
static void see_no_end(struct host *host) {
    struct board *board = host->board;
    pid_t worker = host_pid(host, 0, 0);

    if (board_count(board, NOTE_UNABLE, ANY_TASK) == 0) {
        board_require(board, board_reaches(board, NOTE_DONE, 0, 1));
        board_require(board, process_reaches_state(worker, 't'));
        host_goes_on(host, 50);
    }
    board_require(board, board_count(board, PF_EVENT_EXITED, 0) == 0);
    board_require(board, board_count(board, PF_EVENT_STARTED, 0) == 1);
    board_require(board, host_stops(host) == 0);
    board_require(board, board_count(board, PF_EVENT_EXITED, 0) == 1);
    board_require(board, !process_exists(worker));
}

static void a_stop_that_the_supervisor_is_shown_is_no_end(void **state) {
    struct host *host = *state;
    begin_traced(host);

    see_no_end(host);

    skip_if_unable(host);
}

static int host_without_waitid(struct board *board) {
    struct host host;

    board_require(board, filter_forbid(SYS_waitid, ENOSYS));
    host_open(&host, board);
    begin_traced(&host);
    see_no_end(&host);
    host_close(&host);
    return 0;
}

static void nor_is_it_where_the_system_has_no_waitid(void **state) {
    struct scenario *scenario = *state;

    scenario_start_host(scenario, host_without_waitid);

    assert_exits(scenario, 0);
    if (board_count(scenario->board, NOTE_UNABLE, ANY_TASK) > 0) {
        skip();
    }
}

static int gives_away_a_child(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 1) {
        return serves(board);
    }
    pid_t supervisor = getppid();
    if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL) == 0) {
        board_require(board, getppid() == supervisor);
        board_note_task(board, NOTE_RESULT, 0, pf_worker_ready());
        _exit(3);
    }
    board_require(board, board_reaches(board, NOTE_RESULT, 0, 1));
    gate_open(board, GATE_ATTACK);
    wait_for_ever();
    return 1;
}

static void a_child_that_a_worker_gives_to_its_supervisor_is_no_worker(void **state) {
    struct host *host = *state;
    int status = 0;
    begin_hostile(host, 2, gives_away_a_child);
    assert_true(host_reaches(host, PF_EVENT_READY, 1, 1));
    host_goes_on(host, 50);

    assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 0)->value, -ECHILD);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);
    pid_t given = board_find(host->board, NOTE_RESULT, 0, 0)->author;
    assert_int_equal(waitpid(given, &status, 0), given); /* it is left to the host */
    assert_int_equal(status, 3 << 8);
    assert_sibling_serves(host);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_stop_that_the_supervisor_is_shown_is_no_end),
        scenario_test(nor_is_it_where_the_system_has_no_waitid),
        host_test(a_child_that_a_worker_gives_to_its_supervisor_is_no_worker),
    };

    return run_group_with_each_backend("hostile trace", tests);
}
