/*
 * exec_environment_test.c - the environment and the signals of executed workers, and settings
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

/* ---- Environment -------------------------------------------------------------------------- */

static void the_environment_is_that_which_was_given(void **state) {
    struct host *host = *state;
    char report_variable[512];
    (void)snprintf(report_variable, sizeof(report_variable), "REPORT=%s", getenv("REPORT"));
    const char *environment[] = {
        "TEST_ONE=1",        report_variable,    "PF_TASK_ID=77", "LISTEN_FDS=9",
        "PF_SUPERVISOR=1:1", "LISTEN_PIDFDID=4", "PF_TASK_IDS=2", NULL};
    const char *arguments[] = {"exec_worker", "env", "run:", "args", "term", NULL};
    const char *path = program_path("exec_worker");
    assert_int_equal(pf_pool_set_exec(host->pool, path, arguments, environment), 0);
    environment[0] = "TEST_ONE=changed";
    arguments[1] = "changed";
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "ready", 1));

    assert_reported("0 env TEST_ONE=1.");
    assert_reported("0 env PF_TASK_IDS=2."); /* only looks like one of the library's */
    assert_reported("0 variables=3 listens=0");
    assert_int_equal(report_count("env "), 2);
    assert_reported("args [exec_worker][env][run][args][term] name=exec_worker");
    assert_int_equal(host_stops(host), 0);
}

static void without_one_it_is_the_hosts(void **state) {
    struct host *host = *state;
    executes(host, "env", "run:", "term", NULL);
    assert_int_equal(setenv("TEST_TWO", "2", 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "5", 1), 0);
    assert_int_equal(setenv("LISTEN_PID", "1", 1), 0);
    assert_int_equal(setenv("LISTEN_FDNAMES", "a:b", 1), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(setenv("TEST_TWO", "too late", 1), 0);

    assert_true(host_reports(host, "ready", 1));

    assert_reported("0 env TEST_TWO=2.");
    assert_int_equal(report_count("env LISTEN_"), 0); /* was meant for the host alone */
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(unsetenv("TEST_TWO"), 0);
    assert_int_equal(unsetenv("LISTEN_FDS"), 0);
    assert_int_equal(unsetenv("LISTEN_PID"), 0);
    assert_int_equal(unsetenv("LISTEN_FDNAMES"), 0);
}

/* ---- Signals ------------------------------------------------------------------------------ */

static void nothing_to_do(int number) { (void)number; }

static unsigned long long bit(int number) { return 1ULL << (number - 1); }

static int ignores_children;

/* A mask, signals that are ignored, and handlers: for what the library takes, too. */
static int host_of_signals(struct board *board) {
    struct host host;
    sigset_t mask;

    host_open(&host, board);
    executes(&host, "signals", "run:", "term", NULL);
    board_require(board, signal(SIGUSR1, nothing_to_do) != SIG_ERR);
    board_require(board, signal(SIGALRM, nothing_to_do) != SIG_ERR);
    board_require(board, signal(SIGUSR2, SIG_IGN) != SIG_ERR);
    board_require(board, signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    if (ignores_children != 0) {
        board_require(board, signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    } else {
        board_require(board, signal(SIGCHLD, nothing_to_do) != SIG_ERR);
    }
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGWINCH);
    (void)sigaddset(&mask, SIGRTMIN + 2);
    board_require(board, sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, pf_pool_set_process_groups(host.pool, ignores_children) == 0);
    board_require(board, pf_pool_set_parent_death_signal(host.pool, SIGUSR1) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reports(&host, "ready", 2));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void workers_have_the_hosts_mask_and_what_it_ignores(void **state) {
    struct scenario *run = *state;
    unsigned long long ignored = bit(SIGUSR2) | bit(SIGPIPE);

    ignores_children = 0;
    scenario_start_host(run, host_of_signals);

    assert_exits(run, 0);
    const char *caught = SANITIZED ? "" : "caught=0 death";
    assert_int_equal(report_count(text_of("signals blocked=%llx ignored=%llx %s",
                                          bit(SIGWINCH) | bit(SIGRTMIN + 2), ignored, caught)),
                     2);
    assert_int_equal(report_count(text_of("death=%d leads=0\n", SIGUSR1)), 2);
}

static void one_that_ignores_its_children_has_workers_that_do(void **state) {
    struct scenario *run = *state;
    unsigned long long ignored = bit(SIGUSR2) | bit(SIGPIPE) | bit(SIGCHLD);

    ignores_children = 1;
    scenario_start_host(run, host_of_signals);

    assert_exits(run, 0);
    assert_int_equal(report_count(text_of("ignored=%llx ", ignored)), 2);
    assert_int_equal(report_count("leads=1"), 2);
}

/* ---- Settings ----------------------------------------------------------------------------- */

static void what_can_not_be_is_refused(void **state) {
    struct host *host = *state;
    const char *const empty[] = {NULL};
    char name[300];
    int fd = memfd_create("text", MFD_CLOEXEC);
    memset(name, 'n', sizeof(name));
    name[255] = '\0';

    assert_int_equal(pf_pool_set_exec(NULL, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", empty, NULL), -EINVAL);
    assert_int_equal(pf_pool_add_fd(NULL, "a", fd), -EINVAL);
    assert_int_equal(pf_pool_add_fd(host->pool, NULL, fd), -EINVAL);
    assert_int_equal(pf_pool_add_fd(host->pool, "", fd), -EINVAL);
    assert_int_equal(pf_pool_add_fd(host->pool, "a:b", fd), -EINVAL);
    assert_int_equal(pf_pool_add_fd(host->pool, "a\nb", fd), -EINVAL);
    assert_int_equal(pf_pool_add_fd(host->pool, "a", -1), -EBADF);
    assert_int_equal(pf_pool_add_fd(host->pool, "a", 1023), -EBADF);
    assert_int_equal(pf_pool_add_fd(host->pool, name, fd), 0);
    name[255] = 'n';
    name[256] = '\0';
    assert_int_equal(pf_pool_add_fd(host->pool, name, fd), -EINVAL);
    assert_int_equal(pf_pool_add_fd(host->pool, "a", fd), 0);
    assert_int_equal(pf_pool_add_fd(host->pool, "a", fd), -EEXIST);
    assert_int_equal(pf_pool_add_fd(host->pool, "b", fd), 0);
    for (int i = 3; i < 1024; i++) {
        (void)snprintf(name, sizeof(name), "name %d", i);
        assert_int_equal(pf_pool_add_fd(host->pool, name, fd), 0);
    }
    assert_int_equal(pf_pool_add_fd(host->pool, "c", fd), -ENOSPC);
    assert_int_equal(close(fd), 0);
}

static void no_descriptor_is_added_once_it_has_started(void **state) {
    struct host *host = *state;
    executes(host, "run:", "term", NULL);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(pf_pool_add_fd(host->pool, "a", STDIN_FILENO), -EBUSY);

    assert_int_equal(host_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_test(the_environment_is_that_which_was_given),
        executed_test(without_one_it_is_the_hosts),
        executed_scenario_test(workers_have_the_hosts_mask_and_what_it_ignores),
        executed_scenario_test(one_that_ignores_its_children_has_workers_that_do),
        executed_test(what_can_not_be_is_refused),
        executed_test(no_descriptor_is_added_once_it_has_started),
    };

    return run_group_with_each_backend("environment of executed workers", tests);
}
