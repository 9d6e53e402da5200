/*
 * exec_papers_test.c - environments that look as if a supervisor had written them
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

enum { VARIABLES_MAX = 8 };

/* Runs exec_worker as a child of this process with what is said there and nothing else. */
static void with_environment(const char *const *variables) {
    const char *arguments[] = {program_path("exec_worker"), "supervise:own", "env", NULL};
    const char *environment[VARIABLES_MAX] = {NULL};
    static char report_variable[512];
    int count = 0;

    (void)snprintf(report_variable, sizeof(report_variable), "REPORT=%s", getenv("REPORT"));
    environment[count++] = report_variable;
    while (*variables != NULL) {
        environment[count++] = *variables++;
    }
    assert_int_equal(execute_and_wait(arguments, environment), 0);
}

/* The memory that a supervisor shares with its workers: one cell and the notice. */
static int open_memory(void) {
    int memory = memfd_create("cells", 0);

    assert_true(memory >= 0);
    assert_int_equal(ftruncate(memory, 128), 0);
    return memory;
}

static char us[128]; /* PF_SUPERVISOR as a supervisor would write it that is this process */
static int memory_of_us;

static void begin_papers(void) {
    memory_of_us = open_memory();
    (void)snprintf(us, sizeof(us), "PF_SUPERVISOR=%d:::%d:0:15:00616263", (int)getpid(),
                   memory_of_us);
}

static void papers_that_make_no_sense_are_ignored_and_dropped(void **state) {
    (void)state;
    begin_papers();
    const char *const bad[][5] = {
        {"PF_TASK_ID=one", us, "PF_POOL=own", NULL},
        {"PF_TASK_ID=-1", us, "PF_POOL=own", NULL},
        {"PF_TASK_ID=65536", us, "PF_POOL=own", NULL},
        {"PF_TASK_ID=99999999999", us, "PF_POOL=own", NULL},
        {"PF_TASK_ID=", us, "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=0:::3:0:15:", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:2:3", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:::3:0:15", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:::3:0:15:0", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:::3:0:15:xy", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:::3:0:15:00112233445566778899aabbcc", "PF_POOL=own",
         NULL},
        {"PF_TASK_ID=1", us, NULL},
        {"PF_TASK_ID=1", us, "PF_FDS=3:a", NULL},
        {"PF_TASK_ID=1", "PF_POOL=own", NULL},
        {us, "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", us,
         "PF_POOL=a name of sixty-four bytes, which is longer than any can be 0123", NULL},
    };
    const unsigned count = sizeof(bad) / sizeof(bad[0]);

    for (unsigned i = 0; i < count; i++) {
        with_environment(bad[i]);
    }

    assert_int_equal(report_count("-1 supervise own result=0"), count);
    assert_int_equal(report_count("env PF_"), 0);
    assert_int_equal(report_count("variables=1 "), count);
    assert_int_equal(close(memory_of_us), 0);
}

static void papers_of_another_supervisor_start_nothing(void **state) {
    char other[128], no_memory[128], no_cell[128];
    (void)state;
    begin_papers();
    (void)snprintf(other, sizeof(other), "PF_SUPERVISOR=%d:7::%d:0:15:", (int)getppid(),
                   memory_of_us);
    (void)snprintf(no_memory, sizeof(no_memory), "PF_SUPERVISOR=%d:::::15:", (int)getpid());
    (void)snprintf(no_cell, sizeof(no_cell), "PF_SUPERVISOR=%d:::%d:1:15:", (int)getpid(),
                   memory_of_us);
    const char *const bad[][5] = {
        {"PF_TASK_ID=1", other, "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:::3:0:15:", "PF_POOL=own", "PF_COMM=other", NULL},
        /* What a worker needs is not there. */
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=900:0:0:a", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=0:0:0:a:a", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=a", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=0", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=0:0", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=0:0:0a", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=900:1:0", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=900:0:1:80:2:0:4:host:0", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=0:0:-1:80:2:0:4:host:0", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=0:0:65:80:2:0:4:host:0", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=0:0:1:80:2:0:-4:host:0", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=0:0:1:80:2:0:2000:host:0", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=0:0:1:80:2:0:400:host:0", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=0:0:1:80:2:0:4:host", NULL},
        {"PF_TASK_ID=1", us, "PF_POOL=own", "PF_FDS=0:0:1:80:2", NULL},
        {"PF_TASK_ID=1", no_memory, "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", no_cell, "PF_POOL=own", NULL},
    };
    const unsigned count = sizeof(bad) / sizeof(bad[0]);

    for (unsigned i = 0; i < count; i++) {
        with_environment(bad[i]);
    }

    assert_int_equal(report_count(text_of("-1 supervise own result=%d task=-2", -ESRCH)), count);
    assert_int_equal(report_count("function"), 0);
    assert_int_equal(report_count("env PF_"), 0);
    assert_int_equal(close(memory_of_us), 0);
}

/* The counterpart: with the right ones, anybody's child is a worker. */
static void papers_of_the_parent_are_believed(void **state) {
    char report_variable[512];
    (void)state;
    begin_papers();
    const char *arguments[] = {program_path("exec_worker"), "run:own", "fd:err", NULL};
    (void)snprintf(report_variable, sizeof(report_variable), "REPORT=%s", getenv("REPORT"));
    const char *environment[] = {"PF_TASK_ID=65535", us,  "PF_POOL=own", "PF_FDS=0:0:0:in:out:err",
                                 report_variable,    NULL};

    assert_int_equal(execute_and_wait(arguments, environment), 0);

    assert_reported("65535 run own result=0 task=65535");
    assert_reported("65535 fd err=2 flags=1");
    assert_int_equal(close(memory_of_us), 0);
}

static void a_program_with_the_rights_of_its_owner_believes_nothing(void **state) {
    char output[256] = "", library[4200];
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root can make a program of another user\n");
        skip();
    }
    (void)snprintf(library, sizeof(library), "%s/libprefork.so", library_directory());
    copy_program(program_path("load_secure"), "secure");
    assert_int_equal(chown("secure", 65534, 65534), 0);
    assert_int_equal(chmod("secure", 04755), 0);
    assert_int_equal(chmod(".", 0755), 0);
    begin_papers();

    for (int privileged = 0; privileged < 2; privileged++) {
        const char *program = privileged != 0 ? "./secure" : program_path("load_secure");
        const char *arguments[] = {"/bin/sh", "-c", "exec \"$0\" \"$1\" >\"$2\"", program, library,
                                   "output",  NULL};
        const char *environment[] = {"PF_TASK_ID=3", us, "PF_POOL=", NULL};
        assert_int_equal(execute_and_wait(arguments, environment), 0);
        int fd = open("output", O_RDONLY | O_CLOEXEC);
        assert_true(read(fd, output, sizeof(output) - 1) > 0);
        assert_int_equal(close(fd), 0);
        if (privileged != 0 && strstr(output, "secure=0") != NULL) {
            print_message("skipped: this file system knows no set-user-id programs\n");
            skip();
        }
        /* The number asked for is refused before anything is done with it. */
        assert_string_equal(output,
                            text_of(privileged != 0 ? "secure=1 task=-1 variable=gone result=%d\n"
                                                    : "secure=0 task=3 variable=gone result=%d\n",
                                    -EINVAL));
    }
    assert_int_equal(close(memory_of_us), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(papers_that_make_no_sense_are_ignored_and_dropped),
        executed_scenario_test(papers_of_another_supervisor_start_nothing),
        executed_scenario_test(papers_of_the_parent_are_believed),
        executed_scenario_test(a_program_with_the_rights_of_its_owner_believes_nothing),
    };

    return cmocka_run_group_tests_name("environments that others have written", tests, NULL, NULL);
}
