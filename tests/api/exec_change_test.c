/*
 * exec_change_test.c - another program for workers, set while the pool runs
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

static void begin(struct host *host, int workers) {
    executes(host, "run:", "fd:first", "term", NULL);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reports(host, "fd first", (unsigned)workers));
}

static void execute(struct host *host, const char *step) {
    const char *const arguments[] = {"exec_worker", "run:", step, "term", NULL};

    assert_int_equal(pf_pool_set_exec(host->pool, program_path("exec_worker"), arguments, NULL), 0);
}

static void later_starts_are_of_the_new_program(void **state) {
    struct host *host = *state;
    begin(host, 2);

    execute(host, "fd:second");

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reports(host, "0 fd second", 1));
    assert_int_equal(report_count("fd first"), 2);
    assert_int_equal(report_count("1 fd second"), 0); /* the other worker goes on */
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reports(host, "fd second", 3));
    assert_int_equal(host_stops(host), 0);
}

static void another_file_and_environment_too(void **state) {
    struct host *host = *state;
    const char *const arguments[] = {"sh", "-c", "echo \"0 $WORD $PF_TASK_ID\" >>$REPORT", NULL};
    char report[512];
    (void)snprintf(report, sizeof(report), "REPORT=%s", getenv("REPORT"));
    const char *const environment[] = {"WORD=said", report, NULL};
    begin(host, 1);

    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/sh", arguments, environment), 0);

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(report_count("0 said 0\n"), 1);
}

/* That of the moment, as at the start. */
static void without_one_the_environment_is_that_of_the_host(void **state) {
    struct host *host = *state;
    begin(host, 1);

    assert_int_equal(setenv("TEST_WORD", "later", 1), 0);
    execute(host, "env");
    assert_int_equal(unsetenv("TEST_WORD"), 0);

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reports(host, "TEST_WORD=later", 1));
    assert_int_equal(host_stops(host), 0);
}

static void what_is_refused_changes_nothing(void **state) {
    struct host *host = *state;
    const char *const empty[] = {NULL};
    char *string = calloc(1, 200001);
    assert_non_null(string);
    memset(string, 'x', 200000);
    const char *const long_one[] = {"sh", string, NULL};
    begin(host, 1);

    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/sh", empty, NULL), -EINVAL);
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/sh", long_one, NULL), -E2BIG);
    assert_int_equal(setenv("TEST_WORD", string, 1), 0);
    const char *const arguments[] = {"sh", NULL};
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/sh", arguments, NULL), -E2BIG);
    assert_int_equal(unsetenv("TEST_WORD"), 0);
    free(string);

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reports(host, "fd first", 2));
    assert_int_equal(host_stops(host), 0);
}

static void one_that_forks_stays_so(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(pf_pool_set_exec(host->pool, NULL, NULL, NULL), -EBUSY);

    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_int_equal(host_stops(host), 0);
}

static void one_that_has_ended_gets_no_program(void **state) {
    struct host *host = *state;
    begin(host, 1);
    assert_int_equal(host_stops(host), 0);

    assert_int_equal(pf_pool_set_exec(host->pool, NULL, NULL, NULL), -ECANCELED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_test(later_starts_are_of_the_new_program),
        executed_test(another_file_and_environment_too),
        executed_test(without_one_the_environment_is_that_of_the_host),
        executed_test(what_is_refused_changes_nothing),
        executed_test(one_that_forks_stays_so),
        executed_test(one_that_has_ended_gets_no_program),
    };

    return run_group_with_each_backend("change of the program", tests);
}
