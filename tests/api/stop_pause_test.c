/*
 * stop_pause_test.c - a stop while processes are stopped: the supervisor, its workers, or both
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { SLOTS = 2, WORK_MS = 200 };
#define TIMEOUT_MS (time_scale() * 1000U)
#define PAUSE_MS (time_scale() * 1800U)
enum { NOTE_ASKED = KIND_NOTE };

/* ---- The supervisor ---------------------------------------------------------------------- */

static struct board *worker_board;

/* What is left to do takes a time in which the worker runs. */
static void finish(int signal) {
    (void)signal;
    board_note(worker_board, NOTE_ASKED, 0);
    for (int i = 0; i < WORK_MS / 10; i++) {
        pause_ms(10);
    }
    _exit(0);
}

static int finishes_on_term(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    worker_board = board;
    board_require(board, signal(SIGTERM, finish) != SIG_ERR);
    board_note(board, NOTE_READY, 0);
    wait_for_ever();
    return 1;
}

static int host_that_runs(struct board *board) {
    struct host host;
    int task_id = 0;
    int result = 0;

    host_open(&host, board);
    host.work = finishes_on_term;
    board_require(board, pf_pool_set_workers(host.pool, SLOTS) == 0);
    board_require(board, pf_pool_set_stop(host.pool, SIGTERM, TIMEOUT_MS) == 0);
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, pf_pool_set_event_callback(host.pool, host_note_event, board, NULL) == 0);
    result = pf_pool_run(host.pool, &task_id);
    board_require(board, result == 0);
    host_close(&host);
    return 0;
}

static void a_pause_of_all_leaves_the_workers_their_time(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_that_runs);
    assert_true(board_reaches(run->board, NOTE_READY, ANY_TASK, SLOTS));
    pid_t group = run->supervisor;
    scenario_signal(run, SIGTERM);
    assert_true(board_reaches(run->board, NOTE_ASKED, ANY_TASK, SLOTS));

    assert_int_equal(kill(-group, SIGSTOP), 0);
    pause_ms(PAUSE_MS);
    assert_int_equal(kill(-group, SIGCONT), 0);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_KILLED, ANY_TASK), 0);
    for (int i = 0; i < SLOTS; i++) {
        const struct record *end = board_find(run->board, PF_EVENT_EXITED, i, 0);
        assert_int_equal(end->signal, 0);
        assert_int_equal(end->exit_code, 0);
    }
}

static void a_host_that_is_late_each_time_kills_all_the_same(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 20), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, SLOTS));
    assert_int_equal(pf_pool_stop(host->pool), 0);

    uint64_t deadline = now_ms() + PATIENCE_MS;
    while (host_turn(host, 0) && now_ms() < deadline) {
        pause_ms(60);
    }

    assert_int_equal(host->result, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), SLOTS);
}

/* ---- A worker ---------------------------------------------------------------------------- */

/* Ready, and then stopped by somebody. */
static pid_t begin_with_a_stopped_worker(struct host *host, int task_id) {
    if (host->work == NULL) {
        host->work = ends_on_term;
    }
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, SLOTS));
    pid_t pid = host_pid(host, task_id, 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_true(process_reaches_state(pid, 'T'));
    return pid;
}

static void assert_ended_well(const struct host *host, pid_t pid) {
    const struct record *end = board_find_pid(host->board, PF_EVENT_EXITED, pid);

    assert_non_null(end);
    assert_int_equal(end->signal, 0);
    assert_int_equal(end->exit_code, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 0);
}

static void a_stopped_worker_ends_well_at_a_stop(void **state) {
    struct host *host = *state;
    pid_t pid = begin_with_a_stopped_worker(host, 0);

    assert_int_equal(host_stops(host), 0);

    assert_ended_well(host, pid);
}

static void a_stopped_worker_ends_well_at_a_reload(void **state) {
    struct host *host = *state;
    pid_t pid = begin_with_a_stopped_worker(host, 1);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 1));
    assert_ended_well(host, pid);
    assert_int_equal(host_stops(host), 0);
}

static void a_stopped_worker_ends_well_at_a_resize(void **state) {
    struct host *host = *state;
    pid_t pid = begin_with_a_stopped_worker(host, 1);

    assert_int_equal(pf_pool_resize(host->pool, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 1));
    assert_ended_well(host, pid);
    assert_int_equal(host_stops(host), 0);
}

static void a_stopped_group_ends_well_too(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_process_groups(host->pool, 1), 0);
    pid_t pid = begin_with_a_stopped_worker(host, 0);

    assert_int_equal(host_stops(host), 0);

    assert_ended_well(host, pid);
}

static int ends_on_stop_fd(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_note(board, NOTE_READY, 0);
    int fd = pf_worker_stop_fd();
    board_require(board, fd >= 0);
    struct pollfd one = {.fd = fd, .events = POLLIN};
    while (poll(&one, 1, -1) != 1) {
    }
    return 0;
}

static void without_a_stop_signal_a_stopped_worker_sees_its_descriptor(void **state) {
    struct host *host = *state;
    host->work = ends_on_stop_fd;
    assert_int_equal(pf_pool_set_stop(host->pool, 0, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, SLOTS));
    pid_t pid = host_pid(host, 0, 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_true(process_reaches_state(pid, 'T'));

    assert_int_equal(host_stops(host), 0);

    assert_ended_well(host, pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_pause_of_all_leaves_the_workers_their_time),
        host_test(a_host_that_is_late_each_time_kills_all_the_same),
        host_test(a_stopped_worker_ends_well_at_a_stop),
        host_test(a_stopped_worker_ends_well_at_a_reload),
        host_test(a_stopped_worker_ends_well_at_a_resize),
        host_test(a_stopped_group_ends_well_too),
        host_test(without_a_stop_signal_a_stopped_worker_sees_its_descriptor),
    };

    return run_group_with_each_backend("a stop and stopped processes", tests);
}
