/*
 * replace_budget_test.c - how many workers are replaced at a time, and what a reload starts
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

enum { SLOTS = 3, DRAIN_MS = 150, LIFETIME_MS = 100, HOUR_MS = 3600000 };
#define TRIAL_MS (time_scale() * 1000U)

static int serves(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    return ends_on_term(board, task_id, run);
}

static void drain(int signal) {
    (void)signal;
    pause_ms(DRAIN_MS);
    _exit(0);
}

/* Takes its time to end. */
static int drains(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, signal(SIGTERM, drain) != SIG_ERR);
    board_require(board, pf_worker_ready() == 0);
    wait_for_ever();
    return 1;
}

static void begin(struct host *host, int order, int width) {
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_reload_order(host->pool, order), 0);
    assert_int_equal(pf_pool_set_replace_width(host->pool, width), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, SLOTS));
}

/* Lets the pool work until so many have ended. Returns how many there were at most. */
static int most_until_ended(struct host *host, unsigned count) {
    uint64_t deadline = now_ms() + PATIENCE_MS;
    int most = 0;

    while (board_count(host->board, PF_EVENT_EXITED, ANY_TASK) < count) {
        assert_true(now_ms() < deadline);
        assert_true(host_turn(host, 2));
        int alive = pf_pool_alive_count(host->pool);
        most = alive > most ? alive : most;
    }
    return most;
}

/* ---- How many ---------------------------------------------------------------------------- */

static void assert_most_in_reloads(struct host *host, int order, int width, int most) {
    host->work = drains;
    begin(host, order, width);
    int seen = 0;

    for (unsigned count = 1; count <= 2 * SLOTS; count++) {
        assert_int_equal(pf_pool_reload(host->pool), 0); /* again and again */
        int now = most_until_ended(host, count);
        seen = now > seen ? now : seen;
    }

    assert_int_equal(seen, most);
    assert_int_equal(host_stops(host), 0);
}

static void one_more_while_old_ones_drain_in_reloads(void **state) {
    assert_most_in_reloads(*state, PF_RELOAD_START_FIRST, 1, SLOTS + 1);
}

static void as_many_more_as_are_replaced_at_a_time(void **state) {
    assert_most_in_reloads(*state, PF_RELOAD_START_FIRST, 2, SLOTS + 2);
}

static void no_more_than_slots_if_the_old_ones_stop_first(void **state) {
    assert_most_in_reloads(*state, PF_RELOAD_STOP_FIRST, 2, SLOTS);
}

/* By the host, for age and by a reload at the same time. */
static void assert_most_for_all_reasons(struct host *host, int order, int most) {
    host->work = drains;
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_lifetime(host->pool, LIFETIME_MS, LIFETIME_MS), 0);
    begin(host, order, 1);

    for (int i = SLOTS; i > 0; i--) {
        int result = pf_pool_replace_worker(host->pool, i - 1);
        assert_true(result == 0 || result == -EALREADY);
    }
    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_int_equal(most_until_ended(host, 4 * SLOTS), most);
    assert_int_equal(host_stops(host), 0);
}

static void all_reasons_share_what_is_allowed(void **state) {
    assert_most_for_all_reasons(*state, PF_RELOAD_START_FIRST, SLOTS + 1);
}

static void all_reasons_stop_old_ones_first_if_chosen(void **state) {
    assert_most_for_all_reasons(*state, PF_RELOAD_STOP_FIRST, SLOTS);
}

static void requests_have_their_turn_in_order(void **state) {
    static const int order[] = {2, 1, 0, 1, 2};
    struct host *host = *state;
    host->work = serves;
    begin(host, PF_RELOAD_START_FIRST, 1);

    assert_int_equal(host_replaces(host, 2), 0);
    assert_int_equal(host_replaces(host, 1), 0);
    assert_int_equal(pf_pool_replace_worker(host->pool, 1), -EALREADY); /* it waits for its turn */
    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(host_reaches(host, PF_EVENT_EXITED, ANY_TASK, 5));
    for (unsigned i = 0; i < 5; i++) {
        const struct record *started =
            board_find(host->board, PF_EVENT_STARTED, ANY_TASK, SLOTS + i);
        assert_int_equal(started->task_id, order[i]);
    }
    assert_int_equal(host_stops(host), 0);
}

static void a_worker_that_says_it_is_ready_is_good_at_once(void **state) {
    struct host *host = *state;
    host->work = serves;
    assert_int_equal(pf_pool_set_min_uptime(host->pool, TRIAL_MS), 0);
    assert_int_equal(host_begin(host, SLOTS), 0); /* without a time-out */
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, SLOTS));

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    const struct record *begun = board_find(host->board, PF_EVENT_RELOADING, ANY_TASK, 0);
    const struct record *over = board_find(host->board, PF_EVENT_RELOADED, ANY_TASK, 0);
    assert_true(over->time_ns - begun->time_ns < SLOTS * UINT64_C(1000000) * TRIAL_MS);
    assert_int_equal(host_stops(host), 0);
}

/* ---- What a reload starts ---------------------------------------------------------------- */

/* Slot 0 crashes until the gate is open, slot 1 finishes. */
static int one_crashes_one_finishes(struct board *board, int task_id, int run) {
    if (task_id == 1 && run == 0) {
        return 0;
    }
    if (task_id == 0 && __atomic_load_n(&board->gates[0], __ATOMIC_ACQUIRE) == 0) {
        return 1;
    }
    return serves(board, task_id, run);
}

static void begin_with_a_slot_without_a_worker(struct host *host, int slot_state) {
    host->work = one_crashes_one_finishes;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 2, 1));
    assert_true(host_reaches_state(host, 0, slot_state));
    assert_true(host_reaches_state(host, 1, PF_WORKER_DONE));
}

static void assert_reload_starts_slot_0(struct host *host, unsigned runs) {
    int restarts = pf_pool_worker_restarts(host->pool, 0);
    gate_open(host->board, 0);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_READY);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), runs + 1);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), restarts);
    assert_int_equal(pf_pool_worker_state(host->pool, 1), PF_WORKER_DONE);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 1), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 2), 2);
    assert_int_equal(board_find(host->board, PF_EVENT_RELOADED, ANY_TASK, 0)->restarts, 0);
    assert_int_equal(host_stops(host), 0); /* nobody is given up any more */
}

static void slots_that_were_given_up_but_not_those_that_are_done(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_DEGRADE), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 2), 0);
    begin_with_a_slot_without_a_worker(host, PF_WORKER_EMPTY);

    assert_reload_starts_slot_0(host, 3);
}

static void slots_in_backoff(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_backoff(host->pool, HOUR_MS, HOUR_MS), 0);
    begin_with_a_slot_without_a_worker(host, PF_WORKER_BACKOFF);

    assert_reload_starts_slot_0(host, 1);
}

static void one_of_them_that_fails_fails_the_reload(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_backoff(host->pool, HOUR_MS, HOUR_MS), 0);
    begin_with_a_slot_without_a_worker(host, PF_WORKER_BACKOFF);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    assert_int_equal(pf_pool_worker_pid(host->pool, 2), host_pid(host, 2, 0));
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_BACKOFF);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 2);
    assert_int_equal(host_stops(host), 0);
}

/* ---- What it does to the limit ----------------------------------------------------------- */

static void the_count_of_restarts_begins_anew(void **state) {
    struct host *host = *state;
    host->work = serves;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 1), 0);
    begin(host, PF_RELOAD_START_FIRST, 1);
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 2));
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(host_reaches(host, PF_EVENT_EXITED, ANY_TASK, SLOTS + 1));

    assert_int_equal(kill(pf_pool_worker_pid(host->pool, 0), SIGKILL), 0);

    assert_true(host_reaches(host, PF_EVENT_READY, 0, 4));
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0)->restarts, 1);
}

static int crashes_later(struct board *board, int task_id, int run) {
    return run == 0 ? serves(board, task_id, run) : 1;
}

static void a_new_one_that_fails_at_the_limit_leaves_its_slot_empty(void **state) {
    struct host *host = *state;
    host->work = crashes_later;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 2), 0);
    begin(host, PF_RELOAD_STOP_FIRST, 1);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    assert_true(host_reaches(host, PF_EVENT_GAVE_UP, 0, 1));
    host_goes_on(host, 50);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_EMPTY);
    for (int i = 1; i < SLOTS; i++) {
        assert_int_equal(pf_pool_worker_pid(host->pool, i), host_pid(host, i, 0));
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_READY);
    }
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(one_more_while_old_ones_drain_in_reloads),
        host_test(as_many_more_as_are_replaced_at_a_time),
        host_test(no_more_than_slots_if_the_old_ones_stop_first),
        host_test(all_reasons_share_what_is_allowed),
        host_test(all_reasons_stop_old_ones_first_if_chosen),
        host_test(requests_have_their_turn_in_order),
        host_test(a_worker_that_says_it_is_ready_is_good_at_once),
        host_test(slots_that_were_given_up_but_not_those_that_are_done),
        host_test(slots_in_backoff),
        host_test(one_of_them_that_fails_fails_the_reload),
        host_test(the_count_of_restarts_begins_anew),
        host_test(a_new_one_that_fails_at_the_limit_leaves_its_slot_empty),
    };

    return run_group_with_each_backend("the budget of replacements", tests);
}
