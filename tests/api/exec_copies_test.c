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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "filter.h"

static void copy_library(void) {
    char library[4200];

    (void)snprintf(library, sizeof(library), "%s/libprefork.so", library_directory());
    copy_program(library, "copy.so");
    copy_program(library, "third.so");
}

static void run_copies(const char *const *steps) {
    const char *arguments[16] = {program_path("copies")};

    for (int i = 0; i < 14 && steps[i] != NULL; i++) {
        arguments[i + 1] = steps[i];
    }
    assert_int_equal(execute_and_wait(arguments, NULL), 0);
    assert_int_equal(report_count("and so on"), 0);
    assert_int_equal(report_count("child status"), 0);
    assert_int_equal(report_count("no copy"), 0);
}

static void a_worker_by_exec_is_one_for_each_copy(void **state) {
    static const char *const with[][8] = {
        {"tell", "copy:./copy.so", "tell", "pool:web", "tell", "again", NULL},
        {"tell", "clear", "copy:./copy.so", "tell", "pool:web", "tell", "again", NULL},
        /* The last, as sanitizers do not know name spaces. */
        {"tell", "space:./copy.so", "tell", "pool:web", "tell", "again", NULL},
    };
    (void)state;
    copy_library();
    for (unsigned i = 0; i < (SANITIZED != 0 ? 2 : 3); i++) {
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
    }
}

static void a_worker_by_fork_is_one_for_each_copy(void **state) {
    static const char *const with[][10] = {
        {"tell", "fork", "tell", "copy:./copy.so", "tell", "fork", "pool:", NULL},
        {"copy:./copy.so", "tell", "fork", "tell", "copy:./third.so", "tell", "fork", "pool:"},
        {"copy:./third.so", "copy:./copy.so", "tell", "fork", "tell", "copy:./third.so", "tell",
         "pool:"},
    };
    (void)state;
    copy_library();
    for (unsigned i = 0; i < 3; i++) {
        report_begin();

        run_copies(with[i]);

        assert_int_equal(report_count("depth=0 task=-1 pool=none"), 1);
        assert_int_equal(report_count("depth=0 fork result=0"), 1);
        assert_int_equal(report_count("depth=0 task=0 pool="), 2);
        assert_int_equal(report_count(text_of("depth=0 fork result=%d", -EALREADY)), i < 2);
        assert_int_equal(report_count(text_of("depth=0 run  result=%d task=-1", -ELOOP)), 1);
        assert_int_equal(report_count("depth=1"), 0);
    }
}

static void the_identity_is_claimed_once_for_all_copies(void **state) {
    static const char *const steps[] = {"pool:",           "pool:",  "copy:./copy.so",
                                        "pool:",           "fork",   "tell",
                                        "copy:./third.so", "pool:x", NULL};
    (void)state;
    copy_library();

    run_copies(steps);

    assert_int_equal(report_count("depth=1 run  result=0 task=0"), 1);
    assert_int_equal(report_count(text_of("depth=1 run  result=%d task=-1", -ELOOP)), 2);
    assert_int_equal(report_count(text_of("depth=1 fork result=%d", -EALREADY)), 1);
    assert_int_equal(report_count("depth=1 task=0 pool=\n"), 1);
    /* As with one copy, a worker may supervise pools of other names. */
    assert_int_equal(report_count("depth=2 run x result=0 task=0"), 1);
    assert_int_equal(report_count("depth=1 run x result=0 task=-1"), 1);
}

static void before_that_no_copy_starts_another_pool(void **state) {
    static const char *const steps[] = {
        "tell", "copy:./copy.so", "fork", "pool:x", "copy:./third.so", "pool:web", NULL};
    const char *const arguments[] = {
        program_path("copies"), steps[0], steps[1], steps[2], steps[3], steps[4], steps[5], NULL};
    struct host *host = *state;
    copy_library();
    assert_int_equal(setenv("DEPTH", "1", 1), 0);
    assert_int_equal(pf_pool_set_worker_fn(host->pool, NULL, NULL, NULL), 0);
    assert_int_equal(pf_pool_set_exec(host->pool, arguments[0], arguments, NULL), 0);
    assert_int_equal(pf_pool_set_name(host->pool, "web"), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(unsetenv("DEPTH"), 0);

    assert_reported("depth=1 task=0 pool=web");
    assert_reported("depth=1 fork result=%d", -EALREADY);
    assert_reported("depth=1 run x result=%d task=-1", -EALREADY);
    assert_reported("depth=1 run web result=0 task=0");
    assert_int_equal(report_count("depth=2"), 0);
}

static void a_copy_that_a_child_of_the_worker_loads_starts_nothing_either(void **state) {
    static const char *const steps[] = {"tell", "twin:./copy.so", "pool:web", NULL};
    (void)state;
    copy_library();

    run_copies(steps);

    assert_int_equal(report_count("depth=1 task=0 pool=web"), 2);
    assert_reported("depth=1 run twin result=%d task=-1", -ESRCH);
    assert_reported("depth=1 run web result=0 task=0");
    assert_int_equal(report_count("depth=2"), 0);
}

/* Then each copy finds out by itself what it was started as. */
static void where_a_copy_can_not_look_at_another_it_is_a_worker_by_itself(void **state) {
    static const char *const steps[] = {"pool:web", "copy:./copy.so", "tell", "fork",
                                        "pool:x",   "pool:web",       NULL};
    int status = -1;
    (void)state;
    copy_library();

    pid_t pid = fork();
    if (pid == 0) {
        const char *const arguments[] = {program_path("copies"),
                                         steps[0],
                                         steps[1],
                                         steps[2],
                                         steps[3],
                                         steps[4],
                                         steps[5],
                                         NULL};
        _exit(filter_forbid(SYS_process_vm_readv, ENOSYS) ? execute_and_wait(arguments, NULL) : 9);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);

    assert_int_equal(report_count("depth=1 run web result=0 task=0"), 2);
    assert_reported("depth=1 task=0 pool=web");
    assert_reported("depth=1 fork result=%d", -EALREADY);
    assert_reported("depth=1 run x result=%d task=-1", -EALREADY);
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
        executed_scenario_test(a_worker_by_exec_is_one_for_each_copy),
        executed_scenario_test(a_worker_by_fork_is_one_for_each_copy),
        executed_scenario_test(the_identity_is_claimed_once_for_all_copies),
        executed_test(before_that_no_copy_starts_another_pool),
        executed_scenario_test(a_copy_that_a_child_of_the_worker_loads_starts_nothing_either),
        executed_scenario_test(where_a_copy_can_not_look_at_another_it_is_a_worker_by_itself),
        executed_scenario_test(what_the_host_removes_before_it_loads_the_library_is_found),
    };

    return cmocka_run_group_tests_name("copies of the library", tests, NULL, NULL);
}
