/*
 * channel_calls_test.c - messages between workers and their pool that find no memory for a moment
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>

#include "cmocka_all.h"
#include "failing.h"
#include "forker.h"

enum { NOTE_RESULT = KIND_NOTE, NOTE_TRIES, NOTE_STOPPED };

static struct failure no_memory(const char *call, unsigned count) {
    return (struct failure){call, ENOMEM, 1, count, IN_THIS_PROCESS};
}

/* ---- Of workers ---------------------------------------------------------------------------- */

/* A message is tried for a second: once more where this process had no processor for so long. */
static int fails_three_times(struct board *board, int (*message)(void)) {
    struct failure some = no_memory("syscall.pwritev2", 3);
    int result = -EAGAIN;

    for (uint64_t before = 0; result == -EAGAIN && (before == 0 || now_ms() - before >= 900);) {
        before = now_ms();
        failure_begin(&some);
        result = message();
        board_require(board, failure_end() == 3 || result == -EAGAIN);
    }
    return result;
}

static int finds_no_memory(struct board *board, int task_id, int run) {
    struct failure all = no_memory("syscall.pwritev2", 0);
    (void)task_id;
    (void)run;

    failure_begin(&all);
    uint64_t before = now_ms();
    board_note(board, NOTE_RESULT, pf_worker_ready());
    board_require(board, now_ms() - before >= 900);
    board_note(board, NOTE_TRIES, failure_end());
    board_note(board, NOTE_RESULT, fails_three_times(board, pf_worker_ready));
    board_note(board, NOTE_RESULT, fails_three_times(board, pf_worker_heartbeat));
    wait_for_ever();
    return 1;
}

static void a_message_of_a_worker_is_sent_when_there_is_memory(void **state) {
    struct host *host = *state;
    require_failing();
    host->work = finds_no_memory;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reaches(host, NOTE_RESULT, 0, 3));

    assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 0)->value, -EAGAIN);
    assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 1)->value, 0);
    assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 2)->value, 0);
    assert_in_range(board_find(host->board, NOTE_TRIES, 0, 0)->value, 2, 500);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
}

/* ---- Of the supervisor --------------------------------------------------------------------- */

static int ends_by_its_stop_descriptor(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, pf_worker_stop_fd() >= 0);
    board_note(board, NOTE_READY, 0);
    worker_waits_for_stop(board);
    board_note(board, NOTE_STOPPED, 0);
    return 0;
}

static void a_stop_that_finds_no_memory_is_seen_by_the_stop_descriptor(void **state) {
    struct host *host = *state;
    struct failure failure = no_memory("write", 1);
    require_failing();
    host->work = ends_by_its_stop_descriptor;
    assert_int_equal(pf_pool_set_stop(host->pool, 0, 0), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(pf_pool_stop(host->pool), 0);

    failure_begin(&failure);
    (void)host_turn(host, 0);
    assert_int_equal(failure_end(), 1);

    assert_true(host_reaches(host, NOTE_STOPPED, 0, 1));
    assert_int_equal(host_finishes(host), 0);
}

static void a_child_that_cannot_be_admitted_is_killed(void **state) {
    struct host *host = *state;
    struct failure failure = no_memory("write", 1);
    require_failing();
    host->work = ends_on_term;
    assert_int_equal(pf_pool_set_worker_fn(host->pool, NULL, NULL, NULL), 0);
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);

    failure_begin(&failure);
    assert_int_equal(forker_fork(host, 0), 0);
    assert_int_equal(failure_end(), 1);

    assert_true(forker_reaches(host, PF_EVENT_EXITED, 0, 1));
    assert_true(forker_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGKILL);
    assert_int_equal(board_count(host->board, NOTE_REFUSED, 0), 0);
    assert_int_equal(forker_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_message_of_a_worker_is_sent_when_there_is_memory),
        host_test(a_stop_that_finds_no_memory_is_seen_by_the_stop_descriptor),
        host_test(a_child_that_cannot_be_admitted_is_killed),
    };

    return run_group_with_each_backend("messages without memory", tests);
}
