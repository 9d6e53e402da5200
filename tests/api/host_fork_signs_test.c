/*
 * host_fork_signs_test.c - what workers that the host forks say and hear, and how they are replaced
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "forker.h"

enum { NOTE_WAITS = KIND_NOTE, NOTE_TOLD = KIND_NOTE + 1 };
enum { SLOTS = 2, SHORT_MS = 200, MS = 1000000 };

static int serves(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    return ends_on_term(board, task_id, run);
}

static void begin_ready(struct host *host, uint64_t timeout_ms) {
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, timeout_ms), 0);
    assert_int_equal(forker_begin(host, SLOTS), 0);
}

static void begin_serving(struct host *host) {
    host->work = serves;
    begin_ready(host, PATIENCE_MS);
    assert_true(forker_reaches(host, NOTE_READY, ANY_TASK, SLOTS));
    assert_true(forker_reaches(host, PF_EVENT_READY, ANY_TASK, SLOTS));
}

/* ---- Readiness ------------------------------------------------------------------------- */

static int serves_after_the_gate(struct board *board, int task_id, int run) {
    gate_wait(board, 0);
    return serves(board, task_id, run);
}

static void a_worker_is_starting_until_it_says_that_it_is_ready(void **state) {
    struct host *host = *state;
    host->work = serves_after_the_gate;
    begin_ready(host, PATIENCE_MS);
    assert_true(forker_reaches(host, KIND_WORKER, ANY_TASK, SLOTS));
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_STARTING);

    gate_open(host->board, 0);

    assert_true(forker_reaches(host, PF_EVENT_READY, ANY_TASK, SLOTS));
    for (int i = 0; i < SLOTS; i++) {
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_READY);
        assert_int_equal(board_find(host->board, PF_EVENT_READY, i, 0)->pid, host_pid(host, i, 0));
    }
    assert_int_equal(forker_stops(host), 0);
}

static void the_time_to_get_ready_begins_when_the_pool_knows_the_worker(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    begin_ready(host, SHORT_MS);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(forker_take(host), 1);
    pid_t child = forker_child(host, 0);
    for (uint64_t since = now_ms(); now_ms() - since < 2 * SHORT_MS;) {
        assert_int_equal(pf_pool_dispatch(host->pool, SHORT_MS / 10), 1);
    }

    assert_int_equal(pf_pool_fork_parent(host->pool, 0, child), 0);
    assert_int_equal(forker_fork(host, 1), 0);

    assert_int_equal(forker_finishes(host), PF_EGAVEUP);
    const struct record *started = board_find(host->board, PF_EVENT_STARTED, 0, 0);
    const struct record *told = board_find(host->board, PF_EVENT_UNRESPONSIVE, 0, 0);
    assert_int_equal(told->pid, child);
    assert_true(told->time_ns - started->time_ns >= (uint64_t)SHORT_MS * MS);
    assert_int_equal(board_find_pid(host->board, PF_EVENT_EXITED, child)->signal, SIGKILL);
}

/* ---- Signs of life, and the word to stop ----------------------------------------------- */

static int hangs_after_a_beat(struct board *board, int task_id, int run) {
    struct rlimit none = {0, 0};

    board_require(board, setrlimit(RLIMIT_CORE, &none) == 0);
    board_require(board, pf_worker_heartbeat() == 0);
    if (task_id == 0 && run == 0) {
        wait_for_ever();
    }
    while (pf_worker_heartbeat() == 0) {
        pause_ms(5);
    }
    return 1;
}

static void a_worker_that_hangs_is_aborted_and_asked_for_again(void **state) {
    struct host *host = *state;
    host->work = hangs_after_a_beat;
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, 2 * SHORT_MS), 0);
    assert_int_equal(forker_begin(host, SLOTS), 0);

    assert_true(forker_reaches(host, KIND_WORKER, 0, 2));

    const struct record *exited = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(exited->signal, SIGABRT);
    assert_int_equal(exited->restarts, 1);
    assert_int_equal(board_find(host->board, PF_EVENT_UNRESPONSIVE, 0, 0)->pid, exited->pid);
    assert_int_equal(board_count(host->board, PF_EVENT_FORK_WANTED, 0), 2);
}

static int ends_when_told(struct board *board, int task_id, int run) {
    struct pollfd one = {.fd = pf_worker_stop_fd(), .events = POLLIN};

    (void)task_id;
    (void)run;
    board_require(board, one.fd >= 0);
    board_require(board, poll(&one, 1, 0) == 0);
    board_note(board, NOTE_WAITS, 0);
    board_require(board, poll(&one, 1, -1) == 1);
    board_note(board, NOTE_TOLD, 0);
    return 0;
}

static void a_stop_is_reported_by_the_descriptor(void **state) {
    struct host *host = *state;
    host->work = ends_when_told;
    assert_int_equal(pf_pool_set_stop(host->pool, 0, PATIENCE_MS), 0);
    assert_int_equal(forker_begin(host, SLOTS), 0);
    assert_true(forker_reaches(host, NOTE_WAITS, ANY_TASK, SLOTS));

    assert_int_equal(forker_stops(host), 0);

    assert_int_equal(board_count(host->board, NOTE_TOLD, ANY_TASK), SLOTS);
}

static int ends_when_told_at_any_time(struct board *board, int task_id, int run) {
    struct pollfd one = {.fd = pf_worker_stop_fd(), .events = POLLIN};

    (void)task_id;
    (void)run;
    board_require(board, poll(&one, 1, (int)PATIENCE_MS) == 1);
    board_note(board, NOTE_TOLD, 0);
    return 0;
}

static void a_stop_before_the_fork_is_reported_by_the_descriptor(void **state) {
    struct host *host = *state;
    host->work = ends_when_told_at_any_time;
    assert_int_equal(pf_pool_set_stop(host->pool, 0, 2 * PATIENCE_MS), 0);
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);
    pf_pool_stop(host->pool);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1);

    assert_int_equal(forker_fork(host, 0), 0);

    assert_int_equal(forker_finishes(host), 0);
    assert_int_equal(board_count(host->board, NOTE_TOLD, 0), 1);
}

static int has_what_it_was_given(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, pf_worker_fd("log") == STDERR_FILENO);
    board_require(board, pf_worker_fd("other") == -ENOENT);
    board_require(board, strcmp(pf_worker_pool_name(), "forked") == 0);
    return 0;
}

static void a_worker_finds_its_pool_and_what_that_gave_it(void **state) {
    struct host *host = *state;
    host->work = has_what_it_was_given;
    assert_int_equal(pf_pool_set_name(host->pool, "forked"), 0);
    assert_int_equal(pf_pool_add_fd(host->pool, "log", STDERR_FILENO), 0);
    assert_int_equal(forker_begin(host, SLOTS), 0);

    assert_int_equal(forker_finishes(host), 0);

    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), SLOTS);
}

static void a_pool_whose_host_forks_has_no_program(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", NULL, NULL), 0);
    assert_int_equal(forker_begin(host, SLOTS), -EINVAL);
    assert_int_equal(pf_pool_set_host_fork(host->pool, 0), 0);
}

/* ---- Replacements ---------------------------------------------------------------------- */

static void reload(struct host *host) {
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_reload(host->pool), 0);
}

static void reloads(struct host *host, int order) {
    assert_int_equal(pf_pool_set_reload_order(host->pool, order), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0); /* a reload does not count */
    begin_serving(host);

    reload(host);

    assert_true(forker_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(forker_reaches(host, PF_EVENT_EXITED, ANY_TASK, SLOTS));
    for (int i = 0; i < SLOTS; i++) {
        assert_int_equal(board_count(host->board, PF_EVENT_FORK_WANTED, i), 2);
        assert_int_equal(pf_pool_worker_pid(host->pool, i), host_pid(host, i, 1));
        const struct record *wanted = board_find(host->board, PF_EVENT_FORK_WANTED, i, 1);
        const struct record *exited = board_find(host->board, PF_EVENT_EXITED, i, 0);
        assert_int_equal(exited->pid, host_pid(host, i, 0));
        assert_true((wanted->time_ns <= exited->time_ns) == (order == PF_RELOAD_START_FIRST));
    }
    assert_int_equal(forker_stops(host), 0);
}

static void a_reload_asks_for_each_new_worker_beside_the_old(void **state) {
    reloads(*state, PF_RELOAD_START_FIRST);
}

static void a_reload_asks_for_each_new_worker_after_the_old(void **state) {
    reloads(*state, PF_RELOAD_STOP_FIRST);
}

static void a_reload_whose_fork_fails_leaves_the_old_workers(void **state) {
    struct host *host = *state;
    begin_serving(host);

    reload(host);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EPERM), 0);

    assert_true(forker_reaches(host, PF_EVENT_RELOAD_FAILED, ANY_TASK, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_RELOAD_FAILED, 0, 0)->error, -EPERM);
    for (int i = 0; i < SLOTS; i++) {
        assert_int_equal(pf_pool_worker_pid(host->pool, i), host_pid(host, i, 0));
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_READY);
    }
    assert_int_equal(forker_stops(host), 0);
}

static void a_worker_that_is_old_enough_is_asked_for_again(void **state) {
    struct host *host = *state;
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_lifetime(host->pool, SHORT_MS, 0), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    begin_serving(host);

    assert_true(forker_reaches(host, PF_EVENT_READY, 0, 2));
    assert_true(forker_reaches(host, PF_EVENT_READY, 1, 2));

    assert_true(board_count(host->board, PF_EVENT_FORK_WANTED, 0) >= 2);
    assert_int_equal(forker_stops(host), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0)->restarts, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_worker_is_starting_until_it_says_that_it_is_ready),
        host_test(the_time_to_get_ready_begins_when_the_pool_knows_the_worker),
        host_test(a_worker_that_hangs_is_aborted_and_asked_for_again),
        host_test(a_stop_is_reported_by_the_descriptor),
        host_test(a_stop_before_the_fork_is_reported_by_the_descriptor),
        host_test(a_worker_finds_its_pool_and_what_that_gave_it),
        host_test(a_pool_whose_host_forks_has_no_program),
        host_test(a_reload_asks_for_each_new_worker_beside_the_old),
        host_test(a_reload_asks_for_each_new_worker_after_the_old),
        host_test(a_reload_whose_fork_fails_leaves_the_old_workers),
        host_test(a_worker_that_is_old_enough_is_asked_for_again),
    };

    return run_group_with_each_backend("signs of workers of a host that forks", tests);
}
