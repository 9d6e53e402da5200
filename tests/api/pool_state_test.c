/*
 * pool_state_test.c - what the getters tell in each state, and signals to workers
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

enum { NOTE_GOT = KIND_NOTE };

/* ---- Each state ------------------------------------------------------------------------ */

static void before_the_first_dispatch_all_are_starting(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 3), 0);

    assert_int_equal(pf_pool_worker_count(host->pool), 3);
    assert_int_equal(pf_pool_alive_count(host->pool), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_STARTING);
        assert_int_equal(pf_pool_worker_pid(host->pool, i), 0);
        assert_int_equal(pf_pool_worker_restarts(host->pool, i), 0);
        assert_int_equal(pf_pool_worker_uptime_ms(host->pool, i), 0);
        assert_int_equal(pf_pool_send_signal(host->pool, i, SIGTERM), -ESRCH);
    }
    assert_int_equal(pf_pool_send_signal(host->pool, -1, SIGTERM), 0); /* to nobody */
    assert_int_equal(pf_pool_stop_signal(host->pool), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 3));
    assert_int_equal(host_stops(host), 0);
}

static void at_work_they_are_ready(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));

    assert_int_equal(pf_pool_alive_count(host->pool), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_READY);
        assert_int_equal(pf_pool_worker_pid(host->pool, i), host_pid(host, i, 0));
        assert_int_equal(pf_pool_worker_pid(host->pool, i),
                         board_find(host->board, KIND_WORKER, i, 0)->author);
    }
    uint64_t before_ms = pf_pool_worker_uptime_ms(host->pool, 0);
    host_goes_on(host, 30);
    assert_true(pf_pool_worker_uptime_ms(host->pool, 0) >= before_ms + 28);
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reaches(host, KIND_WORKER, 0, 2));
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 1);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 1), 0);
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 1));
    assert_int_equal(host_stops(host), 0);
}

static void on_the_way_out_they_are_stopping(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));

    assert_int_equal(pf_pool_stop(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_STOPPING, ANY_TASK, 1));

    for (int i = 0; i < 2; i++) {
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_STOPPING);
        assert_int_equal(pf_pool_worker_pid(host->pool, i), host_pid(host, i, 0));
    }
    assert_int_equal(pf_pool_alive_count(host->pool), 2);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
}

static void between_two_lives_they_are_in_backoff(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_backoff(host->pool, 3600000, 3600000), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reaches_state(host, 0, PF_WORKER_BACKOFF));

    assert_int_equal(pf_pool_worker_pid(host->pool, 0), 0);
    assert_int_equal(pf_pool_worker_uptime_ms(host->pool, 0), 0);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 1);
    assert_int_equal(pf_pool_alive_count(host->pool), 0);
    assert_int_equal(pf_pool_worker_count(host->pool), 1);
    assert_int_equal(pf_pool_send_signal(host->pool, 0, SIGTERM), -ESRCH);
}

static int ends_or_stays(struct board *board, int task_id, int run) {
    return task_id == 0 ? 0 : ends_on_term(board, task_id, run);
}

static void after_a_normal_end_they_are_done(void **state) {
    struct host *host = *state;
    host->work = ends_or_stays;
    assert_int_equal(host_begin(host, 2), 0);

    assert_true(host_reaches_state(host, 0, PF_WORKER_DONE));

    assert_int_equal(pf_pool_worker_pid(host->pool, 0), 0);
    assert_int_equal(pf_pool_send_signal(host->pool, 0, SIGTERM), -ESRCH);
    assert_true(host_reaches(host, NOTE_READY, 1, 1));
    assert_int_equal(pf_pool_alive_count(host->pool), 1);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_DONE);
    assert_int_equal(pf_pool_worker_state(host->pool, 1), PF_WORKER_EMPTY);
}

static void after_the_end_the_getters_still_answer(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 4), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(pf_pool_worker_count(host->pool), 1);
    assert_int_equal(pf_pool_alive_count(host->pool), 0);
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), 0);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_EMPTY);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 4);
    assert_int_equal(pf_pool_worker_uptime_ms(host->pool, 0), 0);
    assert_int_equal(pf_pool_stop_signal(host->pool), 0);
}

/* ---- Signals to workers ---------------------------------------------------------------- */

static struct board *handler_board;

static void note_signal(int signal) { board_note(handler_board, NOTE_GOT, signal); }

static int notes_signals(struct board *board, int task_id, int run) {
    handler_board = board;
    board_require(board, signal(SIGUSR1, note_signal) != SIG_ERR);
    board_require(board, signal(SIGRTMIN, note_signal) != SIG_ERR);
    return ends_on_term(board, task_id, run);
}

static void one_worker_or_all_get_a_signal(void **state) {
    struct host *host = *state;
    host->work = notes_signals;
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 3));

    assert_int_equal(pf_pool_send_signal(host->pool, 1, SIGUSR1), 0);
    assert_true(host_reaches(host, NOTE_GOT, 1, 1));
    assert_int_equal(pf_pool_send_signal(host->pool, -1, SIGRTMIN), 0);
    assert_true(host_reaches(host, NOTE_GOT, ANY_TASK, 4));

    assert_int_equal(board_count(host->board, NOTE_GOT, 0), 1);
    assert_int_equal(board_count(host->board, NOTE_GOT, 1), 2);
    assert_int_equal(board_find(host->board, NOTE_GOT, 1, 0)->value, SIGUSR1);
    assert_int_equal(board_find(host->board, NOTE_GOT, 2, 0)->value, SIGRTMIN);
    assert_int_equal(pf_pool_send_signal(host->pool, 0, 0), 0); /* only asks */
    assert_int_equal(host_stops(host), 0);
}

static void an_end_by_it_is_abnormal(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));

    assert_int_equal(pf_pool_send_signal(host->pool, -1, SIGTERM), 0);

    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 4));
    for (int i = 0; i < 2; i++) {
        const struct record *end = board_find(host->board, PF_EVENT_EXITED, i, 0);
        assert_int_equal(end->signal, SIGTERM);
        assert_int_equal(end->level, 4);
        assert_int_equal(end->will_restart, 1);
        assert_int_equal(pf_pool_worker_restarts(host->pool, i), 1);
    }
    assert_int_equal(host_stops(host), 0);
}

static void a_worker_that_has_ended_untold_is_not_signalled(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, KIND_WORKER, 0, 1));
    pid_t pid = host_pid(host, 0, 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_true(process_reaches_state(pid, 'Z'));

    int result = pf_pool_send_signal(host->pool, 0, SIGTERM);

    assert_true(result == 0 || result == -ESRCH);
    assert_true(host_reaches(host, KIND_WORKER, 0, 2));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGKILL);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, 0), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(before_the_first_dispatch_all_are_starting),
        host_test(at_work_they_are_ready),
        host_test(on_the_way_out_they_are_stopping),
        host_test(between_two_lives_they_are_in_backoff),
        host_test(after_a_normal_end_they_are_done),
        host_test(after_the_end_the_getters_still_answer),
        host_test(one_worker_or_all_get_a_signal),
        host_test(an_end_by_it_is_abnormal),
        host_test(a_worker_that_has_ended_untold_is_not_signalled),
    };

    return run_group_with_each_backend("pool state", tests);
}
