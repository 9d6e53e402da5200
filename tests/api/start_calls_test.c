/*
 * start_calls_test.c - a start whose calls fail one by one: it works all the same, or it fails with
 * their error and leaves the pool as it was
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "cmocka_all.h"
#include "failing.h"
#include "forker.h"

enum way { BY_FORK, BY_EXEC, FOREIGN, BY_HOST, WAYS };
enum { WORKERS = 2 };

/* Each is used by a start in at least one way, with at least one backend. */
static const struct use failures[] = {
    {"calloc", ENOMEM},
    {"mmap64", ENOMEM},
    {"pipe2", EMFILE},
    {"epoll_create1", EMFILE},
    {"timerfd_create", ENFILE},
    {"eventfd", ENFILE},
    {"epoll_ctl", ENOSPC},
    {"epoll_pwait", EPERM},
    {"fcntl64", EMFILE},
    {"fstat64", ENOMEM},
    {"syscall.pidfd_open", EMFILE},
    {"syscall.waitid", EPERM},
    {"madvise", EINVAL},
    {"getrandom", ENOSYS},
    {"socket", EMFILE},
    {"setsockopt", ENOMEM},
    {"bind", EACCES},
    {"mkdtemp", EACCES},
    {"chmod", EPERM},
};

/* Which calls have failed in any start. */
static bool was_used[sizeof(failures) / sizeof(failures[0])];

static void open_for(enum way way, struct host *host) {
    static const char *const arguments[] = {"sleep", "1000", NULL};

    host_open(host, host->board);
    host->work = ends_on_term;
    if (way != BY_FORK) {
        assert_int_equal(pf_pool_set_worker_fn(host->pool, NULL, NULL, NULL), 0);
    }
    if (way == FOREIGN) {
        assert_int_equal(pf_pool_set_foreign_workers(host->pool, 1), 0);
        assert_int_equal(pf_pool_set_ready_timeout(host->pool, 20000), 0);
    }
    if (way == BY_EXEC || way == FOREIGN) {
        assert_int_equal(pf_pool_set_exec(host->pool, "/bin/sleep", arguments, NULL), 0);
    }
}

static int begin(enum way way, struct host *host) {
    return way == BY_HOST ? forker_begin(host, WORKERS) : host_begin(host, WORKERS);
}

/* All workers are started, and end when they are asked. */
static void require_work(enum way way, struct host *host) {
    if (way == BY_HOST) {
        assert_true(forker_reaches(host, NOTE_READY, ANY_TASK, WORKERS));
        assert_int_equal(forker_stops(host), 0);
        return;
    }
    assert_true(host_reaches(host, PF_EVENT_STARTED, ANY_TASK, WORKERS));
    if (way == BY_FORK) {
        assert_true(host_reaches(host, NOTE_READY, ANY_TASK, WORKERS));
    }
    assert_int_equal(host_stops(host), 0);
}

/* Returns whether the call was used so often. */
static bool try_start(enum way way, const struct failure *failure) {
    static struct descriptors before, after;
    struct scenario scenario;
    struct host host;

    assert_true(scenario_open(&scenario));
    host.board = scenario.board;
    open_for(way, &host);
    descriptors_take(&before);
    failure_begin(failure);
    const int result = begin(way, &host);
    const unsigned failed = failure_end();
    print_message("%s %u: %d, %u failed\n", failure->call, failure->first, result, failed);
    if (result < 0) {
        assert_int_equal(failed, 1);
        assert_int_equal(result, -failure->error);
        descriptors_take(&after);
        assert_string_equal(before.text, after.text);
        assert_int_equal(pf_pool_fd(host.pool), -EINVAL); /* it has not started */
        assert_int_equal(begin(way, &host), 0);
    }
    require_work(way, &host);
    host_close(&host);
    assert_true(scenario_close(&scenario));
    return failed > 0;
}

static void try_each_failure(enum way way) {
    require_failing();
    for (unsigned i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct failure failure = {failures[i].call, failures[i].error, 1, 1, IN_THIS_PROCESS};
        while (failure.first <= USES_MAX && try_start(way, &failure)) {
            was_used[i] = true;
            failure.first += 1;
        }
        assert_true(failure.first <= USES_MAX);
    }
}

static void a_start_by_fork_fails_with_its_call_or_works(void **state) {
    (void)state;
    try_each_failure(BY_FORK);
}

static void a_start_by_exec_fails_with_its_call_or_works(void **state) {
    (void)state;
    try_each_failure(BY_EXEC);
}

static void a_start_of_foreign_workers_fails_with_its_call_or_works(void **state) {
    (void)state;
    try_each_failure(FOREIGN);
}

static void a_start_by_the_host_fails_with_its_call_or_works(void **state) {
    (void)state;
    try_each_failure(BY_HOST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_start_by_fork_fails_with_its_call_or_works),
        scenario_test(a_start_by_exec_fails_with_its_call_or_works),
        scenario_test(a_start_of_foreign_workers_fails_with_its_call_or_works),
        scenario_test(a_start_by_the_host_fails_with_its_call_or_works),
    };
    int failed = run_group_with_each_backend("calls of a start", tests);

    for (unsigned i = 0; CALLS_CAN_FAIL && i < sizeof(was_used) / sizeof(was_used[0]); i++) {
        if (!was_used[i]) {
            print_message("no start uses %s\n", failures[i].call);
            failed += 1;
        }
    }
    return failed;
}
