/*
 * boot_limit_test.c - a program that cannot start: pf_pool_set_boot_limit()
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { LIMIT = 3, HOUR_MS = 3600000 };

static const char no_child[] = "No child became ready, giving up";

static void begin(struct host *host, int workers) {
    assert_int_equal(pf_pool_set_boot_limit(host->pool, LIMIT), 0);
    assert_int_equal(host_begin(host, workers), 0);
}

static void assert_given_up(struct host *host, unsigned started) {
    assert_int_equal(host_finishes(host), PF_EGAVEUP);
    const struct record *gave_up = board_find(host->board, PF_EVENT_GAVE_UP, ANY_TASK, 0);
    assert_int_equal(gave_up->task_id, -1);
    assert_int_equal(gave_up->error, PF_EGAVEUP);
    assert_string_equal(gave_up->message, no_child);
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 1);
    if (started != 0) {
        assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), started);
    }
    assert_int_equal(board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0)->error, PF_EGAVEUP);
}

/* ---- A program that cannot start ------------------------------------------------------- */

static void a_program_that_ends_at_once_is_tried_so_often(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_min_uptime(host->pool, HOUR_MS), 0);
    begin(host, 1);

    assert_given_up(host, LIMIT);

    const struct record *last = board_find(host->board, PF_EVENT_EXITED, 0, LIMIT - 1);
    assert_int_equal(last->will_restart, 0);
    assert_int_equal(last->restarts, LIMIT - 1);
}

static void the_tries_of_all_slots_are_counted_together(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_min_uptime(host->pool, HOUR_MS), 0);
    begin(host, 8);

    assert_given_up(host, 0);

    unsigned restarted = 0;
    const struct record *end = NULL;
    for (unsigned i = 0; (end = board_find(host->board, PF_EVENT_EXITED, ANY_TASK, i)) != NULL;
         i++) {
        restarted += end->will_restart != 0 ? 1U : 0U;
    }
    assert_int_equal(restarted, LIMIT - 1);
}

static void one_that_exits_normally_and_is_always_restarted_counts_too(void **state) {
    struct host *host = *state;
    host->work = ends_at_once;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_ALWAYS), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, HOUR_MS), 0);
    begin(host, 1);

    assert_given_up(host, LIMIT);
}

static int never_ready(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    while (pause() != 0) {
    }
    return 0;
}

static void one_that_is_not_ready_in_time_counts(void **state) {
    struct host *host = *state;
    host->work = never_ready;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, 20), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, 0), 0); /* has no say then */
    begin(host, 1);

    assert_given_up(host, LIMIT);

    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, 0), LIMIT);
}

static void the_whole_pool_stops_also_where_a_limit_leaves_a_slot_empty(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_DEGRADE), 0);
    begin(host, 4);

    assert_given_up(host, 0);
}

static void without_a_limit_the_restarts_are_the_limit(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_boot_limit(host->pool, 0), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 2 * LIMIT), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 2 * LIMIT + 1);
    assert_string_equal(board_find(host->board, PF_EVENT_GAVE_UP, ANY_TASK, 0)->message,
                        "Too many child restarts, giving up");
}

/* ---- What does not count --------------------------------------------------------------- */

static int serves_as_first(struct board *board, int task_id, int run) {
    if (task_id == 0) {
        board_require(board, pf_worker_ready() == 0);
        return ends_on_term(board, task_id, run);
    }
    gate_wait(board, 0);
    return run < 2 * LIMIT ? 1 : ends_on_term(board, task_id, run);
}

static void assert_one_that_serves_is_enough(struct host *host) {
    host->work = serves_as_first;
    begin(host, 2);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    host_goes_on(host, 20); /* the message is read */
    gate_open(host->board, 0);

    assert_true(host_reaches(host, NOTE_READY, 1, 1));

    assert_int_equal(pf_pool_worker_restarts(host->pool, 1), 2 * LIMIT);
    assert_int_equal(host_stops(host), 0);
}

static void ends_beside_one_that_is_ready_do_not_count(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    host->work = serves_as_first;
    begin(host, 2);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    gate_open(host->board, 0);
    assert_true(host_reaches(host, NOTE_READY, 1, 1));
    assert_int_equal(pf_pool_worker_restarts(host->pool, 1), 2 * LIMIT);
    assert_int_equal(host_stops(host), 0);
}

static void without_a_time_out_saying_so_is_enough(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_min_uptime(host->pool, HOUR_MS), 0);
    assert_one_that_serves_is_enough(host);
}

static void without_a_time_out_a_long_life_is_enough(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_min_uptime(host->pool, 0), 0);
    assert_one_that_serves_is_enough(host);
}

static int is_ready_and_crashes(struct board *board, int task_id, int run) {
    if (run < 2 * LIMIT) {
        board_require(board, pf_worker_ready() == 0);
        return 1;
    }
    return ends_on_term(board, task_id, run);
}

static void a_crash_of_one_that_was_ready_does_not_count(void **state) {
    struct host *host = *state;
    host->work = is_ready_and_crashes;
    begin(host, 1);

    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    assert_int_equal(host_stops(host), 0);
}

/* Two that fail, one that is ready, two that fail, and so on. */
static int is_ready_every_third_time(struct board *board, int task_id, int run) {
    if (run % LIMIT == LIMIT - 1) {
        board_require(board, pf_worker_ready() == 0);
    }
    return run < 3 * LIMIT ? 1 : ends_on_term(board, task_id, run);
}

static void one_that_is_ready_ends_the_row(void **state) {
    struct host *host = *state;
    host->work = is_ready_every_third_time;
    begin(host, 1);

    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    assert_int_equal(host_stops(host), 0);
}

static int crashes_later(struct board *board, int task_id, int run) {
    if (run == 0) {
        board_require(board, pf_worker_ready() == 0);
        return ends_on_term(board, task_id, run);
    }
    return 1;
}

static void replacements_of_a_pool_that_serves_do_not_count(void **state) {
    struct host *host = *state;
    host->work = crashes_later;
    assert_int_equal(pf_pool_set_min_uptime(host->pool, HOUR_MS), 0);
    begin(host, 1);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    for (unsigned i = 1; i <= 2 * LIMIT; i++) {
        assert_int_equal(host_replaces(host, 0), 0);
        assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, i));
    }

    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 0));
    assert_int_equal(host_stops(host), 0);
}

static void a_worker_that_has_finished_does_not_count(void **state) {
    struct host *host = *state;
    host->work = ends_at_once;
    begin(host, 2 * LIMIT);

    assert_int_equal(host_finishes(host), 0);
}

static void a_worker_that_is_not_restarted_does_not_count(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    begin(host, 2 * LIMIT);

    assert_int_equal(host_finishes(host), 0);
}

/* ---- A replacement that is left alone -------------------------------------------------- */

/* Where the old one stops first, the new one is the pool's only hope. */
static void restarts_after_a_failed_replacement_count(void **state) {
    struct host *host = *state;
    host->work = crashes_later;
    assert_int_equal(pf_pool_set_reload_order(host->pool, PF_RELOAD_STOP_FIRST), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, HOUR_MS), 0);
    begin(host, 1);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    assert_int_equal(host_replaces(host, 0), 0);

    /* The old one, the replacement, and its restarts. */
    assert_given_up(host, 2 + LIMIT);
    assert_int_equal(board_count(host->board, PF_EVENT_RELOAD_FAILED, 0), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_program_that_ends_at_once_is_tried_so_often),
        host_test(the_tries_of_all_slots_are_counted_together),
        host_test(one_that_exits_normally_and_is_always_restarted_counts_too),
        host_test(one_that_is_not_ready_in_time_counts),
        host_test(the_whole_pool_stops_also_where_a_limit_leaves_a_slot_empty),
        host_test(without_a_limit_the_restarts_are_the_limit),
        host_test(ends_beside_one_that_is_ready_do_not_count),
        host_test(without_a_time_out_saying_so_is_enough),
        host_test(without_a_time_out_a_long_life_is_enough),
        host_test(a_crash_of_one_that_was_ready_does_not_count),
        host_test(one_that_is_ready_ends_the_row),
        host_test(replacements_of_a_pool_that_serves_do_not_count),
        host_test(a_worker_that_has_finished_does_not_count),
        host_test(a_worker_that_is_not_restarted_does_not_count),
        host_test(restarts_after_a_failed_replacement_count),
    };

    return run_group_with_each_backend("boot limit", tests);
}
