/*
 * exec_ready_test.c - executed workers say that they are ready and alive, hear of a stop, and are
 * replaced by reloads
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

#define SHORT_MS (time_scale() * 150U)

static void who_says_so_is_ready(void **state) {
    struct host *host = *state;
    executes(host, "ready", "run:", "ready", "term", NULL);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 3), 0);

    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, 3));
    assert_true(host_reports(host, "\n", 18)); /* all that they have to say */

    for (int i = 0; i < 3; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_READY, i, 0)->pid, host_pid(host, i, 0));
        assert_int_equal(report_count(text_of("%d is ready result=0", i)), 2);
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_READY);
    }
    assert_int_equal(host_stops(host), 0);
}

static void who_does_not_is_killed_and_counted(void **state) {
    struct host *host = *state;
    executes(host, "run:", "wait", NULL);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, SHORT_MS), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 1), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, 0), 2);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGKILL);
}

/* Without a signal to stop it, which might come before it has reported. */
static void who_retires_is_replaced(void **state) {
    struct host *host = *state;
    executes(host, "run:", "ready", "retire", "told", NULL);
    assert_int_equal(pf_pool_set_stop(host->pool, 0, PATIENCE_MS), 0);
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 2)); /* the second one retires, too */

    assert_reported("0 retires result=0");
    assert_int_equal(board_find(host->board, PF_EVENT_STARTED, 0, 1)->reason, PF_REASON_RETIRE);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->reason, PF_REASON_RETIRE);
    assert_int_equal(host_stops(host), 0);
}

/* Alive for longer than the time-out, and then no more. */
static void who_hangs_is_aborted(void **state) {
    struct host *host = *state;
    /* Three times as long, with 5 ms between two. */
    executes(host, "run:", text_of("beat:%u", 3 * SHORT_MS / 5), "wait", NULL);
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, SHORT_MS), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_reported("0 beats result=0");
    assert_reported("0 has beaten");
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGABRT);
    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, 0), 1);
}

static void a_stop_is_noticed_without_a_signal(void **state) {
    struct host *host = *state;
    executes(host, "run:", "told", NULL);
    assert_int_equal(pf_pool_set_stop(host->pool, 0, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reports(host, "waits fd=1 readable=0", 3));
    host_goes_on(host, 20);
    assert_int_equal(report_count("told"), 0);

    assert_int_equal(host_stops(host), 0);

    assert_int_equal(report_count("told 1"), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->exit_code, 0);
    }
}

static int host_that_is_killed(struct board *board) {
    struct host host;

    host_open(&host, board);
    executes(&host, "run:", "told", NULL);
    board_require(board, pf_pool_set_parent_death_signal(host.pool, 0) == 0);
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_reports(&host, "waits", 3));
    gate_open(board, 0);
    wait_for_ever();
    return 0;
}

static void the_end_of_the_supervisor_is_noticed(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_that_is_killed);
    gate_wait(run->board, 0);

    scenario_signal(run, SIGKILL);

    assert_dies_of(run, SIGKILL);
    assert_int_equal(reap_all(), 3); /* they come to this process */
    assert_int_equal(report_count("told 1"), 3);
}

static void children_of_a_worker_have_nothing_to_say(void **state) {
    struct host *host = *state;
    executes(host, "mute", "run:", "ready", "beat:0", "mute", "term", NULL);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "0 ready", 1));

    const char *mute = text_of("0 mute ready=%d beat=%d stop=%d", -ECHILD, -ECHILD, -ECHILD);
    assert_int_equal(report_count(mute), 2);
    assert_reported("0 beats result=0");
    assert_int_equal(host_stops(host), 0);
}

/* ---- Reloads -------------------------------------------------------------------------------- */

/* A program is a script here, so that it can easily be another one. */
static void install(const char *name, const char *steps) {
    make_file("new", text_of("#!/bin/sh\nexec \"%s\" %s\n", program_path("exec_worker"), steps),
              0755);
    assert_int_equal(rename("new", name), 0);
}

static void begin_script(struct host *host, int workers) {
    const char *arguments[] = {"worker", NULL};

    install("worker", "run: ready args term");
    assert_int_equal(pf_pool_set_worker_fn(host->pool, NULL, NULL, NULL), 0);
    assert_int_equal(pf_pool_set_exec(host->pool, "./worker", arguments, NULL), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, (unsigned)workers));
}

static void a_reload_brings_the_new_program(void **state) {
    struct host *host = *state;
    begin_script(host, 2);
    install("worker", "run: ready args fd:new term");
    assert_true(host_reports(host, "[args][term]", 2));

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(host_reports(host, "[args][fd:new][term]", 2));
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 4);
}

static void assert_reload_fails(struct host *host) {
    unsigned failed = board_count(host->board, PF_EVENT_RELOAD_FAILED, ANY_TASK);
    pid_t before = (pid_t)pf_pool_worker_pid(host->pool, 0);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, ANY_TASK, failed + 1));
    assert_true(host_reaches_alive(host, 2));
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), before);
}

static void one_that_does_not_work_leaves_the_old_ones(void **state) {
    struct host *host = *state;
    begin_script(host, 2);
    install("worker", "exit:3");
    assert_reload_fails(host);
    make_file("worker", "no program", 0755);
    assert_reload_fails(host);
    assert_int_equal(unlink("worker"), 0);
    assert_reload_fails(host);

    install("worker", "run: ready term");

    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_int_equal(host_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_test(who_says_so_is_ready),
        executed_test(who_does_not_is_killed_and_counted),
        executed_test(who_retires_is_replaced),
        executed_test(who_hangs_is_aborted),
        executed_test(a_stop_is_noticed_without_a_signal),
        executed_scenario_test(the_end_of_the_supervisor_is_noticed),
        executed_test(children_of_a_worker_have_nothing_to_say),
        executed_test(a_reload_brings_the_new_program),
        executed_test(one_that_does_not_work_leaves_the_old_ones),
    };

    return run_group_with_each_backend("readiness of executed workers", tests);
}
