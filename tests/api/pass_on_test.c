/*
 * pass_on_test.c - USR1, USR2 and WINCH reach workers that are not ready yet once they are
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

enum { SLOTS = 2, HOUR_MS = 3600000 };
enum { NOTE_WAITS = KIND_NOTE, NOTE_GOT };

static struct board *handler_board;

static void note_signal(int signal) { board_note(handler_board, NOTE_GOT, signal); }

static int serves(struct board *board, int task_id, int run) {
    handler_board = board;
    board_require(board, signal(SIGUSR1, note_signal) != SIG_ERR);
    board_require(board, signal(SIGUSR2, note_signal) != SIG_ERR);
    board_require(board, signal(SIGWINCH, note_signal) != SIG_ERR);
    board_require(board, pf_worker_ready() == 0);
    return ends_on_term(board, task_id, run);
}

/* Without a handler, and so dead of a signal that came now. */
static int waits(struct board *board, int task_id, int run) {
    board_note(board, NOTE_WAITS, 0);
    gate_wait(board, 0);
    return serves(board, task_id, run);
}

static int waits_in_slot_1(struct board *board, int task_id, int run) {
    return task_id == 1 ? waits(board, task_id, run) : serves(board, task_id, run);
}

static int waits_if_new(struct board *board, int task_id, int run) {
    return run > 0 ? waits(board, task_id, run) : serves(board, task_id, run);
}

static void begin(struct host *host) {
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 1), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);
}

static void take_all(const struct host *host) {
    assert_int_equal(pf_pool_handle_signal(host->pool, SIGUSR1), 0);
    assert_int_equal(pf_pool_handle_signal(host->pool, SIGUSR2), 0);
    assert_int_equal(pf_pool_handle_signal(host->pool, SIGWINCH), 0);
}

static unsigned count_of(const struct host *host, pid_t pid, int signal) {
    const struct record *record = NULL;
    unsigned count = 0;

    for (unsigned i = 0; (record = board_find(host->board, NOTE_GOT, ANY_TASK, i)); i++) {
        count += record->author == pid && record->value == signal ? 1 : 0;
    }
    return count;
}

static void assert_got_each_once(const struct host *host, pid_t pid) {
    assert_int_equal(count_of(host, pid, SIGUSR1), 1);
    assert_int_equal(count_of(host, pid, SIGUSR2), 1);
    assert_int_equal(count_of(host, pid, SIGWINCH), 1);
}

static void a_worker_that_is_starting_gets_them_once_it_is_ready(void **state) {
    struct host *host = *state;
    host->work = waits_in_slot_1;
    begin(host);
    assert_true(host_reaches(host, NOTE_WAITS, 1, 1));
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    take_all(host);
    assert_true(host_reaches(host, NOTE_GOT, 0, 3));
    take_all(host); /* again: it gets each once */
    assert_true(host_reaches(host, NOTE_GOT, 0, 6));
    assert_int_equal(board_count(host->board, NOTE_GOT, 1), 0);
    gate_open(host->board, 0);

    assert_true(host_reaches(host, NOTE_GOT, 1, 3));
    host_goes_on(host, 30);
    assert_got_each_once(host, host_pid(host, 1, 0));
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0)->restarts, 0);
}

static void a_replacement_gets_them_and_the_old_one_too(void **state) {
    struct host *host = *state;
    host->work = waits_if_new;
    begin(host);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, SLOTS));
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, SLOTS));
    assert_int_equal(host_replaces(host, 0), 0);
    assert_true(host_reaches(host, NOTE_WAITS, 0, 1));

    take_all(host);
    assert_true(host_reaches(host, NOTE_GOT, ANY_TASK, 6));
    assert_got_each_once(host, host_pid(host, 0, 0));
    assert_got_each_once(host, host_pid(host, 1, 0));
    gate_open(host->board, 0);

    assert_true(host_reaches(host, NOTE_GOT, ANY_TASK, 9));
    assert_got_each_once(host, host_pid(host, 0, 1));
    assert_int_equal(host_stops(host), 0);
}

static int crashes_first_in_slot_1(struct board *board, int task_id, int run) {
    return task_id == 1 && run == 0 ? 1 : serves(board, task_id, run);
}

static void a_slot_in_backoff_has_nobody_to_get_them(void **state) {
    struct host *host = *state;
    host->work = crashes_first_in_slot_1;
    assert_int_equal(pf_pool_set_backoff(host->pool, HOUR_MS, HOUR_MS), 0);
    begin(host);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_true(host_reaches_state(host, 1, PF_WORKER_BACKOFF));

    take_all(host);
    assert_true(host_reaches(host, NOTE_GOT, 0, 3));
    assert_int_equal(host_replaces(host, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_READY, 1, 1));
    assert_true(host_reaches(host, NOTE_READY, 1, 1));
    host_goes_on(host, 30);
    assert_int_equal(board_count(host->board, NOTE_GOT, 1), 0);
    assert_int_equal(host_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_worker_that_is_starting_gets_them_once_it_is_ready),
        host_test(a_replacement_gets_them_and_the_old_one_too),
        host_test(a_slot_in_backoff_has_nobody_to_get_them),
    };

    return run_group_with_each_backend("signals that are passed on", tests);
}
