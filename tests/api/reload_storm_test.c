/*
 * reload_storm_test.c - reloads, restarts, resizes, crashes and ages all at once; in the end the
 * pool is whole, and can be reloaded
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

enum { SLOTS = 6, STEPS = 400, CALM = 0 /* a gate */ };
enum { LIFETIME_MS = 60, STOP_MS = 2000 };

/* The workers' own; each has another start. */
static unsigned next_random(unsigned *state) {
    *state = *state * 1103515245U + 12345U;
    return *state >> 16;
}

/* Every tenth never gets so far as to be ready, every fifth crashes a little later. */
static int lives_dangerously(struct board *board, int task_id, int run) {
    unsigned random = (unsigned)getpid() * 2654435761U;
    unsigned fate = next_random(&random) % 10;
    bool calm = board->gates[CALM] != 0;

    if (!calm && fate == 0) {
        return 1;
    }
    board_require(board, pf_worker_ready() == 0 && pf_worker_heartbeat() == 0);
    if (!calm && fate <= 2) {
        pause_ms(next_random(&random) % 20);
        return fate == 1 ? 2 : 0;
    }
    return ends_on_term(board, task_id, run);
}

static void step(struct host *host, unsigned *random) {
    int slot = (int)(next_random(random) % SLOTS);

    switch (next_random(random) % 6) {
    case 0:
        board_require(host->board, pf_pool_reload(host->pool) == 0);
        break;
    case 1:
        (void)pf_pool_replace_worker(host->pool, slot); /* there may be no such slot now */
        break;
    case 2:
        board_require(host->board, pf_pool_resize(host->pool, slot + 1) == 0);
        break;
    case 3:
        (void)pf_pool_send_signal(host->pool, slot, SIGKILL);
        break;
    default:
        break;
    }
    host_goes_on(host, next_random(random) % 8);
}

/* Slots whose workers ended normally are done until they are wanted again. */
static void become_whole(struct host *host) {
    gate_open(host->board, CALM);
    assert_int_equal(pf_pool_resize(host->pool, SLOTS), 0);
    for (int slot = 0; slot < SLOTS; slot++) {
        assert_true(host_turn(host, 0));
        if (pf_pool_worker_state(host->pool, slot) == PF_WORKER_DONE) {
            assert_int_equal(pf_pool_replace_worker(host->pool, slot), 0);
        }
    }
    /* Those that were started before the calm may still fail; then it is asked for again. */
    unsigned done = board_count(host->board, PF_EVENT_RELOADED, ANY_TASK);
    for (int i = 0; i < 20 && board_count(host->board, PF_EVENT_RELOADED, ANY_TASK) == done; i++) {
        unsigned failed = board_count(host->board, PF_EVENT_RELOAD_FAILED, ANY_TASK);
        uint64_t deadline = now_ms() + PATIENCE_MS;
        assert_int_equal(pf_pool_reload(host->pool), 0);
        while (board_count(host->board, PF_EVENT_RELOADED, ANY_TASK) == done &&
               board_count(host->board, PF_EVENT_RELOAD_FAILED, ANY_TASK) == failed) {
            assert_true(now_ms() < deadline);
            assert_true(host_turn(host, 2));
        }
    }
    assert_true(board_count(host->board, PF_EVENT_RELOADED, ANY_TASK) > done);
}

static void assert_survives(struct host *host, int order, int width, unsigned seed) {
    unsigned random = seed;
    host->work = lives_dangerously;
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_lifetime(host->pool, LIFETIME_MS, LIFETIME_MS), 0);
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, STOP_MS), 0);
    assert_int_equal(pf_pool_set_reload_order(host->pool, order), 0);
    assert_int_equal(pf_pool_set_replace_width(host->pool, width), 0);
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_ALWAYS), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);

    for (int i = 0; i < STEPS; i++) {
        step(host, &random);
        assert_int_equal(host->result, 1);
    }
    become_whole(host);
    for (int slot = 0; slot < SLOTS; slot++) {
        assert_true(host_reaches_state(host, slot, PF_WORKER_READY));
    }
    assert_int_equal(host_stops(host), 0);
}

static void new_ones_first(void **state) { assert_survives(*state, PF_RELOAD_START_FIRST, 1, 1); }

static void new_ones_first_three_at_a_time(void **state) {
    assert_survives(*state, PF_RELOAD_START_FIRST, 3, 2);
}

static void old_ones_stop_first(void **state) {
    assert_survives(*state, PF_RELOAD_STOP_FIRST, 1, 3);
}

static void old_ones_stop_first_three_at_a_time(void **state) {
    assert_survives(*state, PF_RELOAD_STOP_FIRST, 3, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(new_ones_first),
        host_test(new_ones_first_three_at_a_time),
        host_test(old_ones_stop_first),
        host_test(old_ones_stop_first_three_at_a_time),
    };

    return run_group_with_each_backend("reload storm", tests);
}
