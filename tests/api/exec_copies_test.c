/*
 * exec_copies_test.c - processes that hold several copies of the library, or that have changed
 * their environment before they load it: what they were started as, all copies know
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

static void run_copies(const char *const *steps) {
    const char *arguments[16] = {program_path("copies")};
    char library[4200];

    (void)snprintf(library, sizeof(library), "%s/libprefork.so", library_directory());
    copy_program(library, "copy.so");
    copy_program(library, "third.so");
    for (int i = 0; i < 14 && steps[i] != NULL; i++) {
        arguments[i + 1] = steps[i];
    }
    assert_int_equal(execute_and_wait(arguments, NULL), 0);
    assert_int_equal(report_count("and so on"), 0);
    assert_int_equal(report_count("child status"), 0);
}

static void a_worker_is_one_for_each_copy(void **state) {
    static const char *const with[][8] = {
        {"tell", "copy:./copy.so", "tell", "pool:web", "tell", "again", NULL},
        {"tell", "space:./copy.so", "tell", "pool:web", "tell", "again", NULL},
        {"tell", "clear", "copy:./copy.so", "tell", "pool:web", "tell", "again", NULL},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
        if (SANITIZED && strncmp(with[i][1], "space:", 6) == 0) {
            continue; /* a sanitizer's runtime can not be there twice */
        }
        report_begin();

        run_copies(with[i]);

        assert_int_equal(report_count("depth=0 task=-1 pool=none"), 2);
        assert_int_equal(report_count("depth=0 run web result=0 task=-1"), 1);
        assert_int_equal(report_count("depth=1 task=0 pool=web"), 3);
        assert_int_equal(report_count("depth=1 run web result=0 task=0"), 1);
        /* Its children are not workers, and may have some. */
        assert_int_equal(report_count("depth=2 task=-1 pool=none"), 1);
        assert_int_equal(report_count("depth=2 fork result=0"), 1);
        assert_int_equal(report_count("depth=2 task=0 pool="), 1);
        assert_int_equal(unlink("copy.so") | unlink("third.so"), 0);
    }
}

static void each_copy_answers_for_the_pool_once(void **state) {
    static const char *const steps[] = {
        "pool:", "pool:",           "copy:./copy.so", "pool:",  "fork",
        "pool:", "copy:./third.so", "fork",           "pool:x", NULL};
    (void)state;

    run_copies(steps);

    assert_int_equal(report_count("depth=1 run  result=0 task=0"), 2);
    assert_int_equal(report_count(text_of("depth=1 run  result=%d task=-1", -ELOOP)), 2);
    assert_int_equal(report_count(text_of("depth=1 fork result=%d", -EALREADY)), 1);
    assert_int_equal(report_count("depth=1 fork result=0"), 1);
}

static void a_copy_that_has_not_answered_starts_nothing(void **state) {
    static const char *const steps[] = {"copy:./copy.so", "pool:web", "copy:./third.so",
                                        "fork",           "pool:x",   NULL};
    (void)state;

    run_copies(steps);

    assert_reported("depth=1 run web result=0 task=0");
    assert_reported("depth=1 fork result=%d", -EALREADY);
    assert_reported("depth=1 run x result=%d task=-1", -EALREADY);
    assert_int_equal(report_count("depth=2"), 0);
}

static void a_copy_that_a_child_of_the_worker_loads_starts_nothing(void **state) {
    static const char *const steps[] = {"pool:web", "twin:./copy.so", NULL};
    (void)state;

    run_copies(steps);

    assert_reported("depth=1 task=-1 pool=none");
    assert_reported("depth=1 run twin result=%d task=-1", -ESRCH);
    assert_int_equal(report_count("depth=2"), 0);
}

/* rights is linked with no copy: it loads the library when it has emptied its environment. */
static void what_the_host_removes_before_it_loads_the_library_is_found(void **state) {
    char library[4200], output[256] = "";
    (void)state;
    (void)snprintf(library, sizeof(library), "%s/libprefork.so", library_directory());
    const char *arguments[] = {
        "/bin/sh", "-c", "exec \"$0\" clear \"$1\" >>output", program_path("rights"),
        library,   NULL};

    assert_int_equal(execute_and_wait(arguments, NULL), 0);

    int file = open("output", O_RDONLY | O_CLOEXEC);
    assert_true(read(file, output, sizeof(output) - 1) > 0);
    assert_int_equal(close(file), 0);
    assert_string_equal(output, "1 secure=0 exec=0 run=0 task=0 death=15\n"
                                "0 secure=0 exec=0 run=0 task=-1 death=0\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(a_worker_is_one_for_each_copy),
        executed_scenario_test(each_copy_answers_for_the_pool_once),
        executed_scenario_test(a_copy_that_has_not_answered_starts_nothing),
        executed_scenario_test(a_copy_that_a_child_of_the_worker_loads_starts_nothing),
        executed_scenario_test(what_the_host_removes_before_it_loads_the_library_is_found),
    };

    return cmocka_run_group_tests_name("copies of the library", tests, NULL, NULL);
}
