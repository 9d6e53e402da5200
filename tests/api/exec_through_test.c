/*
 * exec_through_test.c - workers that are executed through a program which limits them
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

/* Skips the test where there is no such program. */
static void executes_through(struct host *host, const char *path, const char *option,
                             const char *another) {
    const char *program = program_path("exec_worker");
    const char *arguments[] = {
        path, option, another, program, "run:", "fds", "ready", "told", NULL};

    if (access(path, X_OK) != 0) {
        skip();
    }
    assert_int_equal(pf_pool_set_worker_fn(host->pool, NULL, NULL, NULL), 0);
    assert_int_equal(pf_pool_set_exec(host->pool, path, arguments, NULL), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_stop(host->pool, 0, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 2), 0);
}

/* Each is the process that the pool knows, and hears of a stop. */
static void assert_serves_and_stops(struct host *host) {
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, 2));
    assert_true(host_reports(host, "waits fd=1 readable=0", 2));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_READY, i, 0)->pid, host_pid(host, i, 0));
    }
    assert_int_equal(host_stops(host), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->signal, 0);
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->exit_code, 0);
    }
}

static void a_worker_behind_a_limit_is_a_worker(void **state) {
    struct host *host = *state;
    executes_through(host, "/usr/bin/prlimit", "--nofile=64", "--core=0");
    assert_serves_and_stops(host);
}

static void a_worker_on_one_processor_is_a_worker(void **state) {
    struct host *host = *state;
    executes_through(host, "/usr/bin/taskset", "--cpu-list", "0");
    assert_serves_and_stops(host);
}

/* Skipped where that user cannot reach the program. */
static void a_worker_of_another_user_is_a_worker(void **state) {
    struct host *host = *state;
    const char *const reaches[] = {
        "/usr/bin/setpriv", "--reuid=65534", "--clear-groups", "test", "-x", NULL, NULL};
    const char *arguments[sizeof(reaches) / sizeof(reaches[0])];

    memcpy(arguments, reaches, sizeof(reaches));
    arguments[5] = program_path("exec_worker");
    if (geteuid() != 0 || execute_and_wait(arguments, NULL) != 0) {
        skip();
    }
    assert_int_equal(chmod(".", 0777), 0); /* where it reports */
    executes_through(host, "/usr/bin/setpriv", "--reuid=65534", "--clear-groups");
    assert_serves_and_stops(host);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_test(a_worker_behind_a_limit_is_a_worker),
        executed_test(a_worker_on_one_processor_is_a_worker),
        executed_test(a_worker_of_another_user_is_a_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
