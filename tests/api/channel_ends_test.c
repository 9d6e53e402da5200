/*
 * channel_ends_test.c - what workers and their pool get to know of each other's ends and silence
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

enum { NOTE_RESULT = KIND_NOTE, NOTE_TOLD, NOTE_UNABLE };

/* ---- Supervisors that do not read ---------------------------------------------------------- */

static int is_left_behind(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    pid_t supervisor = getppid();
    board_note(board, NOTE_TOLD, 0);
    while (getppid() == supervisor) {
        pause_ms(1);
    }
    board_note(board, NOTE_RESULT, pf_worker_ready());
    board_note(board, NOTE_RESULT, pf_worker_heartbeat());
    board_note(board, NOTE_RESULT, pf_worker_retire());
    board_require(board, pf_worker_stop_fd() >= 0);
    worker_waits_for_stop(board);
    board_note(board, NOTE_TOLD, 0);
    return 0;
}

static int host_that_is_killed(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = is_left_behind;
    board_require(board, pf_pool_set_parent_death_signal(host.pool, 0) == 0);
    board_require(board, pf_pool_set_heartbeat_timeout(host.pool, PATIENCE_MS) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, NOTE_TOLD, 0, 1));
    (void)raise(SIGKILL);
    return 1;
}

static void who_is_left_behind_is_reported_by_every_call(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_is_killed);

    assert_dies_of(run, SIGKILL);
    assert_true(board_reaches(run->board, NOTE_TOLD, ANY_TASK, 2));
    assert_int_equal(reap_all(), 1);
    assert_int_equal(board_find(run->board, NOTE_RESULT, 0, 0)->value, -ESRCH);
    assert_int_equal(board_find(run->board, NOTE_RESULT, 0, 1)->value, -ESRCH);
    assert_int_equal(board_find(run->board, NOTE_RESULT, 0, 2)->value, -ESRCH);
}

static int fills_the_pipe(struct board *board, int task_id, int run) {
    char nonsense[4096] = "";
    int fd = worker_pipe_to_supervisor();

    (void)task_id;
    (void)run;
    gate_wait(board, 0); /* until nobody reads */
    while (write(fd, nonsense, sizeof(nonsense)) > 0 || write(fd, nonsense, 1) > 0) {
    }
    uint64_t before = now_ms();
    board_note(board, NOTE_RESULT, pf_worker_ready());
    board_require(board, now_ms() - before >= 900);
    board_note(board, NOTE_RESULT, pf_worker_retire());
    gate_open(board, 1);
    uint64_t start = now_ms();
    int result = -EAGAIN;
    while (result == -EAGAIN && now_ms() - start < PATIENCE_MS) {
        result = pf_worker_ready();
    }
    board_note(board, NOTE_RESULT, result);
    wait_for_ever();
    return 1;
}

static void a_worker_waits_a_second_for_room_and_may_try_again(void **state) {
    struct host *host = *state;
    host->work = fills_the_pipe;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, KIND_WORKER, 0, 1));

    gate_open(host->board, 0);
    gate_wait(host->board, 1);

    assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 0)->value, -EAGAIN);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_true(host_reaches(host, NOTE_RESULT, 0, 3));
    assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 1)->value, -EAGAIN);
    assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 2)->value, 0);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
}

/* ---- Statuses that others take ------------------------------------------------------------ */

static int ends_in_some_way(struct board *board, int task_id, int run) {
    (void)run;
    gate_wait(board, 0);
    if (task_id == 0) {
        return 7;
    }
    if (task_id == 1) {
        exit(8);
    }
    (void)raise(SIGKILL);
    return 1;
}

/* On a kernel that does not tell the statuses of those whom others have reaped. */
static int steals_all_statuses(struct board *board) {
    struct host host;

    if (!filter_forbid(SYS_ioctl, ENOTTY)) {
        board_note(board, NOTE_UNABLE, 0);
        return 0;
    }
    host_open(&host, board);
    host.work = ends_in_some_way;
    board_require(board, pf_pool_set_restart_policy(host.pool, PF_RESTART_NEVER) == 0);
    board_require(board, host_begin(&host, 3) == 0);
    (void)host_turn(&host, 0);
    gate_open(board, 0);
    for (int i = 0; i < 3; i++) {
        board_require(board, waitpid(-1, NULL, 0) > 0);
    }
    board_require(board, host_finishes(&host) == 0);
    host_close(&host);
    return 0;
}

static void exit_codes_are_known_even_if_others_take_the_status(void **state) {
    struct scenario *run = *state;
    const struct record *ends[3];

    scenario_start_host(run, steals_all_statuses);
    assert_exits(run, 0);
    if (board_count(run->board, NOTE_UNABLE, ANY_TASK) > 0) {
        print_message("skipped: this system has no filters for system calls\n");
        skip();
    }

    for (int task = 0; task < 3; task++) {
        ends[task] = board_find(run->board, PF_EVENT_EXITED, task, 0);
        assert_non_null(ends[task]);
    }
    assert_int_equal(ends[0]->exit_code, 7);
    assert_int_equal(ends[1]->exit_code, 8);
    assert_int_equal(ends[2]->exit_code, -1);
    assert_non_null(strstr(ends[2]->message, "unknown status"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(who_is_left_behind_is_reported_by_every_call),
        host_test(a_worker_waits_a_second_for_room_and_may_try_again),
        scenario_test(exit_codes_are_known_even_if_others_take_the_status),
    };

    return run_group_with_each_backend("channel at its ends", tests);
}
