/*
 * retire_test.c - workers that ask to be replaced: pf_worker_retire()
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
#include "forker.h"
#include "host.h"

enum { NOTE_RESULT = KIND_NOTE, NOTE_RETIRED, RETRY_MS = 1000 };

/* Until the calls are noted, since the pool stops a worker as soon as its replacement is ready. */
static void hold_stop_signal(struct board *board, int how) {
    sigset_t stop;

    board_require(board, sigemptyset(&stop) == 0 && sigaddset(&stop, SIGTERM) == 0);
    board_require(board, sigprocmask(how, &stop, NULL) == 0);
}

static void retire_times(struct board *board, int count) {
    hold_stop_signal(board, SIG_BLOCK);
    for (int i = 0; i < count; i++) {
        board_note(board, NOTE_RETIRED, pf_worker_retire());
    }
    hold_stop_signal(board, SIG_UNBLOCK);
}

static void retire(struct board *board) { retire_times(board, 1); }

/* The first worker of slot 0 retires once it may. */
static int retires_at_first(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    if (task_id == 0 && run == 0) {
        gate_wait(board, 0);
        retire(board);
    }
    return ends_on_term(board, task_id, run);
}

static void begin(struct host *host, int workers) {
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0); /* none of this counts */
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, 0), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, (unsigned)workers));
}

static const struct record *find(const struct host *host, int type, unsigned nth) {
    const struct record *record = board_find(host->board, type, 0, nth);

    assert_non_null(record);
    return record;
}

static void a_new_worker_comes_first_and_does_not_count(void **state) {
    struct host *host = *state;
    host->work = retires_at_first;
    begin(host, 2);
    pid_t old = host_pid(host, 0, 0);

    gate_open(host->board, 0);
    assert_true(board_reaches(host->board, NOTE_READY, 0, 1)); /* it has its handler */
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));

    const struct record *exited = find(host, PF_EVENT_EXITED, 0);
    assert_int_equal(exited->pid, old);
    assert_int_equal(exited->exit_code, 0);
    assert_int_equal(exited->reason, PF_REASON_RETIRE);
    assert_int_equal(find(host, PF_EVENT_STARTED, 1)->reason, PF_REASON_RETIRE);
    assert_true(find(host, PF_EVENT_READY, 1)->time_ns <= exited->time_ns);
    assert_int_equal(find(host, NOTE_RETIRED, 0)->value, 0);
    assert_int_equal(exited->restarts, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 1), 1);
    assert_int_equal(host_stops(host), 0);
}

static int retires_before_it_is_ready(struct board *board, int task_id, int run) {
    if (run == 0) {
        retire(board);
        gate_wait(board, 0);
    }
    board_require(board, pf_worker_ready() == 0);
    return ends_on_term(board, task_id, run);
}

static void one_that_is_not_ready_is_replaced_once_it_is(void **state) {
    struct host *host = *state;
    host->work = retires_before_it_is_ready;
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, 0), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_RETIRED, 0, 1));
    host_goes_on(host, 50);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 1);

    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
    assert_int_equal(find(host, PF_EVENT_EXITED, 0)->reason, PF_REASON_RETIRE);
    assert_int_equal(host_stops(host), 0);
}

static int retires_again_and_again(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    retire_times(board, run == 0 ? 100 : 0);
    return ends_on_term(board, task_id, run);
}

static void a_second_call_has_no_effect(void **state) {
    struct host *host = *state;
    host->work = retires_again_and_again;
    begin(host, 1);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
    host_goes_on(host, 50);

    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(find(host, NOTE_RETIRED, i)->value, 0);
    }
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, 0), 0);
    assert_int_equal(host_stops(host), 0);
}

static void with_stop_first_the_old_one_ends_first(void **state) {
    struct host *host = *state;
    host->work = retires_at_first;
    assert_int_equal(pf_pool_set_reload_order(host->pool, PF_RELOAD_STOP_FIRST), 0);
    begin(host, 1);

    gate_open(host->board, 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 2));

    assert_true(find(host, PF_EVENT_EXITED, 0)->time_ns <=
                find(host, PF_EVENT_STARTED, 1)->time_ns);
    assert_int_equal(find(host, PF_EVENT_STARTED, 1)->reason, PF_REASON_RETIRE);
    assert_int_equal(host_stops(host), 0);
}

/* The second and the third worker fail. */
static int retires_among_failures(struct board *board, int task_id, int run) {
    return run == 1 || run == 2 ? 1 : retires_at_first(board, task_id, run);
}

static void if_the_new_one_fails_the_old_one_stays_and_it_is_tried_again(void **state) {
    struct host *host = *state;
    host->work = retires_among_failures;
    begin(host, 1);
    pid_t old = host_pid(host, 0, 0);
    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 2));
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), old);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_READY);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 3));

    assert_int_equal(find(host, PF_EVENT_EXITED, 2)->pid, old);
    for (unsigned n = 0; n < 2; n++) {
        const struct record *failed = find(host, PF_EVENT_RELOAD_FAILED, n);
        const struct record *next = find(host, PF_EVENT_STARTED, n + 2);
        assert_int_equal(failed->reason, PF_REASON_RETIRE);
        assert_true(next->time_ns - failed->time_ns >= RETRY_MS * 1000000ULL);
    }
    assert_int_equal(board_count(host->board, NOTE_RETIRED, 0), 1);
    assert_int_equal(host_stops(host), 0);
}

static int all_retire_at_first(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    if (run == 0) {
        gate_wait(board, 0);
        retire(board);
    }
    return ends_on_term(board, task_id, run);
}

static void they_are_replaced_one_at_a_time(void **state) {
    enum { SLOTS = 4 };
    struct host *host = *state;
    uint64_t deadline = now_ms() + PATIENCE_MS;
    host->work = all_retire_at_first;
    begin(host, SLOTS);
    gate_open(host->board, 0);

    while (board_count(host->board, PF_EVENT_EXITED, ANY_TASK) < SLOTS) {
        assert_true(now_ms() < deadline);
        assert_true(host_turn(host, 2));
        assert_true(pf_pool_alive_count(host->pool) <= SLOTS + 1);
    }
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 2 * SLOTS);
    assert_int_equal(host_stops(host), 0);
}

static void workers_that_the_host_forks_retire_as_well(void **state) {
    struct host *host = *state;
    host->work = retires_at_first;
    gate_open(host->board, 0);
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, 0), 0);
    assert_int_equal(forker_begin(host, 1), 0);

    assert_true(forker_reaches(host, PF_EVENT_EXITED, 0, 1));

    assert_int_equal(board_find(host->board, PF_EVENT_FORK_WANTED, 0, 1)->reason, PF_REASON_RETIRE);
    assert_int_equal(forker_stops(host), 0);
}

static int retires_at_once(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    board_require(board, pf_worker_retire() == 0);
    return ends_on_term(board, task_id, run);
}

/* Else the pool would replace them without an end, and no limit counts that. */
static void one_that_has_just_started_stays_for_the_minimum_uptime(void **state) {
    enum { UPTIME_MS = 200, ENDS = 3 };
    struct host *host = *state;
    host->work = retires_at_once;
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, UPTIME_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, ENDS));

    for (unsigned n = 0; n < ENDS; n++) {
        assert_int_equal(find(host, PF_EVENT_EXITED, n)->reason, PF_REASON_RETIRE);
        assert_true(find(host, PF_EVENT_EXITED, n)->uptime_ms >= UPTIME_MS);
    }
    assert_int_equal(host_stops(host), 0);
}

static int tries_in_a_child(struct board *board, int task_id, int run) {
    pid_t child = fork();

    if (child == 0) {
        board_note(board, NOTE_RESULT, pf_worker_retire());
        _exit(0);
    }
    board_require(board, waitpid(child, NULL, 0) == child);
    return ends_on_term(board, task_id, run);
}

static void only_workers_themselves_may_call_it(void **state) {
    struct host *host = *state;
    host->work = tries_in_a_child;
    assert_int_equal(pf_worker_retire(), -ECHILD);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(pf_worker_retire(), -ECHILD);

    assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 0)->value, -ECHILD);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 1);
}

static int closes_all(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    for (int fd = 3; fd < 1024; fd++) {
        (void)close(fd);
    }
    retire(board);
    return 0;
}

static void one_that_has_closed_all_cannot(void **state) {
    struct host *host = *state;
    host->work = closes_all;
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(find(host, NOTE_RETIRED, 0)->value, -EBADF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_new_worker_comes_first_and_does_not_count),
        host_test(one_that_is_not_ready_is_replaced_once_it_is),
        host_test(a_second_call_has_no_effect),
        host_test(with_stop_first_the_old_one_ends_first),
        host_test(if_the_new_one_fails_the_old_one_stays_and_it_is_tried_again),
        host_test(they_are_replaced_one_at_a_time),
        host_test(workers_that_the_host_forks_retire_as_well),
        host_test(one_that_has_just_started_stays_for_the_minimum_uptime),
        host_test(only_workers_themselves_may_call_it),
        host_test(one_that_has_closed_all_cannot),
    };

    return run_group_with_each_backend("retire", tests);
}
