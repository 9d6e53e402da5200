/*
 * exec_variables_test.c - environments that look as if a supervisor had written them
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

static int read_end_of_us;

/* The pipe in which a supervisor reads what its workers send. */
static int open_pipe(void) {
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFD, FD_CLOEXEC), 0);
    read_end_of_us = ends[0];
    return ends[1];
}

static ino_t inode_of(int fd) {
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    return status.st_ino;
}

static char us[128]; /* PF_SUPERVISOR as a supervisor would write it that is this process */
static int pipe_of_us;

static void open_identity(void) {
    pipe_of_us = open_pipe();
    (void)snprintf(us, sizeof(us),
                   "PF_SUPERVISOR=%d:-1:-1:%d:-1:0:1:15:0:0:%016lx:0123456789abcdef", (int)getpid(),
                   pipe_of_us, (unsigned long)inode_of(pipe_of_us));
}

static void close_identity(void) {
    assert_int_equal(close(pipe_of_us), 0);
    assert_int_equal(close(read_end_of_us), 0);
}

/* Without the variable that names a supervisor the others are somebody's own. */
static void variables_that_name_no_supervisor_are_ignored_and_dropped(void **state) {
    (void)state;
    const char *const bad[][5] = {
        {"PF_TASK_ID=1", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_POOL=own", "PF_FDS=3:a", "PF_COMM=name", NULL},
    };
    const unsigned count = sizeof(bad) / sizeof(bad[0]);

    for (unsigned i = 0; i < count; i++) {
        with_environment(bad[i]);
    }

    assert_int_equal(report_count("-1 supervise own result=0"), count);
    assert_int_equal(report_count("env PF_"), 0);
    assert_int_equal(report_count("variables=1 "), count);
}

/* As those of another version of the library may look: who takes itself for a supervisor then
 * would make workers that do the same. */
static void variables_that_make_no_sense_start_nothing(void **state) {
    (void)state;
    open_identity();
    const char *const bad[][5] = {
        {"PF_TASK_ID=one", us, "PF_POOL=own", NULL},
        {"PF_TASK_ID=-1", us, "PF_POOL=own", NULL},
        {"PF_TASK_ID=65536", us, "PF_POOL=own", NULL},
        {"PF_TASK_ID=99999999999", us, "PF_POOL=own", NULL},
        {"PF_TASK_ID=", us, "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=0:-1:-1:3:-1:0:1:15:0:0:0000000000000001:0123456789abcdef",
         "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:-1:-1:3:0:15:", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:2:3", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:-1:-1:3:-1:0:1:15:0:0", "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:-1:-1:3:-1:0:1:15:0:0:0000000000000001:0123456789abcde",
         "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:-1:-1:3:-1:0:1:15:0:0:0000000000000001:0123456789abcdexy",
         "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:-1:-1:3:-1:0:1:15:0:0:0000000000000001:0123456789abcdef0",
         "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:-1:-1:-1:-1:0:1:15:0:0:0000000000000001:0123456789abcdef",
         "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:-1:-1:3:-1:0:0:15:0:0:0000000000000001:0123456789abcdef",
         "PF_POOL=own", NULL},
        {"PF_TASK_ID=1",
         "PF_SUPERVISOR=1:-1:-1:3:-1:262144:1:15:0:0:0000000000000001:0123456789abcdef",
         "PF_POOL=own", NULL},
        {"PF_TASK_ID=1",
         "PF_SUPERVISOR=1:-1:-1:3:-1:0:9999999999:15:0:0:0000000000000001:0123456789abcdef",
         "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", us, NULL},
        {"PF_TASK_ID=1", us, "PF_FDS=3:a", NULL},
        {us, "PF_POOL=own", NULL},
        {us, NULL},
        {"PF_TASK_ID=1", us,
         "PF_POOL=a name of sixty-four bytes, which is longer than any can be 0123", NULL},
    };
    const unsigned count = sizeof(bad) / sizeof(bad[0]);

    for (unsigned i = 0; i < count; i++) {
        with_environment(bad[i]);
    }

    assert_int_equal(report_count(text_of("-1 supervise own result=%d task=-2", -ESRCH)), count);
    assert_int_equal(report_count("function"), 0);
    assert_int_equal(report_count("env PF_"), 0);
    assert_int_equal(report_count("variables=1 "), count);
    close_identity();
}

static void variables_of_another_supervisor_start_nothing(void **state) {
    char other[128], no_pipe[128], read_end[128], no_pipe_down[128];
    (void)state;
    open_identity();
    char rest[64], other_pipe[128];
    (void)snprintf(rest, sizeof(rest), "0:1:15:0:0:%016lx:0123456789abcdef",
                   (unsigned long)inode_of(pipe_of_us));
    (void)snprintf(other_pipe, sizeof(other_pipe),
                   "PF_SUPERVISOR=%d:-1:-1:%d:-1:0:1:15:0:0:%016lx:0123456789abcdef", (int)getpid(),
                   pipe_of_us, (unsigned long)inode_of(pipe_of_us) + 1);
    (void)snprintf(other, sizeof(other), "PF_SUPERVISOR=%d:7::%d::%s", (int)getppid(), pipe_of_us,
                   rest);
    (void)snprintf(no_pipe, sizeof(no_pipe), "PF_SUPERVISOR=%d:::2::%s", (int)getpid(), rest);
    assert_int_equal(fcntl(read_end_of_us, F_SETFD, 0), 0);
    (void)snprintf(read_end, sizeof(read_end), "PF_SUPERVISOR=%d:::%d::%s", (int)getpid(),
                   read_end_of_us, rest);
    (void)snprintf(no_pipe_down, sizeof(no_pipe_down), "PF_SUPERVISOR=%d:::%d:2:%s", (int)getpid(),
                   pipe_of_us, rest);
    const char *const bad[][5] = {
        {"PF_TASK_ID=1", other, "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", "PF_SUPERVISOR=1:-1:-1:3:-1:0:1:15:0:0:0000000000000001:0123456789abcdef",
         "PF_POOL=own", "PF_COMM=other", NULL},
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
        {"PF_TASK_ID=1", no_pipe, "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", other_pipe, "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", read_end, "PF_POOL=own", NULL},
        {"PF_TASK_ID=1", no_pipe_down, "PF_POOL=own", NULL},
    };
    const unsigned count = sizeof(bad) / sizeof(bad[0]);

    for (unsigned i = 0; i < count; i++) {
        with_environment(bad[i]);
    }

    assert_int_equal(report_count(text_of("-1 supervise own result=%d task=-2", -ESRCH)), count);
    assert_int_equal(report_count("function"), 0);
    assert_int_equal(report_count("env PF_"), 0);
    close_identity();
}

/* The counterpart: with the right ones, anybody's child is a worker. */
static void variables_of_the_parent_are_believed(void **state) {
    char report_variable[512];
    (void)state;
    open_identity();
    const char *arguments[] = {program_path("exec_worker"), "run:own", "fd:err", NULL};
    (void)snprintf(report_variable, sizeof(report_variable), "REPORT=%s", getenv("REPORT"));
    const char *environment[] = {"PF_TASK_ID=65535", us,  "PF_POOL=own", "PF_FDS=0:0:0:in:out:err",
                                 report_variable,    NULL};

    assert_int_equal(execute_and_wait(arguments, environment), 0);

    assert_reported("65535 run own result=0 task=65535");
    assert_reported("65535 fd err=2 flags=1");
    close_identity();
}

static void a_program_with_more_rights_than_its_parent_starts_nothing(void **state) {
    char output[256] = "", library[4200];
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root can make a program of another user\n");
        skip();
    }
    (void)snprintf(library, sizeof(library), "%s/libprefork.so", library_directory());
    copy_program(library, "libprefork.so"); /* the other user may not reach the tree */
    copy_program(program_path("load_secure"), "secure");
    assert_int_equal(chown("secure", 65534, 65534), 0);
    assert_int_equal(chmod("secure", 04755), 0);
    assert_int_equal(chmod(".", 0755), 0);
    open_identity();

    for (int privileged = 0; privileged < 2; privileged++) {
        const char *program = privileged != 0 ? "./secure" : program_path("load_secure");
        const char *arguments[] = {"/bin/sh", "-c",     "exec \"$0\" ./libprefork.so >\"$1\"",
                                   program,   "output", NULL};
        const char *environment[] = {"PF_TASK_ID=3", us, "PF_POOL=", NULL};
        assert_int_equal(execute_and_wait(arguments, environment), 0);
        int fd = open("output", O_RDONLY | O_CLOEXEC);
        assert_true(read(fd, output, sizeof(output) - 1) > 0);
        assert_int_equal(close(fd), 0);
        if (privileged != 0 && strstr(output, "secure=0") != NULL) {
            print_message("skipped: this file system knows no set-user-id programs\n");
            skip();
        }
        assert_string_equal(output,
                            text_of(privileged != 0 ? "secure=1 task=-1 variable=gone result=%d\n"
                                                    : "secure=0 task=3 variable=gone result=%d\n",
                                    privileged != 0 ? -ESRCH : 3));
    }
    close_identity();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(variables_that_name_no_supervisor_are_ignored_and_dropped),
        executed_scenario_test(variables_that_make_no_sense_start_nothing),
        executed_scenario_test(variables_of_another_supervisor_start_nothing),
        executed_scenario_test(variables_of_the_parent_are_believed),
        executed_scenario_test(a_program_with_more_rights_than_its_parent_starts_nothing),
    };

    return cmocka_run_group_tests_name("environments that others have written", tests, NULL, NULL);
}
