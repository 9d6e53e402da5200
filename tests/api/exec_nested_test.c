/*
 * exec_nested_test.c - pools by exec in workers: their names tell them from the pools around them
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

static void a_pool_of_the_same_name_is_refused_in_a_worker_by_exec(void **state) {
    struct host *host = *state;
    executes(host, "run:web", "inner:web", "term", NULL);
    assert_int_equal(pf_pool_set_name(host->pool, "web"), 0);
    assert_int_equal(host_begin(host, 2), 0);

    assert_true(host_reports(host, "ready", 2));

    for (int i = 0; i < 2; i++) {
        assert_reported("%d inner web result=%d task=-2", i, -ELOOP);
        assert_reported("%d inner web started=%d", i, -ELOOP);
    }
    assert_int_equal(report_count("loaded"), 2);
    assert_int_equal(host_stops(host), 0);
}

static void so_is_one_without_a_name_in_a_worker_without_one(void **state) {
    struct host *host = *state;
    executes(host, "fork", "inner:", "fork", "inner:x", "term", NULL);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "ready", 1));

    assert_reported("0 fork result=0");
    assert_reported("0 inner  result=%d task=-2", -ELOOP);
    assert_reported("0 inner  started=%d", -ELOOP);
    assert_reported("0 fork result=%d", -EALREADY);
    assert_reported("0 run x result=0 task=0");
    assert_int_equal(host_stops(host), 0);
}

static void a_pool_of_another_name_has_workers_of_its_own(void **state) {
    struct host *host = *state;
    executes(host, "run:web", "inner:jobs", "term", NULL);
    assert_int_equal(pf_pool_set_name(host->pool, "web"), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "ready", 1));

    assert_reported("0 run jobs result=0 task=0");
    assert_reported("0 inner jobs result=%d task=-2", PF_EGAVEUP); /* its worker ends with 3 */
    assert_int_equal(report_count("loaded"), 2);
    assert_int_equal(host_stops(host), 0);
}

/* ---- In a worker by fork ---------------------------------------------------------------- */

static int run_inner(const char *name) {
    const char *const arguments[] = {"exec_worker", "exit:0", NULL};
    pf_pool *pool = NULL;
    int task_id = -2;

    int result = pf_pool_new(&pool);
    result = result < 0 ? result : pf_pool_set_name(pool, name);
    result = result < 0 ? result : pf_pool_set_workers(pool, 1);
    result =
        result < 0 ? result : pf_pool_set_exec(pool, program_path("exec_worker"), arguments, NULL);
    result = result < 0 ? result : pf_pool_run(pool, &task_id);
    (void)pf_pool_free(pool);
    return result;
}

static int makes_pools(struct board *board, int task_id, int run) {
    int status = -1;
    (void)task_id;
    (void)run;
    board_require(board, run_inner("web") == -ELOOP);
    board_require(board, run_inner("jobs") == 0);
    /* What it forks by itself is not that worker, but the name is taken there as well. */
    pid_t child = fork();
    if (child == 0) {
        board_require(board, run_inner("web") == -ELOOP);
        board_require(board, run_inner("jobs") == 0);
        _exit(0);
    }
    board_require(board, child > 0 && waitpid(child, &status, 0) == child && status == 0);
    return 0;
}

static void the_same_holds_in_workers_by_fork_and_their_children(void **state) {
    struct host *host = *state;
    host->work = makes_pools;
    assert_int_equal(pf_pool_set_name(host->pool, "web"), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(report_count("loaded"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_test(a_pool_of_the_same_name_is_refused_in_a_worker_by_exec),
        executed_test(so_is_one_without_a_name_in_a_worker_without_one),
        executed_test(a_pool_of_another_name_has_workers_of_its_own),
        executed_test(the_same_holds_in_workers_by_fork_and_their_children),
    };

    return run_group_with_each_backend("pools by exec in workers", tests);
}
