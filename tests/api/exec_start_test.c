/*
 * exec_start_test.c - executed workers start, end and are restarted as forked ones are, and a
 * program that cannot be executed is told with its errno
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

static const char serving_script[] = "#!/bin/sh\necho \"$PF_TASK_ID serves\" >>\"$REPORT\"\n"
                                     "exec sleep 1000\n";

/* ---- Programs that cannot be executed ---------------------------------------------------- */

static void execute(struct host *host, const char *path, const char *argument) {
    const char *arguments[] = {"worker", argument, NULL};

    assert_int_equal(pf_pool_set_exec(host->pool, path, arguments, NULL), 0);
}

/* A begun one fails before a worker ran: the pool fails, and nothing else is told. */
static void assert_has_failed(struct host *host, int error) {
    assert_int_equal(host_finishes(host), error);

    const struct record *failed = board_find(host->board, PF_EVENT_START_FAILED, ANY_TASK, 0);
    assert_non_null(failed);
    assert_int_equal(failed->error, error);
    assert_int_equal(failed->task_id, 0);
    assert_int_equal(failed->will_restart, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_START_FAILED, ANY_TASK), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_DONE, ANY_TASK, 0)->error, error);
}

static void assert_fails(struct host *host, int error) {
    assert_int_equal(host_begin(host, 3), 0);

    assert_has_failed(host, error);
}

static void a_missing_program_is_reported(void **state) {
    execute(*state, "./missing", NULL);
    assert_fails(*state, -ENOENT);
}

/* There is no search through PATH. */
static void a_name_is_a_path(void **state) {
    execute(*state, "sh", NULL);
    assert_fails(*state, -ENOENT);
}

static void a_program_without_permission_is_reported(void **state) {
    make_file("worker", serving_script, 0644);
    execute(*state, "./worker", NULL);
    assert_fails(*state, -EACCES);
}

static void what_is_no_program_is_reported(void **state) {
    make_file("worker", "no program\n", 0755);
    execute(*state, "./worker", NULL);
    assert_fails(*state, -ENOEXEC);
}

static void a_script_without_its_interpreter_is_reported(void **state) {
    make_file("worker", "#!/nowhere/at/all\n", 0755);
    execute(*state, "./worker", NULL);
    assert_fails(*state, -ENOENT);
}

static void a_path_through_a_file_is_reported(void **state) {
    make_file("worker", serving_script, 0755);
    execute(*state, "./worker/worker", NULL);
    assert_fails(*state, -ENOTDIR);
}

/* The environment and this argument are more than the least that the kernel takes. */
static void arguments_that_are_too_long_by_then_are_reported(void **state) {
    enum { LONG = 130000 };
    struct host *host = *state;
    struct rlimit before, least;
    char *argument = malloc(LONG);
    assert_non_null(argument);
    memset(argument, 'x', LONG);
    argument[LONG - 1] = '\0';
    assert_int_equal(setenv("PREFORK_TEST_LONG", argument + LONG / 2, 1), 0);
    execute(host, "/bin/true", argument);
    free(argument);
    assert_int_equal(host_begin(host, 3), 0);
    assert_int_equal(unsetenv("PREFORK_TEST_LONG"), 0);
    assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
    least = before;
    least.rlim_cur = 1 << 19;

    assert_int_equal(setrlimit(RLIMIT_STACK, &least), 0);

    assert_has_failed(host, -E2BIG);
    assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
}

static void one_that_vanishes_counts_as_a_restart(void **state) {
    struct host *host = *state;
    make_file("worker", serving_script, 0755);
    execute(host, "./worker", NULL);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 2), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reports(host, "0 serves", 1));
    assert_int_equal(unlink("worker"), 0);

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_START_FAILED, 0), 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct record *failed = board_find(host->board, PF_EVENT_START_FAILED, 0, i);
        assert_int_equal(failed->error, -ENOENT);
        assert_int_equal(failed->will_restart, i == 0);
    }
}

static void and_comes_back(void **state) {
    struct host *host = *state;
    make_file("worker", serving_script, 0755);
    execute(host, "./worker", NULL);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reports(host, "0 serves", 1));
    assert_int_equal(unlink("worker"), 0);
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_START_FAILED, 0, 1));

    make_file("new", serving_script, 0755);
    assert_int_equal(rename("new", "worker"), 0);

    assert_true(host_reports(host, "0 serves", 2));
    assert_int_equal(host_stops(host), 0);
}

/* The old worker stays where a new one cannot be started. */
static void a_replacement_that_can_not_be_executed_fails_alone(void **state) {
    struct host *host = *state;
    make_file("worker", serving_script, 0755);
    execute(host, "./worker", NULL);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reports(host, "0 serves", 1));
    assert_int_equal(chmod("worker", 0644), 0);

    assert_int_equal(host_replaces(host, 0), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, 0, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_START_FAILED, 0, 0)->error, -EACCES);
    assert_int_equal(pf_pool_alive_count(host->pool), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

/* ---- Lives -------------------------------------------------------------------------------- */

static void a_crash_loop_ends_at_the_limit(void **state) {
    struct host *host = *state;
    executes(host, "run:", "exit:3", NULL);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 5), 0);
    assert_int_equal(host_begin(host, 2), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_in_range(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 6, 7);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, ANY_TASK, 0)->exit_code, 3);
}

static void one_is_replaced_by_a_new_one(void **state) {
    struct host *host = *state;
    executes(host, "run:", "term", NULL);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reports(host, "ready", 2));

    assert_int_equal(host_replaces(host, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 1, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 1, 0)->exit_code, 0);
    assert_true(host_reports(host, "1 ready", 2)); /* the new one may take longer to say so */
    assert_int_equal(host_stops(host), 0);
}

static void many_start_and_stop(void **state) {
    enum { MANY = 60 };
    struct host *host = *state;
    executes(host, "run:", "term", NULL);
    assert_int_equal(host_begin(host, MANY), 0);

    assert_true(host_reports(host, "ready", MANY));

    for (int i = 0; i < MANY; i++) {
        assert_reported("\n%d ready", i);
        assert_int_equal(board_find(host->board, PF_EVENT_STARTED, ANY_TASK, (unsigned)i)->task_id,
                         i);
    }
    assert_int_equal(host_stops(host), 0);
}

static int host_that_runs(struct board *board) {
    struct host host;
    int task_id = -2;

    host_open(&host, board);
    executes(&host, "run:", "exit:0", NULL);
    board_require(board, pf_pool_set_workers(host.pool, 3) == 0);
    board_require(board, pf_pool_set_event_callback(host.pool, host_note_event, board, NULL) == 0);
    host.result = pf_pool_run(host.pool, &task_id);
    board_require(board, host.result == 0);
    board_require(board, task_id == -1);
    host_close(&host);
    return 0;
}

static void run_supervises_them_to_their_end(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_runs);

    assert_exits(run, 0);
    assert_int_equal(report_count("result=0 task="), 3);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 3);
}

static int host_that_is_killed(struct board *board) {
    struct host host;

    host_open(&host, board);
    executes(&host, "run:", "wait", NULL);
    board_require(board, host_begin(&host, 4) == 0);
    board_require(board, host_reports(&host, "ready", 4));
    gate_open(board, 0);
    wait_for_ever();
    return 0;
}

static void no_worker_outlives_a_supervisor_that_is_killed(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_that_is_killed);
    gate_wait(run->board, 0);

    scenario_signal(run, SIGKILL);

    assert_dies_of(run, SIGKILL);
    assert_int_equal(reap_all(), 4); /* they come to this process */
}

/* ---- Other threads, and others who reap ---------------------------------------------------- */

static int thread_ends;

static void *stays(void *argument) {
    while (__atomic_load_n(&thread_ends, __ATOMIC_ACQUIRE) == 0) {
        pause_ms(1);
    }
    return argument;
}

static void *reaps(void *argument) {
    while (__atomic_load_n(&thread_ends, __ATOMIC_ACQUIRE) == 0) {
        if (waitpid(-1, NULL, WNOHANG) < 0) {
            (void)sched_yield();
        }
    }
    return argument;
}

static void with_thread(struct board *board, void *(*function)(void *), host_fn host) {
    pthread_t thread;

    board_require(board, pthread_create(&thread, NULL, function, NULL) == 0);
    (void)host(board);
    __atomic_store_n(&thread_ends, 1, __ATOMIC_RELEASE);
    board_require(board, pthread_join(thread, NULL) == 0);
}

static int host_with_thread(struct board *board) {
    with_thread(board, stays, host_that_runs);
    return 0;
}

static void other_threads_are_no_obstacle(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_thread);

    assert_exits(run, 0);
    assert_int_equal(report_count("result=0 task="), 3);
}

enum { SHORT_LIVES = 150 };

static int host_of_short_lives(struct board *board) {
    struct host host;
    const char *arguments[] = {"sh", "-c", "exit 7", NULL};

    host_open(&host, board);
    board_require(board, pf_pool_set_exec(host.pool, "/bin/sh", arguments, NULL) == 0);
    board_require(board, pf_pool_set_max_restarts(host.pool, SHORT_LIVES) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_finishes(&host) == PF_EGAVEUP);
    host_close(&host);
    return 0;
}

static int host_with_thief(struct board *board) {
    with_thread(board, reaps, host_of_short_lives);
    return 0;
}

static int host_that_ignores_children(struct board *board) {
    board_require(board, signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    return host_of_short_lives(board);
}

/* None is lost, and none is invented. */
static void assert_all_reported(const struct board *board) {
    bool kept = backend_under_test == PF_BACKEND_PIDFD && kernel_keeps_statuses();
    const struct record *end = NULL;
    unsigned count = 0;

    while ((end = board_find(board, PF_EVENT_EXITED, 0, count)) != NULL) {
        assert_true(end->exit_code == 7 || (!kept && end->exit_code == -1 && end->signal == 0));
        count++;
    }
    assert_int_equal(count, SHORT_LIVES + 1);
}

static void no_end_is_lost_to_a_thread_that_reaps(void **state) {
    struct scenario *run = *state;
    if (backend_under_test != PF_BACKEND_PIDFD) {
        print_message("skipped: without pidfds the host has to leave the workers alone\n");
        skip();
    }

    scenario_start_host(run, host_with_thief);

    assert_exits(run, 0);
    assert_all_reported(run->board);
}

static void no_end_is_lost_where_children_are_ignored(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_ignores_children);

    assert_exits(run, 0);
    assert_all_reported(run->board);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_test(a_missing_program_is_reported),
        executed_test(a_name_is_a_path),
        executed_test(a_program_without_permission_is_reported),
        executed_test(what_is_no_program_is_reported),
        executed_test(a_script_without_its_interpreter_is_reported),
        executed_test(a_path_through_a_file_is_reported),
        executed_test(arguments_that_are_too_long_by_then_are_reported),
        executed_test(one_that_vanishes_counts_as_a_restart),
        executed_test(and_comes_back),
        executed_test(a_replacement_that_can_not_be_executed_fails_alone),
        executed_test(a_crash_loop_ends_at_the_limit),
        executed_test(one_is_replaced_by_a_new_one),
        executed_test(many_start_and_stop),
        executed_scenario_test(run_supervises_them_to_their_end),
        executed_scenario_test(no_worker_outlives_a_supervisor_that_is_killed),
        executed_scenario_test(other_threads_are_no_obstacle),
        executed_scenario_test(no_end_is_lost_to_a_thread_that_reaps),
        executed_scenario_test(no_end_is_lost_where_children_are_ignored),
    };

    return run_group_with_each_backend("starts by exec", tests);
}
