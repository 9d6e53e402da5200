/*
 * lifetime_test.c - workers that are replaced for their age: pf_pool_set_lifetime()
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { LIFETIME_MS = 300, TRIAL_MS = 200, RETRY_MS = 1000 };
#define JITTER_MS (time_scale() * 900U)

static void exit_normally(int signal) {
    (void)signal;
    _exit(0);
}

/* Who is ready may be asked to stop at once. */
static int serves(struct board *board, int task_id, int run) {
    board_require(board, signal(SIGTERM, exit_normally) != SIG_ERR);
    board_require(board, pf_worker_ready() == 0);
    return ends_on_term(board, task_id, run);
}

static void begin(struct host *host, int workers, uint64_t max_ms, uint64_t jitter_ms) {
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0); /* none of this counts */
    assert_int_equal(pf_pool_set_lifetime(host->pool, max_ms, jitter_ms), 0);
    assert_int_equal(host_begin(host, workers), 0);
}

static void expect_ready(const struct host *host) {
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
}

static uint64_t since_ms(const struct record *later, const struct record *earlier) {
    return (later->time_ns - earlier->time_ns) / 1000000U;
}

/* From the start of a new one to its being ready, no other is started. */
static void assert_one_at_a_time(const struct host *host, int workers) {
    int32_t under_way = 0;
    int started = 0;

    for (uint32_t i = 0; i < host->board->used; i++) {
        const struct record *record = &host->board->records[i];
        if (record->kind == PF_EVENT_STARTED && ++started > workers) {
            assert_int_equal(under_way, 0);
            under_way = record->pid;
        } else if (record->kind == PF_EVENT_READY && record->pid == under_way) {
            under_way = 0;
        }
    }
}

static void all_are_replaced_in_turn_and_again(void **state) {
    enum { SLOTS = 4 };
    struct host *host = *state;
    host->work = serves;
    expect_ready(host);
    begin(host, SLOTS, LIFETIME_MS, 0);

    for (int i = 0; i < SLOTS; i++) {
        assert_true(host_reaches(host, PF_EVENT_EXITED, i, 2));
        assert_true(pf_pool_alive_count(host->pool) >= SLOTS);
    }
    assert_int_equal(host_stops(host), 0);

    assert_one_at_a_time(host, SLOTS);
    for (int i = 0; i < SLOTS; i++) {
        for (unsigned n = 0; n < 2; n++) {
            const struct record *ready = board_find(host->board, PF_EVENT_READY, i, n);
            const struct record *next = board_find(host->board, PF_EVENT_READY, i, n + 1);
            const struct record *exited = board_find_pid(host->board, PF_EVENT_EXITED, ready->pid);
            assert_true(since_ms(next, ready) >= LIFETIME_MS);
            assert_true(exited->time_ns >= next->time_ns); /* not before the new one is ready */
            assert_int_equal(exited->exit_code, 0);
            assert_int_equal(exited->will_restart, 0);
        }
    }
    assert_int_equal(board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0)->restarts, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_RELOADING, ANY_TASK), 0);
}

static void jitter_spreads_them(void **state) {
    enum { SLOTS = 16 };
    struct host *host = *state;
    host->work = serves;
    expect_ready(host);
    begin(host, SLOTS, LIFETIME_MS, JITTER_MS);

    for (int i = 0; i < SLOTS; i++) {
        assert_true(host_reaches(host, PF_EVENT_STARTED, i, 2));
    }
    assert_int_equal(host_stops(host), 0);

    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (int i = 0; i < SLOTS; i++) {
        uint64_t age = since_ms(board_find(host->board, PF_EVENT_STARTED, i, 1),
                                board_find(host->board, PF_EVENT_READY, i, 0));
        least = age < least ? age : least;
        most = age > most ? age : most;
    }
    assert_true(least >= LIFETIME_MS);
    assert_true(most - least >= JITTER_MS / 4); /* by chance less: once in 10^8 runs */
    assert_one_at_a_time(host, SLOTS);
}

static void without_a_ready_time_out_the_new_one_is_on_trial(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(pf_pool_set_min_uptime(host->pool, TRIAL_MS), 0);
    begin(host, 1, LIFETIME_MS, 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));

    const struct record *first = board_find(host->board, PF_EVENT_STARTED, 0, 0);
    const struct record *second = board_find(host->board, PF_EVENT_STARTED, 0, 1);
    const struct record *exited = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(exited->pid, first->pid);
    assert_true(since_ms(second, first) >= LIFETIME_MS);
    assert_true(since_ms(exited, second) >= TRIAL_MS);
    assert_int_equal(host_stops(host), 0);
}

static void without_a_lifetime_they_stay(void **state) {
    struct host *host = *state;
    host->work = serves;
    expect_ready(host);
    begin(host, 2, 0, 0);
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, 2));

    host_goes_on(host, 2 * LIFETIME_MS);

    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 2);
    assert_int_equal(host_stops(host), 0);
}

/* Works at first, and again once the gate is open. */
static int fails_meanwhile(struct board *board, int task_id, int run) {
    if (run == 1 || run == 2) {
        return 1;
    }
    return serves(board, task_id, run);
}

static void one_that_fails_leaves_the_old_one_and_is_tried_again(void **state) {
    struct host *host = *state;
    host->work = fails_meanwhile;
    expect_ready(host);
    begin(host, 1, LIFETIME_MS, 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 2));
    pid_t old = host_pid(host, 0, 0);
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), old);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_READY);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 3));

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 2)->pid, old);
    for (unsigned n = 0; n < 2; n++) {
        const struct record *failed = board_find(host->board, PF_EVENT_RELOAD_FAILED, 0, n);
        const struct record *next = board_find(host->board, PF_EVENT_STARTED, 0, n + 2);
        assert_true(since_ms(next, failed) >= RETRY_MS);
        assert_int_equal(failed->restarts, 0);
    }
    assert_int_equal(host_stops(host), 0);
}

static void with_a_backoff_it_is_tried_again_after_that(void **state) {
    struct host *host = *state;
    host->work = fails_meanwhile;
    expect_ready(host);
    assert_int_equal(pf_pool_set_backoff(host->pool, 2 * RETRY_MS, 2 * RETRY_MS), 0);
    begin(host, 1, LIFETIME_MS, 0);

    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 3));

    const struct record *failed = board_find(host->board, PF_EVENT_RELOAD_FAILED, 0, 0);
    const struct record *next = board_find(host->board, PF_EVENT_STARTED, 0, 2);
    assert_true(since_ms(next, failed) >= 2 * RETRY_MS);
    assert_int_equal(host_stops(host), 0);
}

static void a_stop_ends_both(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(pf_pool_set_min_uptime(host->pool, PATIENCE_MS), 0);
    begin(host, 1, LIFETIME_MS, 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 2));
    assert_int_equal(pf_pool_alive_count(host->pool), 2);

    assert_int_equal(host_stops(host), 0);

    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, 0), 2);
}

static void the_settings_have_limits(void **state) {
    const struct host *host = *state;
    pf_pool *pool = host->pool;
    const uint64_t too_long = UINT64_MAX / 1000000U;

    assert_int_equal(pf_pool_set_lifetime(pool, 0, 1), -EINVAL); /* jitter of nothing */
    assert_int_equal(pf_pool_set_lifetime(pool, too_long, 0), -EINVAL);
    assert_int_equal(pf_pool_set_lifetime(pool, 1, too_long), -EINVAL);
    assert_int_equal(pf_pool_set_ready_timeout(pool, too_long), -EINVAL);
    assert_int_equal(pf_pool_set_heartbeat_timeout(pool, too_long), -EINVAL);
    assert_int_equal(pf_pool_set_reload_order(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_reload_order(pool, 2), -EINVAL);
    assert_int_equal(pf_pool_set_replace_width(pool, 0), -EINVAL);
    assert_int_equal(pf_pool_set_replace_width(pool, 65537), -EINVAL);
    assert_int_equal(pf_pool_set_lifetime(NULL, 1, 1), -EINVAL);
    assert_int_equal(pf_pool_set_ready_timeout(NULL, 1), -EINVAL);
    assert_int_equal(pf_pool_set_heartbeat_timeout(NULL, 1), -EINVAL);
    assert_int_equal(pf_pool_set_reload_order(NULL, 0), -EINVAL);
    assert_int_equal(pf_pool_set_replace_width(NULL, 1), -EINVAL);

    assert_int_equal(pf_pool_set_lifetime(pool, too_long / 2, too_long / 2), 0);
    assert_int_equal(pf_pool_set_ready_timeout(pool, too_long / 2), 0);
    assert_int_equal(pf_pool_set_heartbeat_timeout(pool, too_long / 2), 0);
    assert_int_equal(pf_pool_set_reload_order(pool, PF_RELOAD_STOP_FIRST), 0);
    assert_int_equal(pf_pool_set_replace_width(pool, 65536), 0);

    assert_int_equal(pf_pool_set_workers(pool, 1), 0);
    assert_int_equal(pf_pool_start(pool), 0);
    assert_int_equal(pf_pool_set_lifetime(pool, 1, 1), -EBUSY);
    assert_int_equal(pf_pool_set_ready_timeout(pool, 1), -EBUSY);
    assert_int_equal(pf_pool_set_heartbeat_timeout(pool, 1), -EBUSY);
    assert_int_equal(pf_pool_set_reload_order(pool, 0), -EBUSY);
    assert_int_equal(pf_pool_set_replace_width(pool, 1), -EBUSY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(all_are_replaced_in_turn_and_again),
        host_test(jitter_spreads_them),
        host_test(without_a_ready_time_out_the_new_one_is_on_trial),
        host_test(without_a_lifetime_they_stay),
        host_test(one_that_fails_leaves_the_old_one_and_is_tried_again),
        host_test(with_a_backoff_it_is_tried_again_after_that),
        host_test(a_stop_ends_both),
        host_test(the_settings_have_limits),
    };

    return run_group_with_each_backend("lifetime", tests);
}
