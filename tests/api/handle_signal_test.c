/*
 * handle_signal_test.c - signals that the host has received and hands on: pf_pool_handle_signal()
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_GOT = KIND_NOTE };

static void begin(struct host *host, int workers, int (*work)(struct board *, int, int)) {
    host->work = work;
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, (unsigned)workers));
    while (host_turn(host, 0) && pf_pool_worker_state(host->pool, workers - 1) != PF_WORKER_READY) {
    }
}

static void take(struct host *host, int signal) {
    assert_int_equal(pf_pool_handle_signal(host->pool, signal), 0);
}

static void assert_stopped_by(struct host *host, int signal) {
    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(pf_pool_stop_signal(host->pool), signal);
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 1);
    assert_int_equal(board_find(host->board, PF_EVENT_STOPPING, ANY_TASK, 0)->signal, signal);
}

static void wait_at_least_ms(uint64_t milliseconds) {
    uint64_t since_ms = now_ms();

    while (now_ms() <= since_ms + milliseconds) {
        pause_ms(10);
    }
}

/* ---- To stop --------------------------------------------------------------------------- */

static void term_stops_gracefully(void **state) {
    struct host *host = *state;
    struct pollfd descriptor = {.events = POLLIN};
    struct sigaction action;
    begin(host, 2, ends_on_term);

    take(host, SIGTERM);

    descriptor.fd = pf_pool_fd(host->pool);
    assert_int_equal(poll(&descriptor, 1, 0), 1);
    assert_stopped_by(host, SIGTERM);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->exit_code, 0);
    }
    assert_int_equal(sigaction(SIGTERM, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
}

static void assert_kills_after(struct host *host, int signal, uint64_t timeout_ms) {
    begin(host, 2, ignores_term);

    take(host, signal);

    assert_stopped_by(host, signal);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 2);
    assert_int_equal(board_find(host->board, PF_EVENT_KILLED, ANY_TASK, 0)->delay_ms, timeout_ms);
}

static void int_gives_a_second_at_most(void **state) { assert_kills_after(*state, SIGINT, 1000); }

static void quit_gives_no_more_than_the_hosts_own_time(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 150), 0);
    assert_kills_after(host, SIGQUIT, 150);
}

static void a_second_one_kills(void **state) {
    struct host *host = *state;
    begin(host, 2, ignores_term);
    take(host, SIGTERM);
    assert_true(host_reaches(host, PF_EVENT_STOPPING, ANY_TASK, 1));
    wait_at_least_ms(250);
    (void)host_turn(host, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);

    take(host, SIGINT);

    assert_stopped_by(host, SIGTERM);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->signal, SIGKILL);
    }
}

static int waits_for_the_gate(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, signal(SIGTERM, SIG_IGN) != SIG_ERR);
    board_note(board, NOTE_READY, 0);
    gate_wait(board, 0);
    return 0;
}

static void those_before_a_dispatch_are_one_request(void **state) {
    struct host *host = *state;
    begin(host, 2, waits_for_the_gate);

    take(host, SIGTERM);
    take(host, SIGTERM);
    take(host, SIGQUIT);
    assert_true(host_turn(host, 0));
    gate_open(host->board, 0);

    assert_stopped_by(host, SIGTERM);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->exit_code, 0);
    }
}

/* Nothing but the signal could make the descriptor readable. */
static void a_pool_that_has_no_process_handles_them_too(void **state) {
    struct host *host = *state;
    struct pollfd descriptor = {.events = POLLIN};
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_backoff(host->pool, 3600000, 3600000), 0);
    assert_int_equal(pf_pool_set_event_callback(host->pool, host_note_event, host->board, NULL), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches_state(host, 0, PF_WORKER_BACKOFF));
    descriptor.fd = pf_pool_fd(host->pool);
    assert_int_equal(poll(&descriptor, 1, 0), 0);

    take(host, SIGTERM);

    assert_int_equal(poll(&descriptor, 1, 0), 1);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 0);
    assert_int_equal(pf_pool_stop_signal(host->pool), SIGTERM);
}

static void stop_when_all_are_ready(const pf_event *event, void *user) {
    struct host *host = user;

    host_note_event(event, host->board);
    if (pf_event_type(event) == PF_EVENT_STARTED && pf_event_task_id(event) == 1) {
        board_require(host->board, pf_pool_handle_signal(host->pool, SIGTERM) == 0);
    }
}

static void a_callback_may_hand_one_on(void **state) {
    struct host *host = *state;
    int task_id = 0;
    assert_int_equal(pf_pool_set_event_callback(host->pool, stop_when_all_are_ready, host, NULL),
                     0);
    assert_int_equal(pf_pool_set_workers(host->pool, 2), 0);

    host->result = pf_pool_run(host->pool, &task_id);

    assert_stopped_by(host, SIGTERM);
}

/* ---- To change ------------------------------------------------------------------------- */

static void hup_reloads(void **state) {
    struct host *host = *state;
    begin(host, 1, ends_on_term);

    take(host, SIGHUP);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 2);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(pf_pool_stop_signal(host->pool), 0);
}

static void ttin_and_ttou_change_the_number(void **state) {
    struct host *host = *state;
    begin(host, 1, ends_on_term);

    take(host, SIGTTIN);
    assert_true(host_reaches(host, NOTE_READY, 1, 1));
    assert_int_equal(pf_pool_worker_count(host->pool), 2);
    take(host, SIGTTOU);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 1));
    assert_int_equal(pf_pool_worker_count(host->pool), 1);
    take(host, SIGTTOU); /* never below 1 */
    (void)host_turn(host, 0);
    assert_int_equal(pf_pool_worker_count(host->pool), 1);

    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_RESIZED, ANY_TASK), 2);
}

/* ---- To pass on ------------------------------------------------------------------------ */

static struct board *handler_board;

static void note_signal(int signal) { board_note(handler_board, NOTE_GOT, signal); }

static int notes_signals(struct board *board, int task_id, int run) {
    handler_board = board;
    board_require(board, signal(SIGUSR1, note_signal) != SIG_ERR);
    board_require(board, signal(SIGUSR2, note_signal) != SIG_ERR);
    board_require(board, signal(SIGWINCH, note_signal) != SIG_ERR);
    return ends_on_term(board, task_id, run);
}

static void usr1_usr2_and_winch_reach_all_workers(void **state) {
    static const int passed[] = {SIGUSR1, SIGUSR2, SIGWINCH};
    struct host *host = *state;
    begin(host, 2, notes_signals);

    for (unsigned i = 0; i < 3; i++) {
        take(host, passed[i]);
        for (int task_id = 0; task_id < 2; task_id++) {
            assert_true(host_reaches(host, NOTE_GOT, task_id, i + 1));
            assert_int_equal(board_find(host->board, NOTE_GOT, task_id, i)->value, passed[i]);
        }
    }

    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, NOTE_GOT, ANY_TASK), 6);
}

/* ---- What is refused ------------------------------------------------------------------- */

static void other_signals_are_refused_and_change_nothing(void **state) {
    static const int others[] = {-1, 0, SIGKILL, SIGSTOP, SIGCHLD, SIGALRM, SIGPIPE, 64, 65, 4096};
    struct host *host = *state;
    assert_int_equal(pf_pool_handle_signal(NULL, SIGTERM), -EINVAL);
    assert_int_equal(pf_pool_handle_signal(host->pool, SIGTERM), -EINVAL); /* before the start */
    begin(host, 1, ends_on_term);

    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(pf_pool_handle_signal(host->pool, others[i]), -EINVAL);
    }
    host_goes_on(host, 20);

    assert_int_equal(pf_pool_alive_count(host->pool), 1);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(pf_pool_handle_signal(host->pool, SIGTERM), 0); /* as a stop after the end */
    assert_int_equal(pf_pool_handle_signal(host->pool, SIGKILL), -EINVAL);
    assert_int_equal(pf_pool_stop_signal(host->pool), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_RESIZED, ANY_TASK), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(term_stops_gracefully),
        host_test(int_gives_a_second_at_most),
        host_test(quit_gives_no_more_than_the_hosts_own_time),
        host_test(a_second_one_kills),
        host_test(those_before_a_dispatch_are_one_request),
        host_test(a_pool_that_has_no_process_handles_them_too),
        host_test(a_callback_may_hand_one_on),
        host_test(hup_reloads),
        host_test(ttin_and_ttou_change_the_number),
        host_test(usr1_usr2_and_winch_reach_all_workers),
        host_test(other_signals_are_refused_and_change_nothing),
    };

    return run_group_with_each_backend("taken signals", tests);
}
