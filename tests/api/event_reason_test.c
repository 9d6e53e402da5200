/*
 * event_reason_test.c - why workers are started and ended: pf_event_reason()
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "forker.h"
#include "host.h"

enum { NOTE_SENT = KIND_NOTE };
enum { SHORT_MS = 50, LIFETIME_MS = 100, BEAT_TIMEOUT_MS = SANITIZED ? 800 : 300 };

static int serves(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    return ends_on_term(board, task_id, run);
}

static int fails_at_first(struct board *board, int task_id, int run) {
    return run == 0 ? 1 : ends_on_term(board, task_id, run);
}

/* The reason of the nth event of a type and slot; -1: there is no such event. */
static int reason(const struct host *host, int type, int task_id, unsigned nth) {
    const struct record *record = board_find(host->board, type, task_id, nth);

    return record == NULL ? -1 : record->reason;
}

static void begin_serving(struct host *host, int workers) {
    host->work = serves;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, (unsigned)workers));
}

/* ---- Starts and ends ------------------------------------------------------------------- */

static void start_restart_and_stop(void **state) {
    struct host *host = *state;
    host->work = fails_at_first;
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(host_stops(host), 0);

    assert_int_equal(reason(host, PF_EVENT_STARTING, ANY_TASK, 0), PF_REASON_NONE);
    assert_int_equal(reason(host, PF_EVENT_STARTED, 0, 0), PF_REASON_START);
    assert_int_equal(reason(host, PF_EVENT_EXITED, 0, 0), PF_REASON_NONE);
    assert_int_equal(reason(host, PF_EVENT_STARTED, 0, 1), PF_REASON_RESTART);
    assert_int_equal(reason(host, PF_EVENT_STOPPING, ANY_TASK, 0), PF_REASON_STOP);
    assert_int_equal(reason(host, PF_EVENT_EXITED, 0, 1), PF_REASON_STOP);
    assert_int_equal(reason(host, PF_EVENT_DONE, ANY_TASK, 0), PF_REASON_STOP);
}

static void a_pool_that_finishes_has_none(void **state) {
    struct host *host = *state;
    host->work = ends_at_once;
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(reason(host, PF_EVENT_EXITED, 0, 0), PF_REASON_NONE);
    assert_int_equal(reason(host, PF_EVENT_DONE, ANY_TASK, 0), PF_REASON_NONE);
}

static void kill_after_the_time_out(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, SHORT_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(host_stops(host), 0);

    assert_int_equal(reason(host, PF_EVENT_KILLED, 0, 0), PF_REASON_STOP);
    assert_int_equal(reason(host, PF_EVENT_EXITED, 0, 0), PF_REASON_STOP);
}

static void resize(void **state) {
    struct host *host = *state;
    begin_serving(host, 1);
    assert_int_equal(pf_pool_resize(host->pool, 2), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 1, 1));
    assert_int_equal(pf_pool_resize(host->pool, 1), 0);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 1));

    assert_int_equal(reason(host, PF_EVENT_STARTED, 1, 0), PF_REASON_RESIZE);
    assert_int_equal(reason(host, PF_EVENT_EXITED, 1, 0), PF_REASON_RESIZE);
    assert_int_equal(host_stops(host), 0);
}

static void a_host_that_forks(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EAGAIN), 0);
    assert_true(forker_reaches(host, KIND_WORKER, 0, 1));
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(forker_reaches(host, KIND_WORKER, 0, 2));

    assert_int_equal(reason(host, PF_EVENT_FORK_WANTED, 0, 0), PF_REASON_START);
    assert_int_equal(reason(host, PF_EVENT_START_FAILED, 0, 0), PF_REASON_START);
    assert_int_equal(reason(host, PF_EVENT_FORK_WANTED, 0, 1), PF_REASON_START);
    assert_int_equal(reason(host, PF_EVENT_STARTED, 0, 0), PF_REASON_START);
    assert_int_equal(reason(host, PF_EVENT_FORK_WANTED, 0, 2), PF_REASON_RESTART);
    assert_int_equal(forker_stops(host), 0);
}

/* ---- Replacements ---------------------------------------------------------------------- */

static void assert_replaced(struct host *host, int expected) {
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
    assert_int_equal(reason(host, PF_EVENT_STARTED, 0, 1), expected);
    assert_int_equal(reason(host, PF_EVENT_EXITED, 0, 0), expected);
    assert_int_equal(host_stops(host), 0);
}

static void replacement_by_the_host(void **state) {
    struct host *host = *state;
    begin_serving(host, 1);
    assert_int_equal(host_replaces(host, 0), 0);
    assert_replaced(host, PF_REASON_REPLACE);
}

static void reload(void **state) {
    struct host *host = *state;
    begin_serving(host, 1);
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_replaced(host, PF_REASON_RELOAD);
    assert_int_equal(reason(host, PF_EVENT_RELOADING, ANY_TASK, 0), PF_REASON_NONE);
}

static void reload_that_stops_first(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_reload_order(host->pool, PF_RELOAD_STOP_FIRST), 0);
    begin_serving(host, 1);
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));
    assert_replaced(host, PF_REASON_RELOAD);
}

static void lifetime(void **state) {
    struct host *host = *state;
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_lifetime(host->pool, LIFETIME_MS, 0), 0);
    begin_serving(host, 1);
    assert_replaced(host, PF_REASON_LIFETIME);
}

static int serves_only_at_first(struct board *board, int task_id, int run) {
    return run > 0 ? 1 : serves(board, task_id, run);
}

static void failed_replacement(void **state) {
    struct host *host = *state;
    host->work = serves_only_at_first;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 1, 1));
    assert_int_equal(host_replaces(host, 1), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 1, 1));

    assert_int_equal(reason(host, PF_EVENT_RELOAD_FAILED, 1, 0), PF_REASON_REPLACE);
    assert_int_equal(reason(host, PF_EVENT_EXITED, 1, 0), PF_REASON_NONE); /* by itself */
    assert_int_equal(pf_pool_kill(host->pool), 0);
    (void)host_finishes(host);
}

/* ---- Workers that are not well --------------------------------------------------------- */

static int is_never_ready(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    wait_for_ever();
    return 1;
}

static int hangs(struct board *board, int task_id, int run) {
    struct rlimit none = {0, 0};

    (void)task_id;
    (void)run;
    board_require(board, setrlimit(RLIMIT_CORE, &none) == 0);
    board_require(board, pf_worker_heartbeat() == 0);
    wait_for_ever();
    return 1;
}

/* Repeats a message, which it takes out of the pipe while the supervisor does not look. */
static int sends_too_much(struct board *board, int task_id, int run) {
    enum { MESSAGE_SIZE = 16, MESSAGES = 24 };
    char path[64], message[MESSAGE_SIZE];
    int pipe_end = worker_pipe_to_supervisor();

    (void)task_id;
    (void)run;
    gate_wait(board, 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", pipe_end);
    int own_end = open(path, O_RDONLY | O_CLOEXEC);
    board_require(board, own_end >= 0 && pf_worker_heartbeat() == 0);
    board_require(board, read(own_end, message, MESSAGE_SIZE) == MESSAGE_SIZE);
    for (int i = 0; i < MESSAGES; i++) {
        board_require(board, write(pipe_end, message, MESSAGE_SIZE) == MESSAGE_SIZE);
    }
    board_note(board, NOTE_SENT, 0);
    wait_for_ever();
    return 1;
}

static void assert_unwell(struct host *host, int expected) {
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
    assert_int_equal(reason(host, PF_EVENT_UNRESPONSIVE, 0, 0), expected);
    assert_int_equal(reason(host, PF_EVENT_EXITED, 0, 0), expected);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    (void)host_finishes(host);
}

static void ready_time_out(void **state) {
    struct host *host = *state;
    host->work = is_never_ready;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, SHORT_MS), 0);
    assert_int_equal(pf_pool_set_backoff(host->pool, PATIENCE_MS, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_unwell(host, PF_REASON_READY_TIMEOUT);
}

static void heartbeat_time_out(void **state) {
    struct host *host = *state;
    host->work = hangs;
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, BEAT_TIMEOUT_MS), 0);
    assert_int_equal(pf_pool_set_backoff(host->pool, PATIENCE_MS, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_unwell(host, PF_REASON_HEARTBEAT_TIMEOUT);
}

static void too_many_messages(void **state) {
    struct host *host = *state;
    host->work = sends_too_much;
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_backoff(host->pool, PATIENCE_MS, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, KIND_WORKER, 0, 1));
    gate_open(host->board, 0);
    assert_true(board_reaches(host->board, NOTE_SENT, 0, 1));
    assert_unwell(host, PF_REASON_PROTOCOL);
}

/* ---- Limits ---------------------------------------------------------------------------- */

static int crashes_in_slot_0(struct board *board, int task_id, int run) {
    return task_id == 0 ? crashes_at_once(board, task_id, run) : ends_on_term(board, task_id, run);
}

static void limit_of_restarts(void **state) {
    struct host *host = *state;
    host->work = crashes_in_slot_0;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(reason(host, PF_EVENT_GAVE_UP, ANY_TASK, 0), PF_REASON_LIMIT);
    assert_int_equal(reason(host, PF_EVENT_STOPPING, ANY_TASK, 0), PF_REASON_LIMIT);
    assert_int_equal(reason(host, PF_EVENT_EXITED, 1, 0), PF_REASON_STOP);
    assert_int_equal(reason(host, PF_EVENT_DONE, ANY_TASK, 0), PF_REASON_LIMIT);
}

static void limit_for_one_slot(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_DEGRADE), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(reason(host, PF_EVENT_GAVE_UP, 0, 0), PF_REASON_LIMIT);
    assert_int_equal(reason(host, PF_EVENT_DONE, ANY_TASK, 0), PF_REASON_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(start_restart_and_stop),
        host_test(a_pool_that_finishes_has_none),
        host_test(kill_after_the_time_out),
        host_test(resize),
        host_test(a_host_that_forks),
        host_test(replacement_by_the_host),
        host_test(reload),
        host_test(reload_that_stops_first),
        host_test(lifetime),
        host_test(failed_replacement),
        host_test(ready_time_out),
        host_test(heartbeat_time_out),
        host_test(too_many_messages),
        host_test(limit_of_restarts),
        host_test(limit_for_one_slot),
    };

    return run_group_with_each_backend("event_reason", tests);
}
