/*
 * pool_several_test.c - several pools in one process know nothing of each other
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"
#include "story.h"

enum { POOLS = 3, SLOTS = 4 };

/* The first is the fixture's, the others have boards of their own. */
static struct host hosts[POOLS];

static void open_all(const struct host *first) {
    hosts[0] = *first;
    for (int i = 1; i < POOLS; i++) {
        struct board *board = board_new();
        assert_non_null(board);
        host_open(&hosts[i], board);
    }
}

static void close_all(struct host *first) {
    bool good = true;

    for (int i = 1; i < POOLS; i++) {
        char complaint[256];
        host_close(&hosts[i]);
        if (!story_is_true(hosts[i].board, complaint, sizeof(complaint)) ||
            board_count(hosts[i].board, KIND_FAULT, ANY_TASK) > 0) {
            board_print(hosts[i].board);
            good = false;
        }
        board_free(hosts[i].board);
    }
    first->result = hosts[0].result;
    assert_true(good);
}

static void begin_all(void) {
    for (int i = 0; i < POOLS; i++) {
        assert_int_equal(pf_pool_set_max_restarts(hosts[i].pool, PF_UNLIMITED), 0);
        assert_int_equal(host_begin(&hosts[i], SLOTS), 0);
        assert_true(host_reaches(&hosts[i], KIND_WORKER, ANY_TASK, SLOTS));
    }
}

/* One loop for all: each pool is dispatched when its own descriptor says so. */
static void turn_all(unsigned milliseconds) {
    uint64_t end = now_ms() + milliseconds;

    while (now_ms() < end) {
        struct pollfd fds[POOLS];
        for (int i = 0; i < POOLS; i++) {
            fds[i] = (struct pollfd){.fd = pf_pool_fd(hosts[i].pool), .events = POLLIN};
        }
        if (poll(fds, POOLS, 5) <= 0) {
            continue; /* nothing, or a signal */
        }
        for (int i = 0; i < POOLS; i++) {
            if (fds[i].revents != 0) {
                (void)host_turn(&hosts[i], 0);
            }
        }
    }
}

static void each_pool_reports_of_its_own_workers_only(void **state) {
    struct host *first = *state;
    open_all(first);
    begin_all();

    for (unsigned round = 0; round < 5; round++) {
        for (int i = 0; i < POOLS; i++) {
            pid_t pid = pf_pool_worker_pid(hosts[i].pool, (int)round % SLOTS);
            assert_true(pid > 0);
            assert_int_equal(kill(pid, SIGKILL), 0);
        }
        for (uint64_t deadline = now_ms() + PATIENCE_MS; now_ms() < deadline;) {
            turn_all(10);
            unsigned all = 0;
            for (int i = 0; i < POOLS; i++) {
                all += board_count(hosts[i].board, PF_EVENT_STARTED, ANY_TASK);
            }
            if (all == POOLS * (SLOTS + round + 1)) {
                break;
            }
        }
    }

    for (int i = 0; i < POOLS; i++) {
        assert_int_equal(board_count(hosts[i].board, PF_EVENT_EXITED, ANY_TASK), 5);
        assert_int_equal(board_count(hosts[i].board, PF_EVENT_STARTED, ANY_TASK), SLOTS + 5);
        for (int j = 0; j < i; j++) {
            const struct record *started = NULL;
            for (unsigned n = 0;
                 (started = board_find(hosts[i].board, PF_EVENT_STARTED, ANY_TASK, n)) != NULL;
                 n++) {
                assert_null(board_find_pid(hosts[j].board, PF_EVENT_STARTED, started->pid));
            }
        }
    }
    close_all(first);
}

static void the_end_of_one_is_not_that_of_the_others(void **state) {
    struct host *first = *state;
    open_all(first);
    begin_all();

    assert_int_equal(host_stops(&hosts[1]), 0);
    host_close(&hosts[2]);
    turn_all(30);

    assert_int_equal(pf_pool_alive_count(hosts[0].pool), SLOTS);
    assert_int_equal(board_count(hosts[0].board, PF_EVENT_EXITED, ANY_TASK), 0);
    assert_int_equal(kill(host_pid(&hosts[0], 2, 0), SIGKILL), 0);
    assert_true(host_reaches(&hosts[0], KIND_WORKER, 2, 2));
    assert_int_equal(host_stops(&hosts[0]), 0);
    close_all(first);
}

static int host_of_three(struct board *board) {
    struct host first;

    host_open(&first, board);
    hosts[0] = first;
    for (int i = 1; i < POOLS; i++) {
        struct board *other = board_new();
        board_require(board, other != NULL);
        host_open(&hosts[i], other);
    }
    for (int i = 0; i < POOLS; i++) {
        board_require(board, host_begin(&hosts[i], SLOTS) == 0);
        board_require(board, host_reaches(&hosts[i], KIND_WORKER, ANY_TASK, SLOTS));
    }
    _exit(0);
}

/* A worker of one pool has no descriptor of another, which would keep it from noticing. */
static void no_worker_of_any_outlives_the_supervisor(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_of_three);

    assert_exits(run, 0);
    assert_int_equal(reap_all(), POOLS * SLOTS); /* they come to this process */
}

/* ---- One from within another ----------------------------------------------------------- */

static void dispatch_second(const pf_event *event, void *user) {
    struct host *pair = user;

    board_note_event(pair[0].board, event);
    board_require(pair[0].board, pf_pool_dispatch(pair[0].pool, 0) == -EBUSY);
    (void)host_turn(&pair[1], 0);
}

static void a_callback_may_dispatch_another_pool(void **state) {
    struct host *first = *state;
    first->work = crashes_at_once;
    open_all(first);
    assert_int_equal(pf_pool_set_event_callback(hosts[0].pool, dispatch_second, hosts, NULL), 0);
    hosts[1].work = crashes_at_once;
    assert_int_equal(pf_pool_set_max_restarts(hosts[0].pool, 20), 0);
    assert_int_equal(pf_pool_set_max_restarts(hosts[1].pool, 10), 0);
    assert_int_equal(host_begin(&hosts[0], 1), 0);
    assert_int_equal(host_begin(&hosts[1], 1), 0);

    int result = host_finishes(&hosts[0]);

    assert_int_equal(result, PF_EGAVEUP);
    assert_int_equal(host_finishes(&hosts[1]), PF_EGAVEUP);
    assert_int_equal(board_count(hosts[0].board, PF_EVENT_EXITED, ANY_TASK), 21);
    assert_int_equal(board_count(hosts[1].board, PF_EVENT_EXITED, ANY_TASK), 11);
    close_all(first);
}

/* ---- Many ------------------------------------------------------------------------------ */

enum { MANY = 1024 };

static int nothing_to_do(int task_id, void *user) {
    (void)task_id;
    (void)user;
    return 0;
}

static pf_pool *begin_one(struct board *board, int *ret_result) {
    pf_pool *pool = NULL;

    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_backend(pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, nothing_to_do, NULL, NULL) == 0);
    board_require(board, pf_pool_set_workers(pool, 1) == 0);
    *ret_result = pf_pool_start(pool);
    return pool;
}

static int host_of_many(struct board *board) {
    static pf_pool *pools[MANY];
    struct rlimit limit = {.rlim_cur = 8 * MANY, .rlim_max = 8 * MANY};
    int result = 0;

    board_require(board, setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (int i = 0; i < MANY; i++) {
        pools[i] = begin_one(board, &result);
        board_require(board, result == 0);
    }
    pf_pool *more = begin_one(board, &result);
    board_require(board, result < 0);
    pools[7] = pf_pool_free(pools[7]);
    board_require(board, pf_pool_start(more) == 0);
    /* All of them work, the last too. */
    do {
        result = pf_pool_dispatch(more, -1);
    } while (result == 1);
    for (const pf_event *event = NULL; pf_pool_next_event(more, &event) == 1;) {
        board_note(board, KIND_NOTE, pf_event_type(event));
    }
    board_require(board, result == 0);
    board_require(board, board_count(board, KIND_NOTE, ANY_TASK) == 4);
    (void)pf_pool_free(more);
    for (int i = 0; i < MANY; i++) {
        (void)pf_pool_free(pools[i]);
    }
    return 0;
}

static void there_may_be_a_thousand(void **state) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 6 * MANY && geteuid() != 0) {
        print_message("skipped: too few descriptors are allowed for so many pools\n");
        skip();
    }

    scenario_start_host(*state, host_of_many);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(each_pool_reports_of_its_own_workers_only),
        host_test(the_end_of_one_is_not_that_of_the_others),
        scenario_test(no_worker_of_any_outlives_the_supervisor),
        host_test(a_callback_may_dispatch_another_pool),
        scenario_test(there_may_be_a_thousand),
    };

    return run_group_with_each_backend("several pools", tests);
}
