/*
 * pool_threads_test.c - pools in processes that have other threads
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_STOLEN = KIND_NOTE, NOTE_LOOKED };
enum { GATE_END = 1, SLOTS = 4, RUNS = 15 };

static struct board *thread_board;

static void *wait_for_the_gate(void *nothing) {
    gate_wait(thread_board, GATE_END);
    return nothing;
}

/* ---- Refused or allowed ---------------------------------------------------------------- */

static int host_that_is_refused(struct board *board) {
    struct host host;
    pthread_t thread;
    int task_id = 5;

    thread_board = board;
    host_open(&host, board);
    host.work = ends_at_once;
    board_require(board, pthread_create(&thread, NULL, wait_for_the_gate, NULL) == 0);
    board_require(board, host_begin(&host, 2) == PF_ETHREADS);
    board_require(board, pf_pool_run(host.pool, &task_id) == PF_ETHREADS && task_id == 5);
    board_require(board, pf_pool_fd(host.pool) == -EINVAL); /* it has not started */
    board_require(board, waitpid(-1, NULL, WNOHANG) == -1);
    gate_open(board, GATE_END);
    board_require(board, pthread_join(thread, NULL) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_finishes(&host) == 0);
    host_close(&host);
    return 0;
}

static void other_threads_are_refused_while_they_run(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_is_refused);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTING, ANY_TASK), 1);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 2);
}

static int exits_with_its_own_status(struct board *board, int task_id, int run) {
    (void)board;
    return run < RUNS ? 1 + task_id * RUNS + run : 0;
}

/* Supervises no further before the thread has taken so many statuses. */
static int supervise_beside_thread(struct board *board, void *(*body)(void *), unsigned stolen) {
    struct host host;
    pthread_t thread;

    thread_board = board;
    host_open(&host, board);
    host.work = exits_with_its_own_status;
    board_require(board, pf_pool_set_thread_policy(host.pool, PF_THREADS_ALLOW) == 0);
    board_require(board, pf_pool_set_max_restarts(host.pool, PF_UNLIMITED) == 0);
    board_require(board, pthread_create(&thread, NULL, body, NULL) == 0);
    board_require(board, host_begin(&host, SLOTS) == 0);
    board_require(board, stolen == 0 || host_turn(&host, 0));
    board_require(board, board_reaches(board, NOTE_STOLEN, ANY_TASK, stolen));
    board_note(board, NOTE_LOOKED, host_finishes(&host));
    gate_open(board, GATE_END);
    board_require(board, pthread_join(thread, NULL) == 0);
    host_close(&host);
    return 0;
}

static void assert_own_statuses(const struct board *board) {
    assert_int_equal(board_find(board, NOTE_LOOKED, ANY_TASK, 0)->value, 0);
    for (int task_id = 0; task_id < SLOTS; task_id++) {
        assert_int_equal(board_count(board, PF_EVENT_EXITED, task_id), RUNS + 1);
        for (int i = 0; i <= RUNS; i++) {
            const struct record *end = board_find(board, PF_EVENT_EXITED, task_id, (unsigned)i);
            assert_int_equal(end->exit_code, i < RUNS ? 1 + task_id * RUNS + i : 0);
        }
    }
}

static int host_beside_an_idle_thread(struct board *board) {
    return supervise_beside_thread(board, wait_for_the_gate, 0);
}

static void allowed_they_do_no_harm(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_beside_an_idle_thread);

    assert_exits(run, 0);
    assert_own_statuses(run->board);
}

/* ---- A thread that takes every status -------------------------------------------------- */

static void *wait_for_any_child(void *nothing) {
    while (__atomic_load_n(&thread_board->gates[GATE_END], __ATOMIC_ACQUIRE) == 0) {
        pid_t pid = waitpid(-1, NULL, 0);
        if (pid > 0) {
            board_note(thread_board, NOTE_STOLEN, pid);
        } else {
            pause_ms(1); /* no child at the moment */
        }
    }
    return nothing;
}

static int host_beside_a_thief(struct board *board) {
    return supervise_beside_thread(board, wait_for_any_child, 1);
}

static void a_thread_that_waits_for_any_child_takes_no_status(void **state) {
    struct scenario *run = *state;
    if (!kernel_keeps_statuses()) {
        print_message("skipped: this kernel forgets the status of a process reaped by others\n");
        skip();
    }

    scenario_start_host(run, host_beside_a_thief);

    assert_exits(run, 0);
    assert_own_statuses(run->board);
}

/* Whoever is faster has the status, so a normal end may be unknown and lead to a restart. What
 * is told is never wrong, and every end is noticed. */
static int crashes_and_stays(struct board *board, int task_id, int run) {
    return run < RUNS ? 1 + task_id * RUNS + run : ends_on_term(board, task_id, run);
}

static int host_beside_a_thief_without_pidfds(struct board *board) {
    struct host host;
    pthread_t thread;

    thread_board = board;
    host_open(&host, board);
    host.work = crashes_and_stays;
    board_require(board, pf_pool_set_thread_policy(host.pool, PF_THREADS_ALLOW) == 0);
    board_require(board, pf_pool_set_max_restarts(host.pool, PF_UNLIMITED) == 0);
    board_require(board, pthread_create(&thread, NULL, wait_for_any_child, NULL) == 0);
    board_require(board, host_begin(&host, SLOTS) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, SLOTS));
    board_require(board, host_stops(&host) == 0);
    gate_open(board, GATE_END);
    board_require(board, pthread_join(thread, NULL) == 0);
    host_close(&host);
    return 0;
}

static void what_it_took_is_reported_as_unknown(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_beside_a_thief_without_pidfds);

    assert_exits(run, 0);
    for (int task_id = 0; task_id < SLOTS; task_id++) {
        assert_int_equal(board_count(run->board, PF_EVENT_EXITED, task_id), RUNS + 1);
        for (int i = 0; i < RUNS; i++) {
            const struct record *end =
                board_find(run->board, PF_EVENT_EXITED, task_id, (unsigned)i);
            assert_int_equal(end->signal, 0);
            assert_true(end->exit_code == -1 || end->exit_code == 1 + task_id * RUNS + i);
        }
    }
}

/* ---- A pool of another thread ---------------------------------------------------------- */

static void *supervise(void *argument) {
    struct board *board = argument;
    struct host host;

    host_open(&host, board);
    host.work = exits_with_its_own_status;
    board_require(board, pf_pool_set_thread_policy(host.pool, PF_THREADS_ALLOW) == 0);
    board_require(board, pf_pool_set_max_restarts(host.pool, PF_UNLIMITED) == 0);
    board_require(board, host_begin(&host, SLOTS) == 0);
    board_note(board, NOTE_LOOKED, host_finishes(&host));
    host_close(&host);
    return NULL;
}

/* Its workers do not end when that thread does: a third one is begun and ended meanwhile. */
static int host_with_a_pool_in_each_thread(struct board *board) {
    struct board *other = board_new();
    pthread_t threads[2];

    board_require(board, other != NULL);
    board_require(board, pthread_create(&threads[0], NULL, supervise, board) == 0);
    board_require(board, pthread_create(&threads[1], NULL, supervise, other) == 0);
    for (int i = 0; i < 2; i++) {
        board_require(board, pthread_join(threads[i], NULL) == 0);
    }
    board_require(board, board_count(other, KIND_FAULT, ANY_TASK) == 0);
    board_require(board, board_count(other, PF_EVENT_EXITED, ANY_TASK) == SLOTS * (RUNS + 1));
    board_require(board, board_find(other, NOTE_LOOKED, ANY_TASK, 0)->value == 0);
    board_free(other);
    return 0;
}

static void each_thread_may_have_a_pool(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_a_pool_in_each_thread);

    assert_exits(run, 0);
    assert_own_statuses(run->board);
}

/* The kernel sends the death signal when the thread ends that forked. */
static struct host passed_on;

static void *begin_and_leave(void *nothing) {
    board_require(passed_on.board, host_begin(&passed_on, 3) == 0);
    board_require(passed_on.board, host_reaches(&passed_on, KIND_WORKER, ANY_TASK, 3));
    return nothing;
}

static int host_whose_thread_begins(struct board *board) {
    pthread_t thread;

    host_open(&passed_on, board);
    board_require(board, pf_pool_set_thread_policy(passed_on.pool, PF_THREADS_ALLOW) == 0);
    board_require(board, pthread_create(&thread, NULL, begin_and_leave, NULL) == 0);
    board_require(board, pthread_join(thread, NULL) == 0);
    host_goes_on(&passed_on, 100);
    board_require(board, pf_pool_alive_count(passed_on.pool) == 3);
    board_require(board, board_count(board, PF_EVENT_EXITED, ANY_TASK) == 0);
    board_require(board, host_stops(&passed_on) == 0);
    host_close(&passed_on);
    return 0;
}

static void workers_outlive_the_thread_that_began_them(void **state) {
    scenario_start_host(*state, host_whose_thread_begins);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(other_threads_are_refused_while_they_run),
        scenario_test(allowed_they_do_no_harm),
        scenario_test(what_it_took_is_reported_as_unknown),
        scenario_test(each_thread_may_have_a_pool),
        scenario_test(workers_outlive_the_thread_that_began_them),
    };

    /* What only pidfds can do. */
    const struct CMUnitTest tests_of_pidfds[] = {
        scenario_test(a_thread_that_waits_for_any_child_takes_no_status),
    };
    int failed = run_group_with_each_backend("pool and threads", tests);

    if (backend_use(PF_BACKEND_PIDFD)) {
        failed +=
            cmocka_run_group_tests_name("pool and a thief (pidfd)", tests_of_pidfds, NULL, NULL);
    }
    return failed;
}
