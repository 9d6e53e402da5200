/*
 * spares_settings_test.c - spares under the settings of the pool: restart policy and limits,
 * lifetimes, heartbeats, stops, and what cannot be together with them
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "cmocka_all.h"
#include "executed.h"

enum { NOTE_STOP_FD = KIND_NOTE + 1 };
enum { LIFETIME_MS = 400, STOP_MS = 100, STORM_MS = 500 };
enum { SPARES = 8 };
#define BEAT_MS (time_scale() * (SANITIZED ? 1600U : 600U))
#define READY_MS (time_scale() * (SANITIZED ? 1600U : 600U)) /* a program starts meanwhile */

static void begin(struct host *host, int workers, int spares) {
    assert_int_equal(pf_pool_set_spares(host->pool, spares), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, (unsigned)spares));
}

static pid_t spare_pid(const struct host *host, unsigned nth) {
    const struct record *record =
        board_find(host->board, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, nth);
    return record == NULL ? 0 : (pid_t)record->pid;
}

static void assert_stops(struct host *host) {
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(pf_pool_counter(host->pool, PF_COUNT_SPARES), 0);
}

/* ---- Restarts -------------------------------------------------------------------------------- */

static void worker_that_ends_normally_is_followed_by_a_spare(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_ALWAYS), 0);
    begin(host, 1, 1);
    assert_true(board_reaches(host->board, NOTE_READY, 0, 1));

    assert_int_equal(kill(host_pid(host, 0, 0), SIGTERM), 0);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->exit_code, 0);
    assert_int_equal(host_pid(host, 0, 1), spare_pid(host, 0));
    assert_true(board_reaches(host->board, NOTE_READY, 0, 2));
    assert_stops(host);
}

static void restarts_that_are_used_up_end_the_spares(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    begin(host, 2, SPARES);

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_SPARE_EXITED, ANY_TASK), SPARES);
    assert_int_equal(board_find(host->board, PF_EVENT_SPARE_EXITED, ANY_TASK, 0)->will_restart, 0);
    /* Each of them in the call in which it waits. */
    for (unsigned nth = 0; nth < SPARES; nth++) {
        assert_int_equal(
            board_find(host->board, PF_EVENT_SPARE_EXITED, PF_TASK_SPARE, nth)->exit_code, 0);
    }
}

static void slots_that_are_given_up_leave_the_spares_to_the_others(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 1), 0);
    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_DEGRADE), 0);
    begin(host, 2, 1);
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));
    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 2));

    assert_int_equal(kill(host_pid(host, 0, 1), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 2));
    host_goes_on(host, STOP_MS);

    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 2);
    assert_int_equal(pf_pool_counter(host->pool, PF_COUNT_SPARES), 1);
    assert_stops(host);
}

/* The pool has no backoff and no limit for them. */
static void executed_spares_that_always_end_make_no_storm(void **state) {
    struct host *host = *state;
    executes(host, "exit:3", NULL);
    assert_int_equal(pf_pool_set_spares(host->pool, 2), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, -1), 0);
    assert_int_equal(pf_pool_set_backoff(host->pool, 60000, 60000), 0);
    uint64_t begin_ms = now_ms();
    assert_int_equal(host_begin(host, 1), 0);

    host_goes_on(host, STORM_MS);

    uint64_t later = 4 * (now_ms() - begin_ms - STORM_MS) / 1000; /* on a busy machine */
    assert_in_range(board_count(host->board, PF_EVENT_SPARE_STARTED, ANY_TASK), 1, 8 + later);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    (void)host_finishes(host);
}

/* ---- Times ----------------------------------------------------------------------------------- */

static void worker_of_age_is_replaced_by_a_spare(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_lifetime(host->pool, LIFETIME_MS, 0), 0);
    assert_int_equal(pf_pool_set_min_uptime(host->pool, STOP_MS), 0);
    begin(host, 1, 1);

    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));

    assert_int_equal(host_pid(host, 0, 1), spare_pid(host, 0));
    assert_int_equal(board_find(host->board, PF_EVENT_STARTED, 0, 1)->reason, PF_REASON_LIFETIME);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
    assert_stops(host);
}

static int beats_twice(struct board *board, int task_id, int run) {
    (void)run;
    board_require(board, pf_worker_heartbeat() == 0);
    board_note_task(board, NOTE_READY, task_id, 0);
    for (int times = 0; run > 0 || times < 2; times++) {
        pause_ms(5);
        board_require(board, pf_worker_heartbeat() == 0);
    }
    wait_for_ever();
    return 1;
}

/* A spare sends none, however long it waits. */
static void heartbeats_are_expected_with_the_slot(void **state) {
    struct host *host = *state;
    host->work = beats_twice;
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, BEAT_MS), 0);
    begin(host, 1, 1);

    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2)); /* the first one hangs */

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->reason,
                     PF_REASON_HEARTBEAT_TIMEOUT);
    assert_int_equal(host_pid(host, 0, 1), spare_pid(host, 0));
    assert_true(board_reaches(host->board, NOTE_READY, 0, 2));
    host_goes_on(host, BEAT_MS / 2 * 3);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, 0), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_SPARE_EXITED, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

/* ---- Stops ----------------------------------------------------------------------------------- */

static void spare_that_is_stopped_ends_with_the_pool(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, STOP_MS), 0);
    begin(host, 1, 2);
    assert_int_equal(kill(spare_pid(host, 0), SIGSTOP), 0);
    assert_true(process_reaches_state(spare_pid(host, 0), 'T'));

    assert_stops(host);

    assert_int_equal(board_count(host->board, PF_EVENT_SPARE_EXITED, ANY_TASK), 2);
    assert_false(process_exists(spare_pid(host, 0)));
}

/* It cannot read that it has the slot, so it is replaced as a worker that does not get ready. */
static void spare_that_is_stopped_keeps_no_slot(void **state) {
    struct host *host = *state;
    executes(host, "run:", "ready", "wait", NULL);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, READY_MS), 0);
    begin(host, 1, 1);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_int_equal(kill(spare_pid(host, 0), SIGSTOP), 0);
    assert_true(process_reaches_state(spare_pid(host, 0), 'T'));

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 2));

    assert_int_equal(host_pid(host, 0, 1), spare_pid(host, 0));
    assert_int_equal(board_find_pid(host->board, PF_EVENT_EXITED, spare_pid(host, 0))->reason,
                     PF_REASON_READY_TIMEOUT);
    assert_int_equal(host_stops(host), 0);
}

static int notes_stop_fd(struct board *board, int task_id, int run) {
    board_note_task(board, NOTE_STOP_FD, task_id, pf_worker_stop_fd());
    return ends_on_term(board, task_id, run);
}

static void takeover_works_without_stop_descriptors(void **state) {
    struct host *host = *state;
    host->work = notes_stop_fd;
    assert_int_equal(pf_pool_set_stop_fd(host->pool, 0), 0);
    begin(host, 1, 1);
    assert_true(board_reaches(host->board, NOTE_READY, 0, 1));

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));

    assert_int_equal(host_pid(host, 0, 1), spare_pid(host, 0));
    assert_true(board_reaches(host->board, NOTE_READY, 0, 2));
    const struct record *noted = board_find(host->board, NOTE_STOP_FD, 0, 1);
    assert_int_equal(noted == NULL ? 0 : noted->value, -EOPNOTSUPP);
    assert_stops(host);
}

static void executed_takeover_works_without_stop_descriptors(void **state) {
    struct host *host = *state;
    executes(host, "run:", "wait", NULL);
    assert_int_equal(pf_pool_set_stop_fd(host->pool, 0), 0);
    begin(host, 1, 1);
    assert_true(host_reports(host, "run  result=0 task=0", 1));

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reports(host, "run  result=0 task=0", 2));

    assert_int_equal(host_pid(host, 0, 1), spare_pid(host, 0));
    assert_stops(host);
}

/* ---- What cannot be -------------------------------------------------------------------------- */

static void spare_cannot_upgrade_its_program(void **state) {
    struct host *host = *state;
    executes(host, "upgrade", "run:", "wait", NULL);
    begin(host, 1, 1);

    assert_true(host_reports(host, text_of("upgrade result=%d", -EOPNOTSUPP), 2));

    assert_stops(host);
}

static void foreign_workers_have_no_spares(void **state) {
    struct host *host = *state;
    executes_program(host, "service", "wait", NULL);
    assert_int_equal(pf_pool_set_foreign_workers(host->pool, 1), 0);
    assert_int_equal(pf_pool_set_spares(host->pool, 1), 0); /* in any order */
    assert_int_equal(host_begin(host, 1), -EINVAL);
    assert_int_equal(pf_pool_set_spares(host->pool, 0), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(pf_pool_set_spares(host->pool, 1), -EINVAL);

    assert_int_equal(host_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(worker_that_ends_normally_is_followed_by_a_spare),
        host_test(restarts_that_are_used_up_end_the_spares),
        host_test(slots_that_are_given_up_leave_the_spares_to_the_others),
        executed_test(executed_spares_that_always_end_make_no_storm),
        host_test(worker_of_age_is_replaced_by_a_spare),
        host_test(heartbeats_are_expected_with_the_slot),
        host_test(spare_that_is_stopped_ends_with_the_pool),
        executed_test(spare_that_is_stopped_keeps_no_slot),
        host_test(takeover_works_without_stop_descriptors),
        executed_test(executed_takeover_works_without_stop_descriptors),
        executed_test(spare_cannot_upgrade_its_program),
        executed_test(foreign_workers_have_no_spares),
    };
    return run_group_with_each_backend("spares and settings", tests);
}
