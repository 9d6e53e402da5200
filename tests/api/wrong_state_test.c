/*
 * wrong_state_test.c - functions of a pool called in a state where they can do nothing, and what
 * the getters return in states that last only a moment
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "forker.h"

/* ---- Settings -------------------------------------------------------------------------- */

static void a_default_can_be_set(void **state) {
    struct host *host = *state;

    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_DEGRADE), 0);
    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_STOP), 0);
    assert_int_equal(pf_pool_set_thread_policy(host->pool, PF_THREADS_ALLOW), 0);
    assert_int_equal(pf_pool_set_thread_policy(host->pool, PF_THREADS_REFUSE), 0);
}

static void more_room_than_there_are_sockets_is_no_mistake(void **state) {
    int fds[1024] = {0};
    (void)state;

    assert_int_equal(pf_bind_sockets("127.0.0.1", 0, AF_INET, 0, 0, fds, 1024), 1);
    assert_int_equal(close(fds[0]), 0);
}

/* ---- States ---------------------------------------------------------------------------- */

static void a_requested_worker_is_starting(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), -EINVAL);
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);

    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_STARTING);
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), 0);

    assert_int_equal(forker_fork(host, 0), 0);
    assert_true(forker_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(forker_stops(host), 0);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EAGAIN), -ESRCH);
    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), -ESRCH);
}

static void a_killed_worker_is_stopping(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    pid_t worker = host_pid(host, 0, 0);
    assert_int_equal(kill(worker, SIGSTOP), 0);

    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 1), -EBUSY);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(pf_pool_dispatch(host->pool, 0) >= 0, 1);

    const int found = pf_pool_worker_state(host->pool, 0); /* it may have ended already */
    assert_true(found == PF_WORKER_STOPPING || found == PF_WORKER_EMPTY);
    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_EMPTY);
}

/* It does not end of the signal that asks for a core dump. */
static int hangs(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, signal(SIGABRT, SIG_IGN) != SIG_ERR);
    board_require(board, pf_worker_heartbeat() == 0);
    board_note(board, NOTE_READY, 0);
    wait_for_ever();
    return 0;
}

static void a_worker_that_hangs_is_stopping(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, 100), 0);
    host->work = hangs;
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_UNRESPONSIVE, 0, 1));
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_STOPPING);

    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
}

static void a_pool_that_runs_gives_no_events(void **state) {
    struct host *host = *state;
    const pf_event *event = NULL;
    int task_id = 7;
    host->scenario->output_taken = true;
    host->work = ends_at_once;
    host->board->of_pool = 0;
    assert_int_equal(pf_pool_set_event_callback(host->pool, host_note_event, host->board, NULL), 0);
    assert_int_equal(pf_pool_set_workers(host->pool, 1), 0);

    assert_int_equal(pf_pool_run(host->pool, &task_id), 0);

    assert_int_equal(task_id, -1);
    assert_int_equal(pf_pool_next_event(host->pool, &event), 0);
    assert_null(event);
    assert_int_equal(pf_pool_run(host->pool, &task_id), -EALREADY);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_default_can_be_set),
        host_test(more_room_than_there_are_sockets_is_no_mistake),
        host_test(a_requested_worker_is_starting),
        host_test(a_killed_worker_is_stopping),
        host_test(a_worker_that_hangs_is_stopping),
        host_test(a_pool_that_runs_gives_no_events),
    };

    return run_group_with_each_backend("wrong states", tests);
}
