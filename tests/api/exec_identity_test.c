/*
 * exec_identity_test.c - a program that was executed as a worker knows that it is one, and nobody
 * else takes itself for it
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

static void run_returns_the_task_id_in_each_worker(void **state) {
    struct host *host = *state;
    executes(host, "run:web", "term", NULL);
    assert_int_equal(pf_pool_set_name(host->pool, "web"), 0);
    assert_int_equal(host_begin(host, 3), 0);

    assert_true(host_reports(host, "ready", 3));

    for (int i = 0; i < 3; i++) {
        assert_reported("%d loaded pid=%d pool=web report=%d", i, (int)host_pid(host, i, 0),
                        -ENOENT);
        assert_reported("%d run web result=0 task=%d\n", i, i);
        /* From there on the handle is good for free only. */
        assert_reported("%d afterwards %d %d", i, -ECHILD, -ECHILD);
    }
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 3);
}

static void a_replacement_has_the_same_task_id(void **state) {
    struct host *host = *state;
    executes(host, "run:", "term", NULL);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reports(host, "ready", 2));

    assert_int_equal(kill(host_pid(host, 1, 0), SIGKILL), 0);
    assert_true(host_reports(host, "1 ready", 2));

    assert_int_equal(report_count("1 run  result=0 task=1"), 2);
    assert_int_equal(report_count("0 ready"), 1);
    assert_int_equal(host_stops(host), 0);
}

static void fork_processes_answers_for_the_pool_without_a_name(void **state) {
    struct host *host = *state;
    executes(host, "run:web", "start:web", "fork", "fork", "term", NULL);
    assert_int_equal(host_begin(host, 2), 0);

    assert_true(host_reports(host, "ready", 2));

    for (int i = 0; i < 2; i++) {
        assert_reported("%d run web result=%d task=-2", i, -EALREADY);
        assert_reported("%d start web result=%d", i, -EALREADY);
        assert_int_equal(report_count(text_of("%d fork result=%d\n", i, i)), 1);
        assert_int_equal(report_count(text_of("%d fork result=%d\n", i, -EALREADY)), 1);
    }
    assert_int_equal(host_stops(host), 0);
}

static void only_the_pool_of_the_same_name_answers(void **state) {
    struct host *host = *state;
    executes(host, "fork", "run:", "start:", "supervise:jobs", "start:web", "run:web", "term",
             NULL);
    assert_int_equal(pf_pool_set_name(host->pool, "web"), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "ready", 1));

    assert_reported("fork result=%d", -EALREADY);
    assert_reported("run  result=%d task=-2", -EALREADY);
    assert_reported("start  result=%d", -EALREADY);
    assert_reported("supervise jobs result=%d task=-2", -EALREADY);
    assert_reported("start web result=%d", -EALREADY);
    assert_reported("run web result=0 task=0");
    assert_int_equal(report_count("function"), 0);
    assert_int_equal(host_stops(host), 0);
}

static void afterwards_a_worker_may_supervise_pools_of_its_own(void **state) {
    struct host *host = *state;
    executes(host, "run:web", "supervise:jobs", "supervise:web", "start:web", "args", "term", NULL);
    assert_int_equal(pf_pool_set_name(host->pool, "web"), 0);
    assert_int_equal(host_begin(host, 2), 0);

    assert_true(host_reports(host, "ready", 2));

    /* Its own workers are of its pools, by fork. */
    assert_int_equal(report_count("0 function task=0 pool=jobs of jobs"), 2);
    assert_int_equal(report_count("0 function task=0 pool=web of web"), 2);
    assert_int_equal(report_count("0 fds 0 1 2, pipes 1 1."), 4); /* those of its own pool */
    assert_int_equal(report_count("supervise jobs result=0 task=-1"), 2);
    assert_int_equal(report_count("released jobs"), 2);
    assert_reported("1 start web result=0");
    assert_int_equal(host_stops(host), 0);
}

static void a_worker_function_is_entered(void **state) {
    struct host *host = *state;
    executes(host, "supervise:web", "exit:9", NULL);
    assert_int_equal(pf_pool_set_name(host->pool, "web"), 0);
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_reported("0 function task=0 pool=web of web");
    assert_int_equal(report_count("supervise web result"), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->exit_code, 5);
}

static void its_own_children_are_no_workers(void **state) {
    struct host *host = *state;
    executes(host, "env", "child", "run:", "child", "term", NULL);
    assert_int_equal(pf_pool_add_fd(host->pool, "input", STDIN_FILENO), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "ready", 1));

    assert_int_equal(report_count("env PF_"), 0);
    assert_int_equal(report_count(text_of("-1 loaded")), 2);
    assert_int_equal(report_count(text_of("pool=none report=%d", -ECHILD)), 2);
    assert_int_equal(report_count("function task=0 pool=child of child"), 2);
    assert_int_equal(report_count("-1 supervise child result=0"), 2);
    assert_int_equal(report_count("-1 fds 0 1 2, pipes 0 0.\n"),
                     2); /* what the worker was given stayed there */
    assert_int_equal(host_stops(host), 0);
}

static void a_child_forked_before_is_not_the_worker(void **state) {
    struct host *host = *state;
    executes(host, "twin", "run:", "term", NULL);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "ready", 1));

    assert_reported("0 twin\n");
    assert_reported("run  result=%d task=-2", -ESRCH);
    assert_reported("start  result=%d", -ESRCH);
    assert_reported("twin fork result=%d", -ESRCH);
    assert_reported("run  result=0 task=0");
    assert_int_equal(report_count("child status"), 0);
    assert_int_equal(host_stops(host), 0);
}

/* ---- Through a shell -------------------------------------------------------------------- */

static void execute_shell(struct host *host, const char *script) {
    const char *arguments[] = {"sh", "-c", script, "sh", program_path("exec_worker"), NULL};

    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/sh", arguments, NULL), 0);
}

static void behind_a_wrapper_nothing_is_started(void **state) {
    struct host *host = *state;
    execute_shell(host, "\"$1\" run: start: fork supervise:jobs run: daemonize env; exit 4");
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    assert_int_equal(host_begin(host, 2), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(report_count(text_of("-1 run  result=%d task=-2", -ESRCH)), 4);
    assert_int_equal(report_count(text_of("-1 start  result=%d", -ESRCH)), 2);
    assert_int_equal(report_count(text_of("-1 fork result=%d", -ESRCH)), 2);
    assert_int_equal(report_count(text_of("-1 supervise jobs result=%d", -ESRCH)), 2);
    assert_int_equal(report_count(text_of("-1 daemonize result=%d ready=0", -ESRCH)), 2);
    assert_int_equal(report_count("function"), 0);
    assert_int_equal(report_count("loaded"), 2);
    assert_int_equal(report_count("pool=none"), 2);
    assert_int_equal(report_count("env PF_"), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->exit_code, 4);
}

static void a_shell_that_becomes_the_program_is_no_obstacle(void **state) {
    struct host *host = *state;
    execute_shell(host, "exec \"$1\" run: fd:input term");
    int input = memfd_create("input", MFD_CLOEXEC);
    assert_int_equal(write(input, "some text", 9), 9);
    assert_int_equal(pf_pool_add_fd(host->pool, "input", input), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "ready", 1));

    assert_reported("0 run  result=0 task=0");
    assert_reported("0 fd input=3 flags=1 content=some text");
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(close(input), 0);
}

static int host_of_orphans(struct board *board) {
    struct host host;
    char script[256];

    host_open(&host, board);
    (void)snprintf(script, sizeof(script),
                   "while test %d = \"$(cut -d ' ' -f 4 /proc/$$/stat)\"; do sleep 0.01; done; "
                   "exec \"$1\" run: start: fork env",
                   (int)getpid());
    execute_shell(&host, script);
    board_require(board, pf_pool_set_parent_death_signal(host.pool, 0) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_STARTED, ANY_TASK, 2));
    wait_for_ever();
    return 0;
}

static void an_orphan_starts_nothing(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_of_orphans);
    assert_true(board_reaches(run->board, PF_EVENT_STARTED, ANY_TASK, 2));

    scenario_signal(run, SIGKILL);

    assert_dies_of(run, SIGKILL);
    assert_true(report_reaches("variables=", 2));
    assert_int_equal(reap_all(), 2); /* they come to this process */
    assert_int_equal(report_count(text_of("-1 run  result=%d task=-2", -ESRCH)), 2);
    assert_int_equal(report_count(text_of("-1 start  result=%d", -ESRCH)), 2);
    assert_int_equal(report_count(text_of("-1 fork result=%d", -ESRCH)), 2);
    assert_int_equal(report_count("env PF_"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_test(run_returns_the_task_id_in_each_worker),
        executed_test(a_replacement_has_the_same_task_id),
        executed_test(fork_processes_answers_for_the_pool_without_a_name),
        executed_test(only_the_pool_of_the_same_name_answers),
        executed_test(afterwards_a_worker_may_supervise_pools_of_its_own),
        executed_test(a_worker_function_is_entered),
        executed_test(its_own_children_are_no_workers),
        executed_test(a_child_forked_before_is_not_the_worker),
        executed_test(behind_a_wrapper_nothing_is_started),
        executed_test(a_shell_that_becomes_the_program_is_no_obstacle),
        executed_scenario_test(an_orphan_starts_nothing),
    };

    return run_group_with_each_backend("identity of executed workers", tests);
}
