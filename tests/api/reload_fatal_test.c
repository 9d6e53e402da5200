/*
 * reload_fatal_test.c - the fatal status of a worker that is, or has, a replacement
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

enum { SLOTS = 3, FATAL = 78, BACKOFF_MS = 20, LIFETIME_MS = 200 };
enum { NOTE_WAITS = KIND_NOTE };

static int serves(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    return ends_on_term(board, task_id, run);
}

/* The first workers serve. What comes later cannot start, and says so. */
static int can_not_start_later(struct board *board, int task_id, int run) {
    return run == 0 ? serves(board, task_id, run) : FATAL;
}

static void begin(struct host *host, int order) {
    assert_int_equal(pf_pool_set_exit_action(host->pool, FATAL, PF_EXIT_FATAL), 0);
    assert_int_equal(pf_pool_set_backoff(host->pool, BACKOFF_MS, 4 * BACKOFF_MS), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_reload_order(host->pool, order), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, SLOTS));
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, SLOTS));
}

/* From that slot on nothing has changed. */
static void assert_old_ones_serve(struct host *host, int first) {
    for (int i = first; i < SLOTS; i++) {
        assert_int_equal(pf_pool_worker_pid(host->pool, i), host_pid(host, i, 0));
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_READY);
    }
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 0);
}

static void a_reload_fails_and_the_old_ones_serve_on(void **state) {
    struct host *host = *state;
    host->work = can_not_start_later;
    begin(host, PF_RELOAD_START_FIRST);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    host_goes_on(host, 50);
    assert_old_ones_serve(host, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), SLOTS + 1);
    assert_int_equal(host_stops(host), 0);
}

/* The slot's new worker is tried again as after a crash; it never was good. */
static void so_they_do_when_the_old_one_of_a_slot_stops_first(void **state) {
    struct host *host = *state;
    host->work = can_not_start_later;
    begin(host, PF_RELOAD_STOP_FIRST);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 4));
    assert_old_ones_serve(host, 1);
    assert_true(pf_pool_worker_restarts(host->pool, 0) >= 2);
    assert_int_equal(host_stops(host), 0);
}

static void a_single_replacement_fails(void **state) {
    struct host *host = *state;
    host->work = can_not_start_later;
    begin(host, PF_RELOAD_START_FIRST);

    assert_int_equal(host_replaces(host, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 1, 1));
    host_goes_on(host, 50);
    assert_old_ones_serve(host, 0);
    assert_int_equal(host_stops(host), 0);
}

static void a_replacement_for_age_fails(void **state) {
    struct host *host = *state;
    host->work = can_not_start_later;
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_lifetime(host->pool, LIFETIME_MS, 0), 0);
    begin(host, PF_RELOAD_START_FIRST);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, ANY_TASK, 2));

    assert_old_ones_serve(host, 0);
    assert_int_equal(host_stops(host), 0);
}

/* ---- The old one says so ------------------------------------------------------------------ */

static void say_fatal(int signal) {
    (void)signal;
    _exit(FATAL);
}

/* The old one of slot 0 says so on USR1, while the new one waits. */
static int says_so_on_usr1(struct board *board, int task_id, int run) {
    board_require(board, signal(SIGUSR1, say_fatal) != SIG_ERR);
    if (run == 1) {
        board_note(board, NOTE_WAITS, 0);
        gate_wait(board, 0);
    }
    return serves(board, task_id, run);
}

static void assert_old_one_is_restarted(struct host *host, int (*request)(struct host *)) {
    host->work = says_so_on_usr1;
    begin(host, PF_RELOAD_START_FIRST);
    assert_int_equal(request(host), 0);
    assert_true(host_reaches(host, NOTE_WAITS, 0, 1));

    assert_int_equal(kill(host_pid(host, 0, 0), SIGUSR1), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
    const struct record *end = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(end->exit_code, FATAL);
    assert_int_equal(end->will_restart, 1);
    assert_int_equal(end->restarts, 1);
    gate_open(host->board, 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 2));
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 1));
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

static int reload(struct host *host) { return pf_pool_reload(host->pool); }

static int replace_the_first(struct host *host) { return host_replaces(host, 0); }

static void an_old_one_that_says_so_in_a_reload_is_restarted(void **state) {
    assert_old_one_is_restarted(*state, reload);
}

static void an_old_one_that_says_so_while_it_is_replaced_is_restarted(void **state) {
    assert_old_one_is_restarted(*state, replace_the_first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_reload_fails_and_the_old_ones_serve_on),
        host_test(so_they_do_when_the_old_one_of_a_slot_stops_first),
        host_test(a_single_replacement_fails),
        host_test(a_replacement_for_age_fails),
        host_test(an_old_one_that_says_so_in_a_reload_is_restarted),
        host_test(an_old_one_that_says_so_while_it_is_replaced_is_restarted),
    };

    return run_group_with_each_backend("the fatal status in a reload", tests);
}
