/*
 * min_uptime_test.c - how long a worker has to live: pf_pool_set_min_uptime()
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>

#include "cmocka_all.h"
#include "host.h"

enum { SOON_MS = 100, DEFAULT_MS = 1000, HOUR_MS = 3600000 };
#define TRIAL_MS (time_scale() * 1000U) /* in which the test sees a worker run */

static void begin(struct host *host, int workers, uint64_t uptime_ms) {
    assert_int_equal(pf_pool_set_min_uptime(host->pool, uptime_ms), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, (unsigned)workers));
}

static uint64_t since_ms(const struct record *later, const struct record *earlier) {
    return (later->time_ns - earlier->time_ns) / 1000000U;
}

/* ---- A replacement --------------------------------------------------------------------- */

static void a_replacement_takes_over_after_that_time(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    uint64_t shortest_ms = DEFAULT_MS;
    begin(host, 2, SOON_MS);

    /* A busy machine may take more time, but not each time. */
    for (unsigned nth = 0; nth < 10 && shortest_ms >= DEFAULT_MS; nth++) {
        assert_int_equal(pf_pool_reload(host->pool), 0);

        assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, nth + 1));
        const struct record *first = board_find(host->board, PF_EVENT_STARTED, 0, nth + 1);
        const struct record *second = board_find(host->board, PF_EVENT_STARTED, 1, nth + 1);
        const struct record *reloaded = board_find(host->board, PF_EVENT_RELOADED, ANY_TASK, nth);
        assert_true(since_ms(second, first) >= SOON_MS);
        assert_true(since_ms(reloaded, second) >= SOON_MS);
        shortest_ms = since_ms(reloaded, second);
    }
    assert_true(shortest_ms < DEFAULT_MS);
    assert_int_equal(host_stops(host), 0);
}

static void with_none_a_replacement_takes_over_once_it_is_started(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 1, 0);

    assert_int_equal(host_replaces(host, 0), 0);

    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 1));
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->pid, host_pid(host, 0, 0));
    assert_int_equal(host_stops(host), 0);
}

static int is_ready_at_the_gate(struct board *board, int task_id, int run) {
    if (run > 0) {
        gate_wait(board, 0);
        board_require(board, pf_worker_ready() == 0);
    }
    return ends_on_term(board, task_id, run);
}

static void assert_ready_takes_over(struct host *host, int order) {
    host->work = is_ready_at_the_gate;
    assert_int_equal(pf_pool_set_reload_order(host->pool, order), 0);
    begin(host, 1, HOUR_MS);
    assert_int_equal(host_replaces(host, 0), 0);
    assert_true(host_reaches(host, KIND_WORKER, 0, 2));
    host_goes_on(host, 50);
    assert_int_equal(pf_pool_replace_worker(host->pool, 0), -EALREADY);

    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
    assert_true(host_reaches(host, NOTE_READY, 0, 2));
    assert_true(host_reaches_state(host, 0, PF_WORKER_READY));
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 1));
    assert_int_equal(host_replaces(host, 0), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_READY, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

static void a_replacement_that_is_ready_takes_over_at_once(void **state) {
    assert_ready_takes_over(*state, PF_RELOAD_START_FIRST);
}

static void it_does_so_too_where_the_old_one_stops_first(void **state) {
    assert_ready_takes_over(*state, PF_RELOAD_STOP_FIRST);
}

static int ends_at_the_gate_later(struct board *board, int task_id, int run) {
    if (run > 0) {
        gate_wait(board, 0);
        return 0;
    }
    return ends_on_term(board, task_id, run);
}

static void a_replacement_that_ends_before_has_failed(void **state) {
    struct host *host = *state;
    host->work = ends_at_the_gate_later;
    begin(host, 1, HOUR_MS);
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, KIND_WORKER, 0, 2));
    host_goes_on(host, 50);

    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 0));
    assert_int_equal(host_stops(host), 0);
}

/* A supervisor that was stopped does not know whether its workers ran meanwhile. */
static void a_pause_of_the_supervisor_does_not_count_as_life(void **state) {
    struct host *host = *state;
    host->work = ends_at_the_gate_later;
    begin(host, 1, TRIAL_MS);
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, KIND_WORKER, 0, 2));

    pause_ms(TRIAL_MS / 10 * 17);
    assert_true(host_turn(host, 0));
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 0));
    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, 0), 1);
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 0));
    assert_int_equal(host_stops(host), 0);
}

static void a_host_that_is_late_each_time_replaces_all_the_same(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 1, 20);
    assert_int_equal(pf_pool_reload(host->pool), 0);

    uint64_t deadline = now_ms() + PATIENCE_MS;
    while (board_count(host->board, PF_EVENT_RELOADED, ANY_TASK) == 0) {
        assert_true(now_ms() < deadline);
        assert_true(host_turn(host, 0));
        pause_ms(60);
    }

    assert_int_equal(host_stops(host), 0);
}

static void a_ready_time_out_makes_it_wait_for_that_alone(void **state) {
    struct host *host = *state;
    host->work = is_ready_at_the_gate;
    assert_int_equal(pf_pool_set_min_uptime(host->pool, 0), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(host_replaces(host, 0), 0);
    assert_true(host_reaches(host, KIND_WORKER, 0, 2));

    host_goes_on(host, 50);

    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 0));
    gate_open(host->board, 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_int_equal(host_stops(host), 0);
}

/* ---- A normal exit --------------------------------------------------------------------- */

static int ends_normally_twice(struct board *board, int task_id, int run) {
    return run < 2 ? 0 : ends_on_term(board, task_id, run);
}

static void assert_counted(struct host *host, uint64_t uptime_ms, int counted) {
    host->work = ends_normally_twice;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_ALWAYS), 0);
    begin(host, 1, uptime_ms);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 3);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), counted);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 1)->restarts, counted);
    assert_int_equal(host_stops(host), 0);
}

static void a_normal_exit_before_that_time_counts(void **state) {
    assert_counted(*state, HOUR_MS, 2);
}

static void with_none_no_normal_exit_counts(void **state) { assert_counted(*state, 0, 0); }

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_replacement_takes_over_after_that_time),
        host_test(with_none_a_replacement_takes_over_once_it_is_started),
        host_test(a_replacement_that_is_ready_takes_over_at_once),
        host_test(it_does_so_too_where_the_old_one_stops_first),
        host_test(a_replacement_that_ends_before_has_failed),
        host_test(a_pause_of_the_supervisor_does_not_count_as_life),
        host_test(a_host_that_is_late_each_time_replaces_all_the_same),
        host_test(a_ready_time_out_makes_it_wait_for_that_alone),
        host_test(a_normal_exit_before_that_time_counts),
        host_test(with_none_no_normal_exit_counts),
    };

    return run_group_with_each_backend("min uptime", tests);
}
