/*
 * heartbeat_call_test.c - pf_worker_heartbeat() itself: what it costs, and who may call it
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "host.h"

enum { NOTE_RESULT = KIND_NOTE };

static struct board *worker_board;

static void begin(struct host *host, int workers) {
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, workers), 0);
}

static void beat(struct board *board) { board_require(board, pf_worker_heartbeat() == 0); }

/* A worker may beat as often as it likes: what it sends is bounded by the time-out. */
static int beats_without_sending(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 0) {
        beat(board);
    }
    if (!filter_forbid(SYS_write, EPERM) || !filter_forbid(SYS_pwritev2, EPERM)) {
        _exit(0); /* no filters here: nothing to look at */
    }
    int expected = task_id == 0 ? 0 : -EPERM;
    for (int i = 0; i < 1000; i++) {
        if (pf_worker_heartbeat() != expected) {
            _exit(1);
        }
    }
    _exit(0);
}

static void beats_soon_after_one_that_was_sent_are_not_sent(void **state) {
    struct host *host = *state;
    host->work = beats_without_sending;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    begin(host, 2);

    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->exit_code, 0);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 1, 0)->exit_code, 0);
}

enum { THREADS = 8 };

static void *beats_in_a_thread(void *unused) {
    gate_wait(worker_board, 0);
    for (int i = 0; i < 1000; i++) {
        beat(worker_board);
    }
    return unused;
}

static int beats_in_threads(struct board *board, int task_id, int run) {
    pthread_t threads[THREADS];

    (void)task_id;
    (void)run;
    worker_board = board;
    for (int i = 0; i < THREADS; i++) {
        board_require(board, pthread_create(&threads[i], NULL, beats_in_a_thread, NULL) == 0);
    }
    gate_open(board, 0);
    for (int i = 0; i < THREADS; i++) {
        board_require(board, pthread_join(threads[i], NULL) == 0);
    }
    return 0;
}

static void any_thread_may_give_the_first(void **state) {
    struct host *host = *state;
    host->work = beats_in_threads;
    begin(host, 2);

    assert_int_equal(host_finishes(host), 0);
}

static void fork_and_try(struct board *board) {
    pid_t child = fork();

    if (child == 0) {
        board_require(board, pf_worker_heartbeat() == -ECHILD);
        board_require(board, pf_worker_ready() == -ECHILD);
        board_require(board, pf_worker_stop_fd() == -ECHILD);
        board_note(board, NOTE_RESULT, 0);
        _exit(0);
    }
    board_require(board, waitpid(child, NULL, 0) == child);
}

static int tries_in_children(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    fork_and_try(board);
    beat(board);
    board_require(board, pf_worker_ready() == 0);
    board_require(board, pf_worker_stop_fd() >= 0);
    fork_and_try(board);
    beat(board);
    return 0;
}

static void only_messages_of_workers_themselves_count(void **state) {
    struct host *host = *state;
    host->work = tries_in_children;
    assert_int_equal(pf_worker_heartbeat(), -ECHILD);
    assert_int_equal(pf_worker_ready(), -ECHILD);
    assert_int_equal(pf_worker_stop_fd(), -ECHILD);
    begin(host, 2);
    assert_int_equal(pf_worker_heartbeat(), -ECHILD);

    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(board_count(host->board, NOTE_RESULT, ANY_TASK), 4);
    assert_int_equal(pf_worker_heartbeat(), -ECHILD);
    assert_int_equal(pf_worker_ready(), -ECHILD);
    assert_int_equal(pf_worker_stop_fd(), -ECHILD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(beats_soon_after_one_that_was_sent_are_not_sent),
        host_test(any_thread_may_give_the_first),
        host_test(only_messages_of_workers_themselves_count),
    };

    return run_group_with_each_backend("heartbeat call", tests);
}
