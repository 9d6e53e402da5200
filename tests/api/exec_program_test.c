/*
 * exec_program_test.c - a program whose workers are itself, whatever became of its file
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
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

enum { ARGUMENTS_MAX = 6 };

/* What the supervisor executes; set before the scenario starts. */
static const char *program;
static const char *program_arguments[ARGUMENTS_MAX + 1];
static const char *program_directory; /* it goes there first, as a shell does; NULL: it stays */

static int become_program(struct board *board) {
    (void)board;
    /* The copies of the program do not find the library beside themselves. */
    if (setenv("LD_LIBRARY_PATH", library_directory(), 1) != 0) {
        return 3;
    }
    if (program_directory != NULL &&
        (chdir(program_directory) != 0 || setenv("PWD", program_directory, 1) != 0)) {
        return 3;
    }
    execv(program, (char *const *)(uintptr_t)program_arguments);
    return 3;
}

static void start(struct scenario *run, const char *path, const char *name, const char *option,
                  const char *another) {
    program = path;
    program_arguments[0] = name;
    program_arguments[1] = option;
    program_arguments[2] = another;
    program_arguments[3] = NULL;
    scenario_start_host(run, become_program);
}

static pid_t worker_pid(unsigned nth) { return (pid_t)report_number("pid=", nth); }

/* Kills a worker, in whose place comes another. */
static void kill_worker(struct scenario *run, unsigned nth) {
    run->output_taken = true; /* the default callback says so */
    assert_int_equal(kill(worker_pid(nth), SIGKILL), 0);
    assert_true(report_reaches(" pid=", nth + 2));
}

static void assert_stops(struct scenario *run) {
    scenario_signal(run, SIGTERM);
    assert_exits(run, 0);
    assert_reported("-1 supervisor result=0");
}

static void workers_have_the_arguments_and_the_name_of_the_program(void **state) {
    struct scenario *run = *state;
    start(run, program_path("exec_self"), "another name", "", "--word=two words");
    assert_true(report_reaches("worker", 1));

    kill_worker(run, 0);

    assert_int_equal(report_count("0 worker pool= "), 2);
    assert_int_equal(report_count("args=[another name][][--word=two words] name=exec_self"), 2);
    assert_stops(run);
}

static void a_relative_name_does_not_matter(void **state) {
    struct scenario *run = *state;
    copy_program(program_path("exec_self"), "copy");
    start(run, "./copy", "./copy", "chdir", NULL);
    assert_true(report_reaches("worker", 1));

    kill_worker(run, 0);

    /* The supervisor has gone to another directory before. */
    assert_int_equal(report_count("args=[./copy][chdir] name=copy program=/"), 2);
    assert_stops(run);
}

static void a_title_written_over_the_arguments_does_not_matter(void **state) {
    struct scenario *run = *state;
    start(run, program_path("exec_self"), "exec_self", "title", "three");
    assert_true(report_reaches("worker", 1));

    kill_worker(run, 0);

    assert_int_equal(report_count("args=[exec_self][title][three] name=exec_self"), 2);
    assert_stops(run);
}

/* The program of a script is its interpreter; here that is the test program itself. */
static void a_script_is_started_as_a_script(void **state) {
    struct scenario *run = *state;
    make_file("service", text_of("#!%s -option\n", program_path("exec_self")), 0755);
    start(run, "./service", "ignored", "one", NULL);
    assert_true(report_reaches("worker", 1));

    kill_worker(run, 0);

    assert_int_equal(report_count(text_of("args=[%s][-option][./service][one] name=service",
                                          program_path("exec_self"))),
                     2);
    assert_stops(run);
}

static void a_program_that_was_removed_goes_on(void **state) {
    struct scenario *run = *state;
    copy_program(program_path("exec_self"), "removed");
    start(run, "./removed", "./removed", NULL, NULL);
    assert_true(report_reaches("worker", 1));
    assert_int_equal(unlink("removed"), 0);

    kill_worker(run, 0);
    kill_worker(run, 1);

    assert_int_equal(report_count("args=[./removed] name=removed"), 3);
    assert_int_equal(report_count("/removed (deleted)."), 2);
    assert_stops(run);
}

static void a_program_that_was_replaced_is_the_new_one(void **state) {
    struct scenario *run = *state;
    copy_program(program_path("exec_self"), "replaced");
    start(run, "./replaced", "./replaced", "argument", NULL);
    assert_true(report_reaches("worker", 1));
    make_file("new", "#!/bin/sh\necho \"$PF_TASK_ID new pid=$$ $1\" >>\"$REPORT\"\nexec sleep 99\n",
              0755);
    assert_int_equal(rename("new", "replaced"), 0);

    kill_worker(run, 0);

    assert_reported("0 new pid=%d argument\n", (int)worker_pid(1));
    /* And back again. */
    copy_program(program_path("exec_self"), "newer");
    assert_int_equal(rename("newer", "replaced"), 0);
    kill_worker(run, 1);
    assert_int_equal(report_count("args=[./replaced][argument] name=replaced"), 2);
    assert_stops(run);
}

/* ---- Behind a link ---------------------------------------------------------------------- */

static void turn_link_to(const char *release) {
    assert_int_equal(symlink(release, "new"), 0);
    assert_int_equal(rename("new", "current"), 0);
}

static void make_releases(void) {
    assert_int_equal(mkdir("v1", 0755), 0);
    assert_int_equal(mkdir("v2", 0755), 0);
    copy_program(program_path("exec_self"), "v1/service");
    copy_program(program_path("exec_self"), "v2/service");
    turn_link_to("v1");
}

/* The supervisor was started by a name that leads through the link. */
static void assert_link_is_followed(struct scenario *run) {
    assert_true(report_reaches("worker", 1));
    assert_int_equal(report_count("/v1/service."), 1);
    turn_link_to("v2");

    kill_worker(run, 0);

    assert_int_equal(report_count("/v2/service."), 1);
    turn_link_to("v3"); /* which is not there: the program that the supervisor runs is */
    kill_worker(run, 1);
    assert_int_equal(report_count("/v1/service."), 2);
    turn_link_to("v2");
    scenario_signal(run, SIGHUP); /* a reload */
    assert_true(report_reaches("/v2/service.", 2));
    assert_stops(run);
}

static const char *absolute(const char *name) {
    static char path[512];
    char directory[256];

    assert_non_null(getcwd(directory, sizeof(directory)));
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void a_link_that_was_turned_is_followed(void **state) {
    struct scenario *run = *state;
    make_releases();

    start(run, absolute("current/service"), "service", NULL, NULL);

    assert_link_is_followed(run);
}

static void a_link_in_a_relative_name_is_followed(void **state) {
    struct scenario *run = *state;
    make_releases();

    start(run, "current/service", "service", "chdir", NULL);

    assert_link_is_followed(run);
}

static void a_link_to_the_first_directory_is_followed(void **state) {
    struct scenario *run = *state;
    make_releases();
    program_directory = absolute("current");

    start(run, "./service", "service", "chdir", NULL);
    program_directory = NULL;

    assert_link_is_followed(run);
}

/* The name is of a file that the kernel has open, and leads to another one later. */
static void a_name_of_an_open_file_is_not_used(void **state) {
    struct scenario *run = *state;
    copy_program(program_path("exec_self"), "opened");
    int fd = open("opened", O_RDONLY);
    assert_true(fd >= 0);

    start(run, text_of("/proc/self/fd/%d", fd), "opened", "chdir", NULL);
    assert_true(report_reaches("worker", 1));
    kill_worker(run, 0);

    assert_int_equal(report_count("/opened."), 2);
    assert_stops(run);
    assert_int_equal(close(fd), 0);
}

/* One that is there but cannot be executed is not passed over. */
static void a_program_that_was_spoilt_is_reported(void **state) {
    struct scenario *run = *state;
    copy_program(program_path("exec_self"), "spoilt");
    start(run, "./spoilt", "./spoilt", NULL, NULL);
    assert_true(report_reaches("worker", 1));
    make_file("new", "nothing\n", 0755);
    assert_int_equal(rename("new", "spoilt"), 0);
    run->output_taken = true;

    assert_int_equal(kill(worker_pid(0), SIGKILL), 0);

    uint64_t deadline = now_ms() + PATIENCE_MS;
    while (strstr(scenario_output(run), "Exec format error") == NULL && now_ms() < deadline) {
        pause_ms(1);
    }
    assert_non_null(
        strstr(scenario_output(run), "could not be started: Exec format error, trying"));
    assert_int_equal(report_count("worker"), 1);
    copy_program(program_path("exec_self"), "good");
    assert_int_equal(rename("good", "spoilt"), 0);
    assert_true(report_reaches("worker", 2));
    assert_stops(run);
}

/* Each worker of the second pool comes by the call of the first one. */
static void two_pools_are_told_apart_by_their_names(void **state) {
    struct scenario *run = *state;
    start(run, program_path("exec_self"), "exec_self", "two", NULL);
    assert_true(report_reaches("worker pool=first", 2));

    scenario_signal(run, SIGTERM);
    assert_true(report_reaches("worker pool=second", 1));

    assert_reported("-1 first result=0");
    assert_reported("0 first result=%d", -EALREADY);
    assert_int_equal(report_count("worker pool=first"), 2);
    assert_int_equal(report_count("supervisor of first"), 1);
    assert_stops(run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(workers_have_the_arguments_and_the_name_of_the_program),
        executed_scenario_test(a_relative_name_does_not_matter),
        executed_scenario_test(a_title_written_over_the_arguments_does_not_matter),
        executed_scenario_test(a_script_is_started_as_a_script),
        executed_scenario_test(a_program_that_was_removed_goes_on),
        executed_scenario_test(a_program_that_was_replaced_is_the_new_one),
        executed_scenario_test(a_link_that_was_turned_is_followed),
        executed_scenario_test(a_link_in_a_relative_name_is_followed),
        executed_scenario_test(a_link_to_the_first_directory_is_followed),
        executed_scenario_test(a_name_of_an_open_file_is_not_used),
        executed_scenario_test(a_program_that_was_spoilt_is_reported),
        executed_scenario_test(two_pools_are_told_apart_by_their_names),
    };

    return cmocka_run_group_tests_name("workers of the same program", tests, NULL, NULL);
}
