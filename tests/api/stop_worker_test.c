/*
 * stop_worker_test.c - one worker that the host stops: pf_pool_stop_worker()
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "forker.h"
#include "host.h"

enum { HOUR_MS = 3600000, SHORT_MS = 100 };

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
    /* They have their handlers. */
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, (unsigned)workers));
}

static void stop(struct host *host, int task_id) {
    assert_int_equal(pf_pool_stop_worker(host->pool, task_id), 0);
    assert_true(host_reaches_state(host, task_id, PF_WORKER_EMPTY));
}

static unsigned started(const struct host *host, int task_id) {
    return board_count(host->board, PF_EVENT_STARTED, task_id);
}

static void it_ends_gracefully_and_its_slot_stays_empty(void **state) {
    struct host *host = *state;
    begin(host, 2);

    assert_int_equal(pf_pool_stop_worker(host->pool, 1), 0);
    assert_int_equal(pf_pool_worker_state(host->pool, 1), PF_WORKER_STOPPING);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 1));
    assert_int_equal(pf_pool_worker_state(host->pool, 1), PF_WORKER_EMPTY);
    host_goes_on(host, SHORT_MS);

    const struct record *exited = board_find(host->board, PF_EVENT_EXITED, 1, 0);
    assert_int_equal(exited->exit_code, 0);
    assert_int_equal(exited->reason, PF_REASON_STOP);
    assert_int_equal(exited->will_restart, 0);
    assert_int_equal(pf_pool_worker_count(host->pool), 2);
    assert_int_equal(pf_pool_alive_count(host->pool), 1);
    assert_int_equal(started(host, 1), 1);
    assert_int_equal(started(host, 0), 1);
    assert_int_equal(host_stops(host), 0);
}

static void a_replacement_starts_one_there_again(void **state) {
    struct host *host = *state;
    begin(host, 2);
    stop(host, 0);

    assert_int_equal(pf_pool_replace_worker(host->pool, 0), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 2));

    const struct record *second = board_find(host->board, PF_EVENT_STARTED, 0, 1);
    assert_int_equal(second->reason, PF_REASON_REPLACE);
    assert_int_equal(second->restarts, 0);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_READY);
    assert_int_equal(host_stops(host), 0);
}

static void a_replacement_waits_for_the_end_of_the_old_one(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, SHORT_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(pf_pool_stop_worker(host->pool, 0), 0);

    assert_int_equal(host_replaces(host, 0), 0);
    assert_int_equal(pf_pool_replace_worker(host->pool, 0), -EALREADY);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));

    const struct record *exited = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    const struct record *second = board_find(host->board, PF_EVENT_STARTED, 0, 1);
    assert_int_equal(exited->reason, PF_REASON_STOP);
    assert_int_equal(second->reason, PF_REASON_REPLACE);
    assert_true(second->time_ns >= exited->time_ns);
    assert_int_equal(pf_pool_alive_count(host->pool), 1);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
}

static void a_pool_without_workers_goes_on(void **state) {
    struct host *host = *state;
    begin(host, 2);
    stop(host, 0);
    stop(host, 1);
    host_goes_on(host, SHORT_MS);
    assert_int_equal(host->result, 1);
    assert_int_equal(pf_pool_alive_count(host->pool), 0);

    assert_int_equal(pf_pool_replace_worker(host->pool, 1), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 1, 2));
    stop(host, 1);

    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 0); /* nobody */
    assert_int_equal(board_count(host->board, PF_EVENT_DONE, ANY_TASK), 1);
}

static void a_reload_leaves_it_empty(void **state) {
    struct host *host = *state;
    begin(host, 2);
    stop(host, 0);

    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 1));

    assert_int_equal(started(host, 0), 1);
    assert_int_equal(started(host, 1), 2);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_EMPTY);
    assert_int_equal(host_stops(host), 0);
}

/* The second worker of a slot is never ready. */
static int only_the_first_is_ready(struct board *board, int task_id, int run) {
    if (run > 0 && task_id == 0) {
        return ends_on_term(board, task_id, run);
    }
    return serves(board, task_id, run);
}

static void the_reload_of_the_others_goes_on(void **state) {
    struct host *host = *state;
    host->work = only_the_first_is_ready;
    begin(host, 2);
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));

    assert_int_equal(pf_pool_stop_worker(host->pool, 0), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 2)); /* the old one, and its replacement */

    assert_int_equal(board_count(host->board, PF_EVENT_RELOAD_FAILED, ANY_TASK), 0);
    assert_int_equal(started(host, 1), 2);
    assert_true(host_reaches_state(host, 0, PF_WORKER_EMPTY));
    assert_int_equal(host_stops(host), 0);
}

static void one_that_waits_for_its_restart_is_not_restarted(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_backoff(host->pool, HOUR_MS, HOUR_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches_state(host, 0, PF_WORKER_BACKOFF));

    assert_int_equal(pf_pool_stop_worker(host->pool, 0), 0);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_EMPTY);
    host_goes_on(host, SHORT_MS);

    assert_int_equal(started(host, 0), 1);
    assert_int_equal(host_stops(host), 0);
}

static void one_that_has_not_been_started_never_is(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(host_begin(host, 2), 0);
    assert_int_equal(pf_pool_stop_worker(host->pool, 0), 0);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_EMPTY);
    assert_true(host_reaches(host, NOTE_READY, 1, 1));

    assert_int_equal(started(host, 0), 0);
    assert_int_equal(host_stops(host), 0);
}

static void one_that_the_host_forks_meanwhile_is_stopped(void **state) {
    struct host *host = *state;
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(pf_pool_stop_worker(host->pool, 0), 0);
    assert_int_equal(forker_fork(host, 0), 0);

    assert_true(forker_reaches(host, PF_EVENT_EXITED, 0, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->reason, PF_REASON_STOP);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_EMPTY);
    assert_int_equal(board_count(host->board, PF_EVENT_FORK_WANTED, 0), 1);
    assert_int_equal(forker_stops(host), 0);
}

static void a_slot_that_is_removed_and_added_starts_anew(void **state) {
    struct host *host = *state;
    begin(host, 2);
    stop(host, 1);

    assert_int_equal(pf_pool_resize(host->pool, 1), 0);
    assert_int_equal(pf_pool_resize(host->pool, 2), 0);

    assert_true(host_reaches(host, PF_EVENT_READY, 1, 2));
    assert_int_equal(board_find(host->board, PF_EVENT_STARTED, 1, 1)->reason, PF_REASON_RESIZE);
    assert_int_equal(host_stops(host), 0);
}

static int ends_in_slot_0(struct board *board, int task_id, int run) {
    return task_id == 0 ? 0 : ends_on_term(board, task_id, run);
}

static void when_the_last_stopped_slot_goes_the_pool_ends(void **state) {
    struct host *host = *state;
    host->work = ends_in_slot_0;
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, 1, 1));
    assert_true(host_reaches_state(host, 0, PF_WORKER_DONE));
    stop(host, 1);
    host_goes_on(host, SHORT_MS);
    assert_int_equal(host->result, 1);

    assert_int_equal(pf_pool_resize(host->pool, 1), 0);

    assert_int_equal(host_finishes(host), 0);
}

static void the_errors(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_stop_worker(NULL, 0), -EINVAL);
    assert_int_equal(pf_pool_stop_worker(host->pool, 0), -EINVAL);
    begin(host, 2);
    assert_int_equal(pf_pool_stop_worker(host->pool, -1), -EINVAL);
    assert_int_equal(pf_pool_stop_worker(host->pool, 2), -EINVAL);
    assert_int_equal(pf_pool_stop_worker(host->pool, 1), 0);
    assert_int_equal(pf_pool_stop_worker(host->pool, 1), -EALREADY);
    assert_true(host_reaches_state(host, 1, PF_WORKER_EMPTY));
    assert_int_equal(pf_pool_stop_worker(host->pool, 1), -EALREADY);
    assert_int_equal(pf_pool_send_signal(host->pool, 1, SIGTERM), -ESRCH);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(pf_pool_stop_worker(host->pool, 0), -ECANCELED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(it_ends_gracefully_and_its_slot_stays_empty),
        host_test(a_replacement_starts_one_there_again),
        host_test(a_replacement_waits_for_the_end_of_the_old_one),
        host_test(a_pool_without_workers_goes_on),
        host_test(a_reload_leaves_it_empty),
        host_test(the_reload_of_the_others_goes_on),
        host_test(one_that_waits_for_its_restart_is_not_restarted),
        host_test(one_that_has_not_been_started_never_is),
        host_test(one_that_the_host_forks_meanwhile_is_stopped),
        host_test(a_slot_that_is_removed_and_added_starts_anew),
        host_test(when_the_last_stopped_slot_goes_the_pool_ends),
        host_test(the_errors),
    };

    return run_group_with_each_backend("stop_worker", tests);
}
