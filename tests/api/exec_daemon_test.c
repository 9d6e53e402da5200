/*
 * exec_daemon_test.c - executed workers of a daemon, and of a service that notifies its manager
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "launch.h"

enum { WORKERS = 2 };

/* ---- A daemon ----------------------------------------------------------------------------- */

static int setup(void **state) {
    struct scenario *scenario = NULL;

    if (executed_scenario_setup(state) != 0) {
        return -1;
    }
    scenario = *state;
    board_require(scenario->board, getcwd(launch_directory, sizeof(launch_directory)) != NULL);
    return 0;
}

static bool until_ready;

static int supervises(struct board *board) {
    struct host host;
    int log = open("log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    board_require(board, log >= 0 && dup2(log, STDERR_FILENO) == STDERR_FILENO);
    board_require(board, close(log) == 0);
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    host_open(&host, board);
    executes(&host, "stderr", "run:", "daemonize", "ready", "stderr", "term", NULL);
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    if (until_ready) {
        board_require(board, pf_pool_set_ready_timeout(host.pool, PATIENCE_MS) == 0);
    }
    board_require(board, host_begin(&host, WORKERS) == 0);
    while (host_turn(&host, -1)) {
    }
    host_close(&host);
    return EXIT_SUCCESS;
}

static void launch_and_stop(struct scenario *scenario, bool has_ready_timeout) {
    until_ready = has_ready_timeout;
    (void)launch(scenario, supervises);
    pid_t daemon = daemon_pid(scenario, 0);

    assert_exits(scenario, 0);

    assert_true(report_reaches("ready\n", WORKERS));
    for (int task = 0; task < WORKERS; task++) {
        assert_reported("%d daemonize result=0 ready=0", task);
    }
    assert_int_equal(kill(daemon, SIGTERM), 0);
    assert_int_equal(end_of(daemon), 0);
}

static void a_worker_has_the_stdio_of_the_launch_until_it_is_ready(void **state) {
    launch_and_stop(*state, true);

    for (int task = 0; task < WORKERS; task++) {
        assert_reported("%d stderr %s/log.", task, launch_directory);
        assert_reported("%d stderr /dev/null.", task);
    }
}

static void without_a_ready_time_out_it_never_has_it(void **state) {
    launch_and_stop(*state, false);

    assert_int_equal(report_count("stderr /dev/null."), 2 * WORKERS);
    assert_int_equal(report_count("stderr "), 2 * WORKERS);
}

/* ---- A service ---------------------------------------------------------------------------- */

static void assert_worker_finds_socket(struct host *host, int notifies, unsigned found) {
    executes(host, "env", "run:", "term", NULL);
    assert_int_equal(setenv("NOTIFY_SOCKET", "/none/notify", 1), 0);
    assert_int_equal(setenv("NOTIFY_SOCKETS", "2", 1), 0); /* only looks like it */
    assert_int_equal(pf_pool_set_manager_notify(host->pool, notifies), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "ready", 1));

    assert_int_equal(report_count("env NOTIFY_SOCKET=/none/notify."), found);
    assert_reported("0 env NOTIFY_SOCKETS=2.");
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(unsetenv("NOTIFY_SOCKETS"), 0);
}

static void a_worker_does_not_find_the_socket_that_the_pool_speaks_to(void **state) {
    assert_worker_finds_socket(*state, 1, 0);
}

static void one_that_the_pool_does_not_speak_to_is_left_to_the_workers(void **state) {
    assert_worker_finds_socket(*state, 0, 1);
}

#define daemon_case(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, setup, executed_scenario_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        daemon_case(a_worker_has_the_stdio_of_the_launch_until_it_is_ready),
        daemon_case(without_a_ready_time_out_it_never_has_it),
        executed_test(a_worker_does_not_find_the_socket_that_the_pool_speaks_to),
        executed_test(one_that_the_pool_does_not_speak_to_is_left_to_the_workers),
    };

    return cmocka_run_group_tests_name("exec of a daemon", tests, NULL, NULL);
}
