/*
 * host_fork_worker_test.c - how a child of the host's own fork becomes a worker, or does not
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "forker.h"

enum { NOTE_VALUE = KIND_NOTE, NOTE_AT_GATE };

/* ---- Being let in ---------------------------------------------------------------------- */

static void a_child_waits_until_the_pool_knows_it(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 2), 0);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(forker_take(host), 1);
    pid_t first = forker_child(host, 0);
    pid_t second = forker_child(host, 1);
    assert_true(process_reaches_state(first, 'S'));
    assert_true(process_reaches_state(second, 'S'));

    assert_int_equal(pf_pool_fork_parent(host->pool, 1, second), 0);

    assert_true(board_reaches(host->board, KIND_WORKER, 1, 1));
    host_goes_on(host, 120); /* more than twice as long as a child waits at a time */
    assert_int_equal(board_count(host->board, KIND_WORKER, 0), 0);
    assert_true(process_reaches_state(first, 'S'));
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, first), 0);
    assert_true(board_reaches(host->board, KIND_WORKER, 0, 1));
    assert_int_equal(board_find(host->board, KIND_WORKER, 0, 0)->author, first);
    assert_int_equal(board_find(host->board, KIND_WORKER, 1, 0)->author, second);
}

/* The gate stays as it was left: what was true of the last worker is not of the next. */
static void each_worker_of_a_slot_waits_for_its_own_turn(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 1), 0);
    for (unsigned run = 0; run < 3; run++) {
        assert_int_equal(forker_take(host), 0);
        pid_t child = forker_child(host, 0);
        assert_true(process_reaches_state(child, 'S'));
        assert_int_equal(board_count(host->board, KIND_WORKER, 0), run);
        assert_int_equal(pf_pool_fork_parent(host->pool, 0, child), 0);
        assert_true(board_reaches(host->board, KIND_WORKER, 0, run + 1));
        assert_int_equal(kill(child, SIGKILL), 0);
    }
}

static void a_child_that_ended_already_is_reported(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_reap_orphans(host->pool, 1), 0);
    assert_int_equal(forker_begin(host, 2), 0);
    assert_int_equal(forker_take(host), 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(7);
    }
    assert_true(process_reaches_state(child, 'Z'));
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1); /* which leaves it alone */

    assert_int_equal(pf_pool_fork_parent(host->pool, 0, child), 0);

    assert_true(forker_reaches(host, PF_EVENT_EXITED, 0, 1));
    const struct record *end = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(end->pid, child);
    assert_int_equal(end->exit_code, 7);
    assert_int_equal(end->will_restart, 1);
    assert_true(forker_reaches(host, KIND_WORKER, ANY_TASK, 2));
}

/* ---- Not being let in ------------------------------------------------------------------ */

static void a_child_that_nobody_asked_for_is_refused(void **state) {
    struct host *host = *state;
    int status = 0;
    assert_int_equal(forker_begin(host, 2), 0);
    assert_int_equal(forker_take(host), 0);

    pid_t child = forker_child(host, 1);

    assert_true(board_reaches(host->board, NOTE_REFUSED, 1, 1));
    assert_int_equal(board_find(host->board, NOTE_REFUSED, 1, 0)->value, -ESRCH);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    child = forker_child(host, 2); /* there is no such slot */
    assert_true(board_reaches(host->board, NOTE_REFUSED, 2, 1));
    assert_int_equal(board_find(host->board, NOTE_REFUSED, 2, 0)->value, -EINVAL);
    assert_int_equal(waitpid(child, &status, 0), child);
}

static void a_child_does_not_wait_for_a_pool_that_is_gone(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);
    pid_t child = forker_child(host, 0);
    assert_true(process_reaches_state(child, 'S'));

    host_close(host);

    assert_true(board_reaches(host->board, NOTE_REFUSED, 0, 1));
    assert_int_equal(board_find(host->board, NOTE_REFUSED, 0, 0)->value, -ESRCH);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static int host_that_forks_and_waits(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = NULL;
    board_require(board, forker_begin(&host, 2) == 0);
    board_require(board, forker_take(&host) == 0);
    board_require(board, forker_take(&host) == 1);
    board_require(board, forker_fork(&host, 0) == 0);
    board_note_task(board, NOTE_AT_GATE, 1, forker_child(&host, 1));
    wait_for_ever();
    return 0;
}

static void a_supervisor_that_is_killed_leaves_no_child(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_that_forks_and_waits);
    assert_true(board_reaches(run->board, KIND_WORKER, 0, 1));
    assert_true(board_reaches(run->board, NOTE_AT_GATE, 1, 1));
    pid_t at_gate = (pid_t)board_find(run->board, NOTE_AT_GATE, 1, 0)->value;
    assert_true(process_reaches_state(at_gate, 'S'));

    scenario_signal(run, SIGKILL);

    assert_dies_of(run, SIGKILL);
    assert_true(board_reaches(run->board, NOTE_REFUSED, 1, 1));
    assert_int_equal(board_find(run->board, NOTE_REFUSED, 1, 0)->value, -ESRCH);
    assert_int_equal(reap_all(), 2); /* the worker by its parent death signal */
}

/* ---- What a worker finds --------------------------------------------------------------- */

static struct host *host_of_worker;
static struct descriptors descriptors_of_host;

static int looks_around(struct board *board, int task_id, int run) {
    static struct descriptors own;
    struct host *host = host_of_worker;
    const pf_event *event = NULL;
    int death_signal = 0;

    (void)run;
    board_require(board, pf_pool_fork_child(host->pool, task_id) == -EALREADY);
    board_require(board, pf_pool_dispatch(host->pool, 0) == -ECHILD);
    board_require(board, pf_pool_next_event(host->pool, &event) == -ECHILD);
    board_require(board, pf_pool_stop(host->pool) == -ECHILD);
    descriptors_take(&own);
    worker_has_descriptors_of(board, &own, &descriptors_of_host);
    board_require(board, prctl(PR_GET_PDEATHSIG, &death_signal) == 0);
    board_require(board, death_signal == SIGKILL); /* as the fixture chose */
    board_require(board, getpgrp() == getpid());
    board_require(board, pf_pool_free(host->pool) == NULL);
    board_require(board, pf_fork_processes(1, 0) == -EALREADY);
    return 0;
}

static void a_worker_is_rid_of_the_pool(void **state) {
    struct host *host = *state;
    host_of_worker = host;
    host->work = looks_around;
    assert_int_equal(pf_pool_set_process_groups(host->pool, 1), 0);
    descriptors_take(&descriptors_of_host);
    assert_int_equal(forker_begin(host, 2), 0);

    assert_int_equal(forker_finishes(host), 0);

    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 2);
}

static int tells_its_death_signal(struct board *board, int task_id, int run) {
    int death_signal = -1;

    (void)task_id;
    (void)run;
    board_require(board, prctl(PR_GET_PDEATHSIG, &death_signal) == 0);
    board_note(board, NOTE_VALUE, death_signal);
    return 0;
}

static void *fork_in_thread(void *user) {
    static pid_t child;

    child = forker_child(user, 0);
    return &child;
}

/* The kernel would send the signal at the end of that thread. */
static void a_worker_of_another_thread_has_no_parent_death_signal(void **state) {
    struct host *host = *state;
    pthread_t thread;
    void *child = NULL;
    host->work = tells_its_death_signal;
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(pthread_create(&thread, NULL, fork_in_thread, host), 0);
    assert_int_equal(pthread_join(thread, &child), 0);

    assert_int_equal(pf_pool_fork_parent(host->pool, 0, *(pid_t *)child), 0);

    assert_int_equal(forker_finishes(host), 0);
    assert_int_equal(board_find(host->board, NOTE_VALUE, 0, 0)->value, 0);
}

/* ---- Pools of workers ------------------------------------------------------------------ */

static int supervises_by_itself(struct board *board, int task_id, int run) {
    pf_pool *pool = NULL;
    const pf_event *event = NULL;
    int result = 1;
    int asked = 0;

    (void)task_id;
    (void)run;
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_workers(pool, 2) == 0);
    board_require(board, pf_pool_set_host_fork(pool, 1) == 0);
    board_require(board, pf_pool_start(pool) == 0);
    while (result == 1) {
        result = pf_pool_dispatch(pool, 100);
        while (pf_pool_next_event(pool, &event) == 1) {
            if (pf_event_type(event) != PF_EVENT_FORK_WANTED) {
                continue;
            }
            int slot = pf_event_task_id(event);
            board_require(board, pf_pool_fork_prepare(pool, slot) == 0);
            pid_t pid = fork();
            if (pid == 0) {
                board_require(board, pf_pool_fork_child(pool, slot) == 0);
                board_require(board, pf_task_id() == slot);
                _exit(0);
            }
            board_require(board, pf_pool_fork_parent(pool, slot, pid) == 0);
            asked++;
        }
    }
    board_require(board, result == 0 && asked == 2);
    board_require(board, pf_pool_free(pool) == NULL);
    return 0;
}

static void a_worker_may_be_such_a_host_itself(void **state) {
    struct host *host = *state;
    host->work = supervises_by_itself;
    assert_int_equal(forker_begin(host, 2), 0);

    assert_int_equal(forker_finishes(host), 0);

    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 2);
}

static void many_workers_are_forked_and_stopped(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 100), 0);
    assert_true(forker_reaches(host, KIND_WORKER, ANY_TASK, 100));

    for (int slot = 0; slot < 100; slot += 2) {
        assert_int_equal(pf_pool_send_signal(host->pool, slot, SIGKILL), 0);
    }
    assert_int_equal(pf_pool_resize(host->pool, 120), 0);

    assert_true(forker_reaches(host, KIND_WORKER, ANY_TASK, 170));
    assert_int_equal(pf_pool_alive_count(host->pool), 120);
    assert_int_equal(forker_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_child_waits_until_the_pool_knows_it),
        host_test(each_worker_of_a_slot_waits_for_its_own_turn),
        host_test(a_child_that_ended_already_is_reported),
        host_test(a_child_that_nobody_asked_for_is_refused),
        host_test(a_child_does_not_wait_for_a_pool_that_is_gone),
        scenario_test(a_supervisor_that_is_killed_leaves_no_child),
        host_test(a_worker_is_rid_of_the_pool),
        host_test(a_worker_of_another_thread_has_no_parent_death_signal),
        host_test(a_worker_may_be_such_a_host_itself),
        host_test(many_workers_are_forked_and_stopped),
    };

    return run_group_with_each_backend("workers of a host that forks", tests);
}
