/*
 * host_fork_test.c - workers that the host forks by itself: what it is asked, what it answers
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "forker.h"
#include "net.h"

static int no_work(int task_id, void *user) {
    (void)task_id;
    (void)user;
    return 99;
}

/* ---- What is asked --------------------------------------------------------------------- */

static void the_host_is_asked_for_each_worker(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(forker_begin(host, 3), 0);

    for (int slot = 0; slot < 3; slot++) {
        assert_int_equal(forker_take(host), slot);
        assert_int_equal(pf_pool_worker_state(host->pool, slot), PF_WORKER_STARTING);
        assert_int_equal(forker_fork(host, slot), 0);
        assert_int_equal(pf_pool_worker_state(host->pool, slot), PF_WORKER_READY);
        assert_int_equal(pf_pool_alive_count(host->pool), slot + 1);
    }
    assert_true(forker_reaches(host, NOTE_READY, ANY_TASK, 3));
    const struct record *wanted = board_find(host->board, PF_EVENT_FORK_WANTED, 2, 0);
    assert_string_equal(wanted->message, "fork slot 2");
    assert_int_equal(wanted->pid, 0);
    for (int slot = 0; slot < 3; slot++) {
        const struct record *worker = board_find(host->board, NOTE_READY, slot, 0);
        assert_int_equal(worker->author, host_pid(host, slot, 0));
    }
    assert_int_equal(forker_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_FORK_WANTED, ANY_TASK), 3);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 3);
}

static void a_worker_that_ends_is_asked_for_again(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 2), 0);
    assert_true(forker_reaches(host, KIND_WORKER, ANY_TASK, 2));

    assert_int_equal(kill(host_pid(host, 1, 0), SIGKILL), 0);

    assert_true(forker_reaches(host, KIND_WORKER, 1, 2));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 1, 0)->signal, SIGKILL);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 1), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_FORK_WANTED, 1), 2);
}

static void a_replacement_is_asked_for_beside_the_old_worker(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 1), 0);
    assert_true(forker_reaches(host, KIND_WORKER, 0, 1));

    assert_int_equal(host_replaces(host, 0), 0);

    assert_true(forker_reaches(host, KIND_WORKER, 0, 2));
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 0));
    assert_true(forker_reaches(host, PF_EVENT_EXITED, 0, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->pid, host_pid(host, 0, 0));
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), host_pid(host, 0, 1));
}

/* A timer that is due makes it readable, which takes an emulated processor a moment. */
static bool is_readable(const struct host *host) {
    struct pollfd one = {.fd = pf_pool_fd(host->pool), .events = POLLIN};

    return poll(&one, 1, 0) == 1;
}

static void a_pending_fork_keeps_nobody_busy(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 2), 0);

    assert_int_equal(forker_take(host), 0);
    assert_true(becomes_readable(pf_pool_fd(host->pool))); /* the second request waits */
    assert_int_equal(forker_take(host), 1);

    assert_false(is_readable(host));
    uint64_t before = now_ms();
    assert_int_equal(pf_pool_dispatch(host->pool, 100), 1);
    assert_true(now_ms() - before >= 90);
    assert_int_equal(forker_fork(host, 1), 0);
    assert_true(becomes_readable(pf_pool_fd(host->pool)));
    assert_true(forker_reaches(host, KIND_WORKER, 1, 1));
    assert_int_equal(kill(host_pid(host, 1, 0), SIGKILL), 0);
    assert_true(forker_reaches(host, KIND_WORKER, 1, 2)); /* dispatch goes on */
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_STARTING);
    assert_int_equal(forker_fork(host, 0), 0);
}

/* ---- Settings -------------------------------------------------------------------------- */

static void host_fork_needs_no_worker_function_and_calls_none(void **state) {
    struct host *host = *state;
    const pf_event *event = NULL;
    pf_pool *pool = NULL;
    assert_int_equal(pf_pool_new(&pool), 0);
    assert_int_equal(pf_pool_start(pool), -EINVAL);
    assert_int_equal(pf_pool_set_host_fork(pool, 1), 0);
    assert_int_equal(pf_pool_set_host_fork(pool, 0), 0);
    assert_int_equal(pf_pool_start(pool), -EINVAL);
    assert_int_equal(pf_pool_set_host_fork(pool, 1), 0);
    assert_int_equal(pf_pool_start(pool), 0);
    assert_int_equal(pf_pool_set_host_fork(pool, 0), -EBUSY);
    assert_int_equal(pf_pool_dispatch(pool, 0), 1);
    assert_int_equal(pf_pool_next_event(pool, &event), 1);
    assert_null(pf_pool_free(pool));

    assert_int_equal(pf_pool_set_worker_fn(host->pool, no_work, NULL, NULL), 0);
    assert_int_equal(forker_begin(host, 1), 0);
    assert_true(forker_reaches(host, KIND_WORKER, 0, 1));
}

static void host_fork_is_not_for_run_nor_for_a_callback(void **state) {
    struct host *host = *state;
    int task_id = -7;
    assert_int_equal(pf_pool_set_host_fork(host->pool, 1), 0);
    assert_int_equal(pf_pool_run(host->pool, &task_id), -EINVAL);
    assert_int_equal(task_id, -7);

    assert_int_equal(pf_pool_set_event_callback(host->pool, host_note_event, host->board, NULL), 0);
    assert_int_equal(pf_pool_start(host->pool), -EINVAL);
    assert_int_equal(pf_pool_run(host->pool, &task_id), -EINVAL);

    assert_int_equal(pf_pool_set_event_callback(host->pool, NULL, NULL, NULL), 0);
    assert_int_equal(pf_pool_start(host->pool), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTING, ANY_TASK), 0);
}

static void answers_are_for_pools_whose_host_forks(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_fork_parent(NULL, 0, 1), -EINVAL);
    assert_int_equal(pf_pool_set_host_fork(NULL, 1), -EINVAL);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EAGAIN), -EINVAL);
    assert_int_equal(pf_pool_set_host_fork(host->pool, 1), 0);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EAGAIN), -EINVAL); /* not yet started */
    assert_int_equal(pf_pool_set_host_fork(host->pool, 0), 0);

    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, KIND_WORKER, 0, 1));

    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EAGAIN), -EINVAL);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, host_pid(host, 0, 0)), -EINVAL);
    assert_int_equal(board_count(host->board, PF_EVENT_FORK_WANTED, ANY_TASK), 0);
}

static void *wait_at_gate(void *board) {
    gate_wait(board, 7);
    return NULL;
}

static void other_threads_are_the_hosts_business(void **state) {
    struct host *host = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_at_gate, host->board), 0);

    int result = forker_begin(host, 1);
    bool reached = forker_reaches(host, KIND_WORKER, 0, 1);

    gate_open(host->board, 7);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(result, 0);
    assert_true(reached);
}

/* ---- Answers that are none ------------------------------------------------------------- */

static void a_wrong_answer_changes_nothing(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);

    assert_int_equal(pf_pool_fork_parent(host->pool, 0, 0), -EINVAL);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -4096), -EINVAL);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, INT32_MIN), -EINVAL);
    assert_int_equal(pf_pool_fork_parent(host->pool, -1, -EAGAIN), -EINVAL);
    assert_int_equal(pf_pool_fork_parent(host->pool, 1, -EAGAIN), -EINVAL);
    assert_int_equal(pf_pool_fork_parent(host->pool, INT32_MAX, -EAGAIN), -EINVAL);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, getpid()), -ECHILD);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, getppid()), -ECHILD);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, INT32_MAX), -ECHILD);

    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_STARTING);
    assert_int_equal(forker_fork(host, 0), 0);
    assert_true(forker_reaches(host, KIND_WORKER, 0, 1));
    assert_int_equal(board_count(host->board, PF_EVENT_START_FAILED, ANY_TASK), 0);
}

static void a_worker_can_not_be_reported_twice(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 2), 0);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(forker_take(host), 1);
    assert_int_equal(forker_fork(host, 0), 0);
    pid_t pid = pf_pool_worker_pid(host->pool, 0);

    assert_int_equal(pf_pool_fork_parent(host->pool, 0, pid), -EALREADY);
    assert_int_equal(pf_pool_fork_parent(host->pool, 1, pid), -EALREADY);

    assert_int_equal(forker_fork(host, 1), 0);
    assert_true(forker_reaches(host, KIND_WORKER, ANY_TASK, 2));
    host_goes_on(host, 50);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);
}

static void a_child_that_nobody_wanted_is_killed(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 2), 0);
    assert_int_equal(forker_take(host), 0);

    assert_int_equal(forker_fork(host, 1), -ESRCH); /* asked, but the host has not heard it */

    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(pf_pool_fork_parent(host->pool, 1, -EAGAIN), -ESRCH);
    assert_int_equal(forker_fork(host, 0), 0);
    assert_true(forker_reaches(host, KIND_WORKER, ANY_TASK, 2));
    assert_int_equal(forker_stops(host), 0);
    assert_int_equal(forker_fork(host, 0), -ESRCH); /* after the end */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(board_count(host->board, KIND_WORKER, ANY_TASK), 2);
}

/* ---- Time ------------------------------------------------------------------------------ */

static void a_host_that_forgets_is_reported(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(forker_begin(host, 2), 0);
    uint64_t before = now_ms();
    assert_int_equal(forker_take(host), 0);
    pid_t late = forker_child(host, 0);

    while (board_count(host->board, PF_EVENT_START_FAILED, ANY_TASK) == 0) {
        assert_true(now_ms() - before < 10000 + PATIENCE_MS / 4);
        assert_true(forker_turn(host, 100)); /* which serves all other requests */
        if (board_count(host->board, PF_EVENT_FORK_WANTED, 0) > 1) {
            break;
        }
    }

    const struct record *failed = board_find(host->board, PF_EVENT_START_FAILED, 0, 0);
    assert_true(now_ms() - before >= 10000);
    assert_int_equal(failed->error, -ETIMEDOUT);
    assert_int_equal(failed->will_restart, 1);
    assert_int_equal(failed->delay_ms, 0);
    assert_int_equal(failed->restarts, 0);
    assert_true(forker_reaches(host, NOTE_READY, ANY_TASK, 2));
    assert_int_equal(board_count(host->board, PF_EVENT_FORK_WANTED, 0), 2);
    /* The first child of the slot was not admitted: another is the worker. */
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, late), -ESRCH);
    assert_false(process_exists(late));
    assert_int_equal(forker_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(the_host_is_asked_for_each_worker),
        host_test(a_worker_that_ends_is_asked_for_again),
        host_test(a_replacement_is_asked_for_beside_the_old_worker),
        host_test(a_pending_fork_keeps_nobody_busy),
        host_test(host_fork_needs_no_worker_function_and_calls_none),
        host_test(host_fork_is_not_for_run_nor_for_a_callback),
        host_test(answers_are_for_pools_whose_host_forks),
        host_test(other_threads_are_the_hosts_business),
        host_test(a_wrong_answer_changes_nothing),
        host_test(a_worker_can_not_be_reported_twice),
        host_test(a_child_that_nobody_wanted_is_killed),
        host_test(a_host_that_forgets_is_reported),
    };

    return run_group_with_each_backend("host fork", tests);
}
