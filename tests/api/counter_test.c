/*
 * counter_test.c - numbers for metrics: pf_pool_counter()
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "forker.h"
#include "host.h"

enum { SHORT_MS = 50 };

static int serves(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    return ends_on_term(board, task_id, run);
}

static void begin(struct host *host, int workers) {
    host->work = host->work == NULL ? serves : host->work;
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, (unsigned)workers));
}

#define assert_counts(host, which, number)                                                         \
    assert_int_equal(pf_pool_counter((host)->pool, which), number)

static void starts_and_ends_are_counted(void **state) {
    struct host *host = *state;
    begin(host, 3);
    assert_counts(host, PF_COUNT_STARTED, 3);
    assert_counts(host, PF_COUNT_READY, 3);
    assert_counts(host, PF_COUNT_ALIVE, 3);
    assert_counts(host, PF_COUNT_EXITED, 0);

    assert_int_equal(kill(host_pid(host, 1, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 1, 2));
    assert_counts(host, PF_COUNT_STARTED, 4);
    assert_counts(host, PF_COUNT_EXITED, 1);
    assert_counts(host, PF_COUNT_ABNORMAL, 1);
    assert_counts(host, PF_COUNT_RESTARTED, 1);
    assert_int_equal(host_stops(host), 0);

    /* After the end, too. */
    assert_counts(host, PF_COUNT_STARTED, 4);
    assert_counts(host, PF_COUNT_EXITED, 4);
    assert_counts(host, PF_COUNT_ABNORMAL, 1);
    assert_counts(host, PF_COUNT_RESTARTED, 1);
    assert_counts(host, PF_COUNT_READY, 0);
    assert_counts(host, PF_COUNT_ALIVE, 0);
}

static void a_reload_does_not_begin_them_anew(void **state) {
    struct host *host = *state;
    begin(host, 2);
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 2));

    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));

    assert_counts(host, PF_COUNT_RELOADS, 1);
    assert_counts(host, PF_COUNT_REPLACE_FAILED, 0);
    assert_counts(host, PF_COUNT_STARTED, 5);
    assert_counts(host, PF_COUNT_RESTARTED, 1); /* replacements are none */
    assert_int_equal(host_stops(host), 0);
}

static int only_the_first_works(struct board *board, int task_id, int run) {
    return run > 0 ? 1 : serves(board, task_id, run);
}

static void replacements_that_fail_are_counted(void **state) {
    struct host *host = *state;
    host->work = only_the_first_works;
    begin(host, 1);
    assert_int_equal(host_replaces(host, 0), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));

    assert_counts(host, PF_COUNT_REPLACE_FAILED, 1);
    assert_counts(host, PF_COUNT_ABNORMAL, 1);
    assert_counts(host, PF_COUNT_RESTARTED, 0);
    assert_int_equal(host_stops(host), 0);
}

static void starts_that_fail_are_all_counted(void **state) {
    struct host *host = *state;
    const struct record *told = NULL;
    assert_int_equal(forker_begin(host, 1), 0);
    for (unsigned n = 1; n <= 3; n++) {
        assert_int_equal(forker_take(host), 0);
        assert_int_equal(pf_pool_fork_prepare(host->pool, 0), 0);
        assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EAGAIN), 0);
        assert_counts(host, PF_COUNT_START_FAILED, n);
    }
    assert_true(forker_reaches(host, KIND_WORKER, 0, 1));

    const struct record *first = board_find(host->board, PF_EVENT_START_FAILED, 0, 0);
    told = board_find(host->board, PF_EVENT_START_FAILED, 0, 1);
    assert_true(told == NULL || told->time_ns - first->time_ns >= 1000000000U); /* one a second */
    assert_counts(host, PF_COUNT_STARTED, 1);
    assert_int_equal(forker_stops(host), 0);
}

static int is_never_ready(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    wait_for_ever();
    return 1;
}

static void workers_that_do_not_respond_are_counted(void **state) {
    struct host *host = *state;
    host->work = is_never_ready;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, SHORT_MS), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 1), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_counts(host, PF_COUNT_UNRESPONSIVE, 2);
    assert_counts(host, PF_COUNT_ABNORMAL, 2);
}

struct seen {
    pf_pool *pool;
    uint64_t started;
};

static void count_in_callback(const pf_event *event, void *user) {
    struct seen *seen = user;

    if (pf_event_type(event) == PF_EVENT_EXITED) {
        seen->started = pf_pool_counter(seen->pool, PF_COUNT_STARTED);
    }
}

static int ends(int task_id, void *user) {
    (void)task_id;
    (void)user;
    return 0;
}

static void a_callback_may_read_them(void **state) {
    struct seen seen = {NULL, 0};
    int task_id = -1;

    (void)state;
    assert_int_equal(pf_pool_new(&seen.pool), 0);
    assert_int_equal(pf_pool_set_workers(seen.pool, 1), 0);
    assert_int_equal(pf_pool_set_worker_fn(seen.pool, ends, NULL, NULL), 0);
    assert_int_equal(pf_pool_set_event_callback(seen.pool, count_in_callback, &seen, NULL), 0);
    assert_int_equal(pf_pool_run(seen.pool, &task_id), 0);

    assert_int_equal(seen.started, 1);
    assert_null(pf_pool_free(seen.pool));
}

static void there_is_nothing_elsewhere(void **state) {
    struct host *host = *state;
    int status = -1;
    assert_int_equal(pf_pool_counter(NULL, PF_COUNT_STARTED), 0);
    assert_counts(host, PF_COUNT_STARTED, 0); /* not started yet */
    begin(host, 1);
    assert_counts(host, 0, 0);
    assert_counts(host, -1, 0);
    assert_counts(host, PF_COUNT_SPARES + 1, 0);

    pid_t child = fork();
    if (child == 0) {
        _exit(pf_pool_counter(host->pool, PF_COUNT_STARTED) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(host_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(starts_and_ends_are_counted),
        host_test(a_reload_does_not_begin_them_anew),
        host_test(replacements_that_fail_are_counted),
        host_test(starts_that_fail_are_all_counted),
        host_test(workers_that_do_not_respond_are_counted),
        host_test(a_callback_may_read_them),
        host_test(there_is_nothing_elsewhere),
    };

    return run_group_with_each_backend("counter", tests);
}
