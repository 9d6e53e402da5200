/*
 * host_fork_failures_test.c - forks of the host that fail, and stops while answers are owed
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include "cmocka_all.h"
#include "forker.h"

/* ---- Forks that failed ----------------------------------------------------------------- */

static void a_fork_that_failed_for_now_is_asked_for_again(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);

    uint64_t before = now_ns();
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EAGAIN), 0);

    assert_int_equal(forker_take(host), 0);
    assert_true(now_ns() - before >= UINT64_C(10) * 1000000);
    const struct record *failed = board_find(host->board, PF_EVENT_START_FAILED, 0, 0);
    assert_int_equal(failed->error, -EAGAIN);
    assert_int_equal(failed->will_restart, 1);
    assert_int_equal(failed->restarts, 0);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -ENOMEM), 0);
    assert_true(forker_reaches(host, KIND_WORKER, 0, 1));
}

static void a_fork_that_other_threads_forbid_is_asked_for_again(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);

    assert_int_equal(pf_pool_fork_parent(host->pool, 0, PF_ETHREADS - 1), -EINVAL);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, PF_ETHREADS), 0);

    assert_int_equal(forker_take(host), 0);
    const struct record *failed = board_find(host->board, PF_EVENT_START_FAILED, 0, 0);
    assert_int_equal(failed->error, PF_ETHREADS);
    assert_int_equal(failed->will_restart, 1);
    assert_int_equal(failed->restarts, 0);
    assert_int_equal(forker_fork(host, 0), 0);
    assert_true(forker_reaches(host, KIND_WORKER, 0, 1));
}

static void a_first_fork_that_can_not_succeed_fails_the_pool(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 2), 0);
    assert_int_equal(forker_take(host), 0);

    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -ENOSYS), 0);

    assert_int_equal(forker_finishes(host), -ENOSYS);
    assert_int_equal(board_count(host->board, PF_EVENT_FORK_WANTED, ANY_TASK), 1);
    assert_int_equal(board_find(host->board, PF_EVENT_START_FAILED, 0, 0)->will_restart, 0);
}

/* As for a host that waits for the descriptor in its own loop, and dispatches when it is
 * readable. */
static bool finishes_by_descriptor(struct host *host) {
    uint64_t deadline = now_ms() + PATIENCE_MS;
    struct pollfd one = {.fd = pf_pool_fd(host->pool), .events = POLLIN};

    while (forker_take_waiting(host) == -1 && now_ms() < deadline) {
        if (poll(&one, 1, 1000) != 1) {
            return false;
        }
        host->result = pf_pool_dispatch(host->pool, 0);
        if (host->result != 1) {
            return true;
        }
    }
    return false;
}

static void the_end_by_a_fork_that_can_not_succeed_can_be_polled(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);

    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EPERM), 0);

    assert_true(finishes_by_descriptor(host));
    assert_int_equal(host->result, -EPERM);
}

static void the_end_by_a_stop_before_any_delivery_can_be_polled(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1);

    assert_int_equal(pf_pool_stop(host->pool), 0);

    assert_true(finishes_by_descriptor(host));
    assert_int_equal(host->result, 0);
}

static void fail_the_fork_after_a_stop(struct host *host) {
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(pf_pool_stop(host->pool), 0);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1);

    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EAGAIN), 0);
}

static void the_end_of_a_stop_by_a_fork_that_failed_can_be_polled(void **state) {
    struct host *host = *state;
    fail_the_fork_after_a_stop(host);

    assert_true(finishes_by_descriptor(host));
    assert_int_equal(host->result, 0);
}

static void a_later_fork_that_can_not_succeed_counts(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 2), 0);
    assert_int_equal(forker_begin(host, 1), 0);
    assert_true(forker_reaches(host, KIND_WORKER, 0, 1));
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);

    assert_int_equal(forker_take(host), 0);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EPERM), 0);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EPERM), 0);

    assert_int_equal(forker_finishes(host), PF_EGAVEUP);
}

static void a_child_that_can_not_be_watched_is_killed(void **state) {
    struct host *host = *state;
    struct rlimit before;
    if (backend_under_test != PF_BACKEND_PIDFD) {
        return; /* the other needs no descriptor for a worker */
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(forker_begin(host, 2), 0);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(forker_take(host), 1);

    struct rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int first = forker_fork(host, 0); /* for which a descriptor was kept */
    int second = forker_fork(host, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

    assert_true(first == 0 || first == -EMFILE); /* it may lie above the limit */
    assert_int_equal(second, -EMFILE);
    assert_true(forker_reaches(host, KIND_WORKER, ANY_TASK, 2));
    assert_int_equal(board_find(host->board, PF_EVENT_START_FAILED, ANY_TASK, 0)->error, -EMFILE);
    assert_int_equal(forker_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 2);
}

/* ---- Stops ----------------------------------------------------------------------------- */

static void a_stop_cancels_what_was_not_delivered(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 3), 0);
    assert_int_equal(forker_take(host), 0);

    assert_int_equal(pf_pool_stop(host->pool), 0);
    assert_int_equal(forker_take_waiting(host), -1);

    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1); /* an answer is owed */
    assert_int_equal(pf_pool_fork_parent(host->pool, 1, -EAGAIN), -ESRCH);
    assert_int_equal(forker_fork(host, 0), 0);
    assert_int_equal(forker_finishes(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_FORK_WANTED, ANY_TASK), 1);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGTERM);
}

static void a_stop_before_any_delivery_ends_the_pool(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 3), 0);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1);

    assert_int_equal(pf_pool_stop(host->pool), 0);

    assert_int_equal(forker_finishes(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_FORK_WANTED, ANY_TASK), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_DONE, ANY_TASK), 1);
}

static void a_worker_that_comes_after_a_kill_is_killed(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1);

    assert_int_equal(forker_fork(host, 0), 0);

    assert_int_equal(forker_finishes(host), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGKILL);
}

static void a_fork_that_failed_while_the_pool_stops_ends_it(void **state) {
    struct host *host = *state;
    fail_the_fork_after_a_stop(host);

    assert_int_equal(forker_finishes(host), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_START_FAILED, 0, 0)->will_restart, 0);
}

static void a_smaller_pool_cancels_the_requests_of_its_slots(void **state) {
    struct host *host = *state;
    assert_int_equal(forker_begin(host, 3), 0);
    assert_int_equal(forker_take(host), 0);
    assert_int_equal(forker_take(host), 1);

    assert_int_equal(pf_pool_resize(host->pool, 1), 0);

    assert_int_equal(forker_take_waiting(host), -1);
    assert_int_equal(forker_fork(host, 0), 0);
    assert_int_equal(forker_fork(host, 1), 0); /* and is stopped at once */
    assert_int_equal(pf_pool_worker_count(host->pool), 1);
    assert_true(forker_reaches(host, PF_EVENT_EXITED, 1, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 1, 0)->signal, SIGTERM);
    assert_int_equal(pf_pool_fork_parent(host->pool, 2, -EAGAIN), -ESRCH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_fork_that_failed_for_now_is_asked_for_again),
        host_test(a_fork_that_other_threads_forbid_is_asked_for_again),
        host_test(a_first_fork_that_can_not_succeed_fails_the_pool),
        host_test(the_end_by_a_fork_that_can_not_succeed_can_be_polled),
        host_test(the_end_by_a_stop_before_any_delivery_can_be_polled),
        host_test(the_end_of_a_stop_by_a_fork_that_failed_can_be_polled),
        host_test(a_later_fork_that_can_not_succeed_counts),
        host_test(a_child_that_can_not_be_watched_is_killed),
        host_test(a_stop_cancels_what_was_not_delivered),
        host_test(a_stop_before_any_delivery_ends_the_pool),
        host_test(a_worker_that_comes_after_a_kill_is_killed),
        host_test(a_fork_that_failed_while_the_pool_stops_ends_it),
        host_test(a_smaller_pool_cancels_the_requests_of_its_slots),
    };

    return run_group_with_each_backend("failures of a host that forks", tests);
}
