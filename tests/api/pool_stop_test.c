/*
 * pool_stop_test.c - how a pool is stopped gracefully, and what a stop finds
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

static void assert_all_ended(const struct host *host) {
    const struct record *done = board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0);

    assert_non_null(done);
    assert_int_equal(done->error, host->result);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK),
                     board_count(host->board, PF_EVENT_EXITED, ANY_TASK));
    assert_int_equal(pf_pool_alive_count(host->pool), 0);
    assert_int_equal(children_alive(), 0);
}

/* ---- Gracefully ------------------------------------------------------------------------ */

static void workers_are_asked_and_end_by_themselves(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 3));

    assert_int_equal(host_stops(host), 0);

    assert_all_ended(host);
    const struct record *stopping = board_find(host->board, PF_EVENT_STOPPING, ANY_TASK, 0);
    assert_string_equal(stopping->message, "Stopping 3 processes");
    assert_int_equal(stopping->signal, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->exit_code, 0);
    }
    assert_int_equal(pf_pool_stop_signal(host->pool), 0);
}

static void the_next_dispatch_stops_and_not_the_call(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 1));
    struct pollfd one = {.fd = pf_pool_fd(host->pool), .events = POLLIN};

    assert_int_equal(pf_pool_stop(host->pool), 0);

    assert_int_equal(poll(&one, 1, 0), 1);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_READY);
    assert_true(process_reaches_state(host_pid(host, 0, 0), 'S'));
    assert_int_equal(host_finishes(host), 0);
    assert_all_ended(host);
}

static int fails_on_term(struct board *board, int task_id, int run) {
    sigset_t term;
    int number = 0;

    (void)task_id;
    (void)run;
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    board_require(board, sigprocmask(SIG_BLOCK, &term, NULL) == 0);
    board_note(board, NOTE_READY, 0);
    board_require(board, sigwait(&term, &number) == 0);
    return 5;
}

static void a_failure_on_the_way_out_is_no_crash(void **state) {
    struct host *host = *state;
    host->work = fails_on_term;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_ALWAYS), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));

    assert_int_equal(host_stops(host), 0);

    assert_all_ended(host);
    for (int i = 0; i < 2; i++) {
        const struct record *end = board_find(host->board, PF_EVENT_EXITED, i, 0);
        assert_int_equal(end->exit_code, 5);
        assert_int_equal(end->level, 6);
        assert_int_equal(end->will_restart, 0);
    }
}

/* ---- The signal ------------------------------------------------------------------------ */

static void assert_stopped_by(struct host *host, int signal) {
    assert_int_equal(pf_pool_set_stop(host->pool, signal, 0), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));

    assert_int_equal(host_stops(host), 0);

    assert_all_ended(host);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->signal, signal);
    }
}

static void the_host_may_choose_usr1(void **state) { assert_stopped_by(*state, SIGUSR1); }

static void the_host_may_choose_int(void **state) { assert_stopped_by(*state, SIGINT); }

static void the_host_may_choose_a_real_time_signal(void **state) {
    assert_stopped_by(*state, SIGRTMIN + 1);
}

/* Worker 0 ends when it is told to in some other way, worker 1 never. */
static int ends_at_the_gate_or_never(struct board *board, int task_id, int run) {
    (void)run;
    board_note(board, NOTE_READY, 0);
    gate_wait(board, task_id);
    return 0;
}

static void without_a_signal_workers_are_given_time_and_then_killed(void **state) {
    struct host *host = *state;
    host->work = ends_at_the_gate_or_never;
    assert_int_equal(pf_pool_set_stop(host->pool, 0, time_scale() * 1000U), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));

    assert_int_equal(pf_pool_stop(host->pool), 0);
    assert_true(host_reaches_state(host, 0, PF_WORKER_STOPPING));
    gate_open(host->board, 0);

    assert_int_equal(host_finishes(host), 0);
    assert_all_ended(host);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->exit_code, 0);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 1, 0)->signal, SIGKILL);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, 1), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, 0), 0);
}

/* ---- At odd moments -------------------------------------------------------------------- */

static void a_stop_before_the_first_dispatch_leaves_nothing(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 30), 0);

    assert_int_equal(host_stops(host), 0);

    assert_all_ended(host);
}

struct stopper {
    struct board *board;
    pf_pool *pool;
    int at; /* the type of the event to stop at */
};

static void stop_at_event(const pf_event *event, void *user) {
    const struct stopper *stopper = user;

    board_note_event(stopper->board, event);
    if (pf_event_type(event) == stopper->at) {
        board_require(stopper->board, pf_pool_stop(stopper->pool) == 0);
    }
}

static void assert_stops_at(struct host *host, int type) {
    struct stopper stopper = {.board = host->board, .pool = host->pool, .at = type};

    assert_int_equal(pf_pool_set_event_callback(host->pool, stop_at_event, &stopper, NULL), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(host_begin(host, 20), 0);
    assert_int_equal(host_finishes(host), 0);
    assert_all_ended(host);
}

static void a_stop_at_the_start_of_the_first_worker(void **state) {
    struct host *host = *state;
    assert_stops_at(host, PF_EVENT_STARTED);
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 1);
}

static void a_stop_before_any_worker_is_started(void **state) {
    struct host *host = *state;
    struct stopper stopper = {.board = host->board, .pool = host->pool, .at = PF_EVENT_STARTING};
    assert_int_equal(pf_pool_set_event_callback(host->pool, stop_at_event, &stopper, NULL), 0);

    assert_int_equal(host_begin(host, 20), 0);

    assert_int_equal(host_finishes(host), 0);
    assert_all_ended(host);
}

static void a_stop_in_a_storm_of_crashes(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_stops_at(host, PF_EVENT_EXITED);
    /* None if all have crashed by then. */
    assert_true(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK) <= 1);
}

static void a_stop_during_backoff_is_immediate(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_backoff(host->pool, 3600000, 3600000), 0);
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, PF_EVENT_EXITED, ANY_TASK, 3));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_BACKOFF);
    }

    assert_int_equal(pf_pool_stop(host->pool), 0);

    assert_int_equal(pf_pool_dispatch(host->pool, 0), 0);
    host->result = 0;
    (void)host_turn(host, 0);
    assert_all_ended(host);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 3);
}

static int crashes_or_obeys(struct board *board, int task_id, int run) {
    return task_id == 0 ? 1 : ends_on_term(board, task_id, run);
}

static void a_stop_during_the_backoff_of_one_stops_the_other(void **state) {
    struct host *host = *state;
    host->work = crashes_or_obeys;
    assert_int_equal(pf_pool_set_backoff(host->pool, 3600000, 3600000), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, 1, 1));
    assert_true(host_reaches_state(host, 0, PF_WORKER_BACKOFF));

    assert_int_equal(host_stops(host), 0);

    assert_all_ended(host);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_EMPTY);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 1);
    assert_string_equal(board_find(host->board, PF_EVENT_STOPPING, ANY_TASK, 0)->message,
                        "Stopping 1 processes");
}

enum { CROWD = 40 };

/* Ends by itself when all of them and the host's stop go through the same gate. */
static int ends_at_the_gate(struct board *board, int task_id, int run) {
    if (run > 0) {
        wait_for_ever();
    }
    board_note(board, NOTE_READY, 0);
    while (__atomic_load_n(&board->gates[0], __ATOMIC_ACQUIRE) == 0) {
        pause_ms(0);
    }
    return task_id % 2;
}

static void workers_that_end_at_the_same_moment_are_reported_once(void **state) {
    struct host *host = *state;
    host->work = ends_at_the_gate;
    assert_int_equal(host_begin(host, CROWD), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, CROWD));

    gate_open(host->board, 0);

    assert_int_equal(host_stops(host), 0);
    assert_all_ended(host);
    assert_in_range(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), CROWD, CROWD + CROWD / 2);
}

/* Some have ended and others have been killed by the time that the pool looks at either. */
static void ends_that_came_before_the_stop_are_reported_with_it(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 4), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 4));
    (void)host_turn(host, 0);

    for (int i = 0; i < 4; i += 2) {
        assert_int_equal(kill(host_pid(host, i, 0), SIGKILL), 0);
        assert_true(process_reaches_state(host_pid(host, i, 0), 'Z'));
    }

    assert_int_equal(host_stops(host), 0);
    assert_all_ended(host);
    for (int i = 0; i < 4; i++) {
        int signal = i % 2 == 0 ? SIGKILL : SIGTERM;
        assert_int_equal(board_count(host->board, PF_EVENT_STARTED, i), 1);
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->signal, signal);
    }
}

/* ---- What still works ------------------------------------------------------------------ */

static void a_pool_that_stops_can_be_signalled_but_not_changed(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 0), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));
    assert_int_equal(pf_pool_stop(host->pool), 0);
    assert_true(host_reaches_state(host, 1, PF_WORKER_STOPPING));

    assert_int_equal(pf_pool_resize(host->pool, 3), -ECANCELED);
    assert_int_equal(pf_pool_replace_worker(host->pool, 0), -ECANCELED);
    assert_int_equal(pf_pool_send_signal(host->pool, -1, SIGUSR1), 0);

    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGUSR1);
    assert_int_equal(pf_pool_stop(host->pool), 0);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(pf_pool_send_signal(host->pool, -1, SIGUSR1), -ECANCELED);
    assert_int_equal(pf_pool_resize(host->pool, 3), -ECANCELED);
    assert_int_equal(pf_pool_replace_worker(host->pool, 0), -ECANCELED);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(workers_are_asked_and_end_by_themselves),
        host_test(the_next_dispatch_stops_and_not_the_call),
        host_test(a_failure_on_the_way_out_is_no_crash),
        host_test(the_host_may_choose_usr1),
        host_test(the_host_may_choose_int),
        host_test(the_host_may_choose_a_real_time_signal),
        host_test(without_a_signal_workers_are_given_time_and_then_killed),
        host_test(a_stop_before_the_first_dispatch_leaves_nothing),
        host_test(a_stop_before_any_worker_is_started),
        host_test(a_stop_at_the_start_of_the_first_worker),
        host_test(a_stop_in_a_storm_of_crashes),
        host_test(a_stop_during_backoff_is_immediate),
        host_test(a_stop_during_the_backoff_of_one_stops_the_other),
        host_test(workers_that_end_at_the_same_moment_are_reported_once),
        host_test(ends_that_came_before_the_stop_are_reported_with_it),
        host_test(a_pool_that_stops_can_be_signalled_but_not_changed),
    };

    return run_group_with_each_backend("pool stop", tests);
}
