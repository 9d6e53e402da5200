/*
 * reload_amid_test.c - who may ask for a reload, and what may happen during one
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { SLOTS = 3, NOTE_WAITS = KIND_NOTE };

static int serves(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    return ends_on_term(board, task_id, run);
}

/* The first new one of slot 1 waits, so that the test can do something meanwhile. */
static int waits_in_slot_1(struct board *board, int task_id, int run) {
    if (task_id == 1 && run == 1) {
        board_note(board, NOTE_WAITS, 0);
        gate_wait(board, 0);
    }
    return serves(board, task_id, run);
}

static void begin(struct host *host, int workers, int order) {
    if (host->work == NULL) {
        host->work = serves;
    }
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 2), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_reload_order(host->pool, order), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, (unsigned)workers));
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, (unsigned)workers));
}

/* Until slot 1 is being replaced, and slot 0 has been. */
static void begin_reload(struct host *host, int order) {
    host->work = waits_in_slot_1;
    begin(host, SLOTS, order);
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, NOTE_WAITS, 1, 1));
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
}

static void assert_has(const struct host *host, int task_id, unsigned nth) {
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, task_id), nth + 1);
    assert_int_equal(pf_pool_worker_pid(host->pool, task_id), host_pid(host, task_id, nth));
    assert_int_equal(pf_pool_worker_state(host->pool, task_id), PF_WORKER_READY);
}

static void assert_restarts(struct host *host, int count) {
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0)->restarts, count);
}

/* ---- Who asks for it ------------------------------------------------------------------- */

static pf_pool *asked_pool;

static void ask(int signal) {
    if (signal == SIGHUP) {
        (void)pf_pool_reload(asked_pool);
    } else {
        (void)pf_pool_stop(asked_pool);
    }
}

static void *ask_in_a_thread(void *pool) { return pf_pool_reload(pool) == 0 ? pool : NULL; }

/* Runs the pool; a handler asks, or the pool itself takes SIGHUP. */
static int running_host(struct board *board, int signals) {
    struct host host;
    struct sigaction action = {.sa_handler = ask, .sa_flags = SA_RESTART};
    int task_id = 0;
    int result = 0;

    host_open(&host, board);
    host.work = serves;
    asked_pool = host.pool;
    board_require(board, pf_pool_set_workers(host.pool, 2) == 0);
    board_require(board, pf_pool_set_ready_timeout(host.pool, PATIENCE_MS) == 0);
    board_require(board, pf_pool_set_signals(host.pool, signals) == 0);
    board_require(board, pf_pool_set_event_callback(host.pool, host_note_event, board, NULL) == 0);
    if (signals == PF_SIGNALS_NONE) {
        board_require(board, sigaction(SIGHUP, &action, NULL) == 0);
        board_require(board, sigaction(SIGTERM, &action, NULL) == 0);
        board_require(board, pf_pool_reload(host.pool) == -EINVAL); /* not started */
    }
    result = pf_pool_run(host.pool, &task_id);
    board_require(board, result == 0 && task_id == -1);
    board_require(board, pf_pool_reload(host.pool) == 0); /* no effect after the end */
    host_close(&host);
    return 0;
}

static int host_with_a_handler(struct board *board) { return running_host(board, PF_SIGNALS_NONE); }

static int host_with_standard_signals(struct board *board) {
    return running_host(board, PF_SIGNALS_STANDARD);
}

/* Each reload ends one worker of each slot. */
static void assert_reloads_on_hup(struct scenario *run, host_fn host) {
    scenario_start_host(run, host);
    assert_true(board_reaches(run->board, PF_EVENT_READY, ANY_TASK, 2));
    for (unsigned count = 1; count <= 2; count++) {
        assert_true(board_reaches(run->board, NOTE_READY, ANY_TASK, 2 * count));
        scenario_signal(run, SIGHUP);
        assert_true(board_reaches(run->board, PF_EVENT_RELOADED, ANY_TASK, count));
        assert_true(board_reaches(run->board, PF_EVENT_EXITED, ANY_TASK, 2 * count));
    }
    assert_true(board_reaches(run->board, NOTE_READY, ANY_TASK, 6));

    scenario_signal(run, SIGTERM);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), 6);
}

static void a_handler_may_ask(void **state) { assert_reloads_on_hup(*state, host_with_a_handler); }

static void the_standard_signals_have_hup(void **state) {
    assert_reloads_on_hup(*state, host_with_standard_signals);
}

static void another_thread_may_ask(void **state) {
    struct host *host = *state;
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pf_pool_set_thread_policy(host->pool, PF_THREADS_ALLOW), 0);
    begin(host, 2, PF_RELOAD_START_FIRST);

    assert_int_equal(pthread_create(&thread, NULL, ask_in_a_thread, host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));

    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, host->pool);
    assert_int_equal(host_stops(host), 0);
}

/* ---- Meanwhile ------------------------------------------------------------------------- */

static void more_requests_are_remembered_once(void **state) {
    struct host *host = *state;
    begin_reload(host, PF_RELOAD_START_FIRST);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pf_pool_reload(host->pool), 0);
        assert_true(host_turn(host, 0));
    }

    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 2));
    host_goes_on(host, 50);
    assert_int_equal(board_count(host->board, PF_EVENT_RELOADING, ANY_TASK), 2);
    for (int i = 0; i < SLOTS; i++) {
        assert_has(host, i, 2);
    }
    assert_restarts(host, 0);
}

static void assert_stopped_during_reload(struct host *host, int order, bool kills) {
    begin_reload(host, order);

    assert_int_equal(kills ? pf_pool_kill(host->pool) : pf_pool_stop(host->pool), 0);
    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_RELOADING, ANY_TASK), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_RELOADED, ANY_TASK), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_RELOAD_FAILED, ANY_TASK), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), SLOTS + 2);
}

static void a_stop_ends_it(void **state) {
    assert_stopped_during_reload(*state, PF_RELOAD_START_FIRST, false);
}

static void a_stop_ends_it_also_when_the_old_ones_stop_first(void **state) {
    assert_stopped_during_reload(*state, PF_RELOAD_STOP_FIRST, false);
}

static void a_kill_ends_it(void **state) {
    assert_stopped_during_reload(*state, PF_RELOAD_START_FIRST, true);
}

static void an_old_one_that_crashes_is_restarted_as_new(void **state) {
    struct host *host = *state;
    begin_reload(host, PF_RELOAD_START_FIRST);

    assert_int_equal(kill(host_pid(host, 1, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 1));
    assert_int_equal(pf_pool_worker_pid(host->pool, 1), host_pid(host, 1, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 1, 0)->will_restart, 1);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 1, 0)->restarts, 1);
    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    for (int i = 0; i < SLOTS; i++) {
        assert_has(host, i, 1);
    }
    assert_int_equal(pf_pool_worker_restarts(host->pool, 1), 1);
    assert_restarts(host, 0); /* the count has begun anew */
}

static void if_the_new_one_crashes_then_too_the_reload_has_failed(void **state) {
    struct host *host = *state;
    begin_reload(host, PF_RELOAD_START_FIRST);
    assert_int_equal(kill(host_pid(host, 1, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 1));

    assert_int_equal(kill(host_pid(host, 1, 1), SIGKILL), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 1, 1));
    assert_true(host_reaches(host, NOTE_READY, 1, 2)); /* by the restart policy */
    assert_true(host_reaches(host, PF_EVENT_READY, 1, 2));
    assert_has(host, 2, 0);
    assert_restarts(host, 2);
}

static void a_new_one_that_crashes_when_it_is_ready_is_restarted(void **state) {
    struct host *host = *state;
    begin_reload(host, PF_RELOAD_START_FIRST);
    assert_true(host_reaches(host, NOTE_READY, 0, 2)); /* as it notes after it is ready */

    assert_int_equal(kill(host_pid(host, 0, 1), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 3));
    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_has(host, 0, 2);
    assert_has(host, 1, 1);
    assert_has(host, 2, 1);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2 * SLOTS + 1));
    assert_restarts(host, 0); /* the count has begun anew */
}

static void assert_resized_during_reload(struct host *host, int order) {
    begin_reload(host, order);

    assert_int_equal(pf_pool_resize(host->pool, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(host_reaches_alive(host, 1));
    assert_has(host, 0, 1);
    assert_int_equal(pf_pool_resize(host->pool, 4), 0);
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 2));
    for (int i = 0; i < 4; i++) {
        assert_true(host_reaches_state(host, i, PF_WORKER_READY));
    }
    assert_restarts(host, 0);
}

static void a_resize_takes_slots_out_of_it(void **state) {
    assert_resized_during_reload(*state, PF_RELOAD_START_FIRST);
}

static void a_resize_does_so_when_the_old_ones_stop_first(void **state) {
    assert_resized_during_reload(*state, PF_RELOAD_STOP_FIRST);
}

static void assert_resized_there_and_back(struct host *host, int order) {
    begin_reload(host, order);

    assert_int_equal(pf_pool_resize(host->pool, 1), 0);
    assert_int_equal(pf_pool_resize(host->pool, 5), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    for (int i = 0; i < 5; i++) {
        assert_true(host_reaches_state(host, i, PF_WORKER_READY));
    }
    assert_true(host_reaches_alive(host, 5));
    assert_restarts(host, 0);
}

static void slots_that_go_and_come_back_do_not_hold_it_up(void **state) {
    assert_resized_there_and_back(*state, PF_RELOAD_START_FIRST);
}

static void nor_do_they_when_the_old_ones_stop_first(void **state) {
    assert_resized_there_and_back(*state, PF_RELOAD_STOP_FIRST);
}

static void assert_restarted_during_reload(struct host *host, int order) {
    begin_reload(host, order);

    assert_int_equal(pf_pool_replace_worker(host->pool, 1), -EALREADY);
    assert_int_equal(pf_pool_replace_worker(host->pool, 0), 0);
    assert_int_equal(pf_pool_replace_worker(host->pool, 2), 0);
    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, SLOTS + 5));
    assert_true(host_reaches(host, PF_EVENT_EXITED, ANY_TASK, 5));
    assert_has(host, 0, 2);
    assert_has(host, 1, 1);
    assert_has(host, 2, 2); /* once for each request */
    assert_restarts(host, 0);
}

static void a_slot_may_be_restarted(void **state) {
    assert_restarted_during_reload(*state, PF_RELOAD_START_FIRST);
}

static void a_slot_may_be_restarted_when_the_old_ones_stop_first(void **state) {
    assert_restarted_during_reload(*state, PF_RELOAD_STOP_FIRST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_handler_may_ask),
        scenario_test(the_standard_signals_have_hup),
        host_test(another_thread_may_ask),
        host_test(more_requests_are_remembered_once),
        host_test(a_stop_ends_it),
        host_test(a_stop_ends_it_also_when_the_old_ones_stop_first),
        host_test(a_kill_ends_it),
        host_test(an_old_one_that_crashes_is_restarted_as_new),
        host_test(if_the_new_one_crashes_then_too_the_reload_has_failed),
        host_test(a_new_one_that_crashes_when_it_is_ready_is_restarted),
        host_test(a_resize_takes_slots_out_of_it),
        host_test(a_resize_does_so_when_the_old_ones_stop_first),
        host_test(slots_that_go_and_come_back_do_not_hold_it_up),
        host_test(nor_do_they_when_the_old_ones_stop_first),
        host_test(a_slot_may_be_restarted),
        host_test(a_slot_may_be_restarted_when_the_old_ones_stop_first),
    };

    return run_group_with_each_backend("amid a reload", tests);
}
