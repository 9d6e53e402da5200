/*
 * pool_backoff_test.c - delays before restarts: they grow, differ, and begin anew
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

/* The delay that the event tells is from half of the whole to the whole. */
static void assert_delay(const struct record *end, uint64_t whole_ms) {
    assert_non_null(end);
    assert_int_equal(end->will_restart, 1);
    assert_in_range(end->delay_ms, whole_ms / 2, whole_ms);
}

/* The next start of the slot came when the delay was over, which is told rounded up. */
static void assert_started_after(const struct record *end, const struct record *started) {
    assert_non_null(started);
    assert_true(started->time_ns - end->time_ns + 1000000 > end->delay_ms * 1000000);
}

static void delays_double_up_to_the_largest(void **state) {
    enum { FIRST_MS = 8, MAX_MS = 64, CRASHES = 6, SLOTS = 3 };
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_backoff(host->pool, FIRST_MS, MAX_MS), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);

    for (int i = 0; i < SLOTS; i++) {
        assert_true(host_reaches(host, PF_EVENT_STARTED, i, CRASHES + 1));
    }

    assert_int_equal(host_stops(host), 0);
    for (int task_id = 0; task_id < SLOTS; task_id++) {
        uint64_t whole_ms = 0;
        for (unsigned i = 0; i < CRASHES; i++) {
            const struct record *end = board_find(host->board, PF_EVENT_EXITED, task_id, i);
            /* One that waited so long for a processor has lived long. */
            bool first = i == 0 || end->uptime_ms >= MAX_MS;
            whole_ms = first ? FIRST_MS : 2 * whole_ms;
            whole_ms = whole_ms > MAX_MS ? MAX_MS : whole_ms;
            assert_delay(end, whole_ms);
            assert_started_after(end, board_find(host->board, PF_EVENT_STARTED, task_id, i + 1));
        }
    }
}

static void delays_differ_between_slots(void **state) {
    enum { SLOTS = 40, WHOLE_MS = 100000 };
    struct host *host = *state;
    unsigned above_middle = 0;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_backoff(host->pool, WHOLE_MS, WHOLE_MS), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, ANY_TASK, SLOTS));

    for (int i = 0; i < SLOTS; i++) {
        const struct record *end = board_find(host->board, PF_EVENT_EXITED, i, 0);
        assert_delay(end, WHOLE_MS);
        above_middle += end->delay_ms > WHOLE_MS / 4 * 3 ? 1 : 0;
    }
    assert_in_range(above_middle, 3, SLOTS - 3); /* all but once in a hundred million runs */
}

static uint64_t first_delay_ms(struct board *board) {
    struct host host;
    uint64_t delay_ms = 0;

    host_open(&host, board);
    host.work = crashes_at_once;
    assert_int_equal(pf_pool_set_backoff(host.pool, 1000000000, 1000000000), 0);
    assert_int_equal(host_begin(&host, 1), 0);
    if (host_reaches(&host, PF_EVENT_EXITED, 0, 1)) {
        delay_ms = board_find(board, PF_EVENT_EXITED, 0, 0)->delay_ms;
    }
    host_close(&host);
    return delay_ms;
}

static void delays_differ_between_pools(void **state) {
    struct scenario another;
    const struct host *host = *state;
    assert_true(scenario_open(&another));

    uint64_t one_ms = first_delay_ms(host->board);
    uint64_t other_ms = first_delay_ms(another.board);

    assert_true(scenario_close(&another));
    assert_true(one_ms > 0 && other_ms > 0);
    assert_true(one_ms != other_ms); /* drawn from half a billion */
}

static void a_life_as_long_as_the_largest_delay_begins_anew(void **state) {
    enum { FIRST_MS = 10, MAX_MS = 160 };
    struct host *host = *state;
    uint64_t whole_ms = 0;
    assert_int_equal(pf_pool_set_backoff(host->pool, FIRST_MS, MAX_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);

    for (unsigned i = 0; i < 5; i++) {
        assert_true(host_reaches(host, KIND_WORKER, 0, i + 1));
        if (i == 3) {
            host_goes_on(host, MAX_MS + 10);
        }
        assert_int_equal(kill(host_pid(host, 0, i), SIGKILL), 0);
        assert_true(host_reaches(host, PF_EVENT_EXITED, 0, i + 1));
        const struct record *end = board_find(host->board, PF_EVENT_EXITED, 0, i);
        whole_ms = end->uptime_ms >= MAX_MS || i == 0 ? FIRST_MS : 2 * whole_ms;
        assert_delay(end, whole_ms);
        assert_true(i != 3 || end->uptime_ms >= MAX_MS);
    }
}

static void without_backoff_restarts_are_at_once(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_backoff(host->pool, 1000, 2000), 0);
    assert_int_equal(pf_pool_set_backoff(host->pool, 0, 0), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 20), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, i)->delay_ms, 0);
    }
}

static int crashes_in_slot_0(struct board *board, int task_id, int run) {
    return task_id == 0 ? 1 : ends_on_term(board, task_id, run);
}

static void a_slot_that_crashes_does_not_delay_the_others(void **state) {
    struct host *host = *state;
    const struct record *end = NULL;
    host->work = crashes_in_slot_0;
    assert_int_equal(pf_pool_set_backoff(host->pool, 4, 3600000), 0);
    assert_int_equal(host_begin(host, 4), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 3));
    /* A new one: the delay of one that is on the board may be over. */
    for (unsigned i = board_count(host->board, PF_EVENT_EXITED, 0);
         end == NULL || end->delay_ms < 500; i++) {
        assert_true(host_reaches(host, PF_EVENT_EXITED, 0, i + 1));
        end = board_find(host->board, PF_EVENT_EXITED, 0, i);
    }
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_BACKOFF);

    for (int i = 1; i < 4; i++) {
        assert_int_equal(kill(host_pid(host, i, 0), SIGKILL), 0);
    }

    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 6));
    for (int i = 1; i < 4; i++) {
        assert_in_range(board_find(host->board, PF_EVENT_EXITED, i, 0)->delay_ms, 2, 4);
        assert_int_equal(pf_pool_worker_restarts(host->pool, i), 1);
    }
    assert_int_equal(host_stops(host), 0);
}

static void a_delay_runs_from_the_end_and_not_from_the_dispatch_before(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_backoff(host->pool, 100, 100), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, KIND_WORKER, 0, 1));
    uint64_t end_ms = now_ms() + 150;
    while (now_ms() < end_ms) {
        pause_ms(10); /* the host does other things */
    }

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);

    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));
    assert_started_after(board_find(host->board, PF_EVENT_EXITED, 0, 0),
                         board_find(host->board, PF_EVENT_STARTED, 0, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(delays_double_up_to_the_largest),
        host_test(delays_differ_between_slots),
        host_test(delays_differ_between_pools),
        host_test(a_life_as_long_as_the_largest_delay_begins_anew),
        host_test(without_backoff_restarts_are_at_once),
        host_test(a_slot_that_crashes_does_not_delay_the_others),
        host_test(a_delay_runs_from_the_end_and_not_from_the_dispatch_before),
    };

    return run_group_with_each_backend("pool backoff", tests);
}
