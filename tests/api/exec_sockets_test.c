/*
 * exec_sockets_test.c - workers that are executed are given the sockets of their supervisor
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "net.h"

enum { FIRST = 3 };

static int bind_port(int port) {
    int fd = -1;

    assert_int_equal(pf_bind_sockets("127.0.0.1", port, AF_INET, 0, 0, &fd, 1), 1);
    return fd;
}

static int bind_path(const char *path) {
    int fd = pf_bind_unix_socket(path, 0600, 0);

    assert_true(fd >= 0);
    return fd;
}

static unsigned long inode_of(int fd) {
    struct stat status = {0};

    assert_int_equal(fstat(fd, &status), 0);
    return (unsigned long)status.st_ino;
}

static void close_all(const int *fds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
}

/* ---- Sockets that were bound ------------------------------------------------------------ */

static void the_nth_equal_call_gives_the_nth_sockets(void **state) {
    struct host *host = *state;
    int fds[] = {bind_port(0), bind_path("socket"), bind_port(0)};
    executes(host, "bind:0", "bind:0", "unix:socket", "bind:0", "run:", "env", "term", NULL);
    assert_int_equal(host_begin(host, 2), 0);

    assert_true(host_reports(host, "ready", 2));

    for (int i = 0; i < 2; i++) {
        assert_reported("%d bind 0: 1 3=%lucn.", i, inode_of(fds[0]));
        assert_reported("%d bind 0: 1 5=%lucn.", i, inode_of(fds[2]));
        assert_reported("%d unix socket: 1 4=%lucn.", i, inode_of(fds[1]));
        assert_reported("%d env LISTEN_FDS=3.", i);
        assert_reported("%d env LISTEN_FDNAMES=bound:bound:bound.", i);
    }
    assert_int_equal(report_count("bind 0: 1 "), 6); /* the third ones are new */
    assert_int_equal(host_stops(host), 0);
    close_all(fds, 3);
}

static void all_sockets_of_one_call_are_given(void **state) {
    struct host *host = *state;
    int fds[8];
    int count = pf_bind_sockets("", 0, AF_UNSPEC, 0, 0, fds, 8); /* IPv4 and IPv6, if there */
    const char *arguments[] = {"all", NULL};
    assert_true(count > 0);
    make_file("all", "#!/bin/sh\necho \"$LISTEN_FDS of $PF_FDS.\" >>\"$REPORT\"\n", 0755);
    assert_int_equal(pf_pool_set_exec(host->pool, "./all", arguments, NULL), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(report_count(text_of("%d of 3:0:%d:0:%d:0:0::0.", count, count, AF_UNSPEC)),
                     1);
    close_all(fds, (size_t)count);
}

static void other_arguments_bind_anew(void **state) {
    struct host *host = *state;
    int fds[] = {bind_port(0), bind_path("socket")};
    char port[32];
    (void)snprintf(port, sizeof(port), "bind:%d", socket_port(fds[0]));
    executes(host, port, "unix:./socket", "unix:other", "run:", "term", NULL);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "ready", 1));

    assert_reported("0 bind %s: %d.", port + strlen("bind:"), -EADDRINUSE);
    assert_reported("0 unix ./socket: %d.", -EADDRINUSE);
    assert_reported("0 unix other: 1 ");
    assert_int_equal(host_stops(host), 0);
    close_all(fds, 2);
}

/* The one behind it comes in its place. */
static void closed_ones_are_not_given(void **state) {
    struct host *host = *state;
    int fds[] = {bind_port(0), bind_port(0), bind_port(0)};
    int other = plain_bind("127.0.0.1", 0, PLAIN_LISTEN);
    executes(host, "bind:0", "run:", "env", "term", NULL);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reports(host, "ready", 1));
    assert_reported("0 bind 0: 1 3=%lucn.", inode_of(fds[1]));
    assert_reported("0 env LISTEN_FDS=2.");

    /* It is looked at before each start, whatever has the number by then. */
    assert_int_equal(dup3(other, fds[1], O_CLOEXEC), fds[1]);
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reports(host, "ready", 2));
    assert_reported("0 bind 0: 1 3=%lucn.", inode_of(fds[2]));
    assert_reported("0 env LISTEN_FDS=1.");

    assert_int_equal(close(fds[2]), 0);
    assert_int_equal(kill(host_pid(host, 0, 1), SIGKILL), 0);
    assert_true(host_reports(host, "ready", 3));
    assert_int_equal(report_count("bind 0: 1 "), 3);
    assert_int_equal(report_count("env LISTEN_FDS="), 2);
    assert_int_equal(report_count("env LISTEN_PID="), 2);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(close(fds[1]), 0);
    assert_int_equal(close(other), 0);
}

static void they_come_before_those_with_names(void **state) {
    struct host *host = *state;
    int fds[] = {bind_path("socket"), memfd_create("text", MFD_CLOEXEC)};
    executes(host, "fd:socket", "fd:text", "run:", "unix:socket", "env", "term", NULL);
    assert_int_equal(pf_pool_add_fd(host->pool, "text", fds[1]), 0);
    assert_int_equal(pf_pool_add_fd(host->pool, "socket", fds[0]), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "ready", 1));

    assert_reported("0 fd text=4 flags=1");
    assert_reported("0 fd socket=5 flags=1");
    assert_reported("0 unix socket: 1 3=%lucn.", inode_of(fds[0]));
    assert_reported("0 env LISTEN_FDS=3.");
    assert_reported("0 env LISTEN_FDNAMES=bound:text:socket.");
    assert_int_equal(host_stops(host), 0);
    close_all(fds, 2);
}

/* ---- Sockets that systemd has passed ---------------------------------------------------- */

/* Executes exec_worker with those steps, and with two descriptors as systemd does it. */
static void activate(const char *names, const char *const *steps) {
    const char *arguments[12] = {"exec_worker"};
    int listener = plain_bind("127.0.0.1", 0, PLAIN_LISTEN), status = -1, count = 1;
    char pid[16];

    while (*steps != NULL) {
        arguments[count++] = *steps++;
    }
    pid_t child = fork();
    if (child == 0) {
        int first = fcntl(listener, F_DUPFD_CLOEXEC, 100);
        int second = open("passed", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        second = fcntl(second, F_DUPFD_CLOEXEC, 100);
        (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
        (void)setenv("LISTEN_PID", pid, 1);
        (void)setenv("LISTEN_FDS", "2", 1);
        if (names != NULL) {
            (void)setenv("LISTEN_FDNAMES", names, 1);
        }
        if (dup2(first, FIRST) == FIRST && dup2(second, FIRST + 1) == FIRST + 1) {
            (void)execv(program_path("exec_worker"), (char *const *)(uintptr_t)arguments);
        }
        _exit(90);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(close(listener), 0);
}

static void workers_are_passed_what_their_supervisor_was(void **state) {
    static const char *const steps[] = {"listen", "unix:socket", "own:",   "listen",
                                        "env",    "fds",         "exit:0", NULL};
    (void)state;

    activate("web:", steps);

    long inode = report_number("-1 listen fds: 2 3=", 0);
    assert_reported("-1 own  result=0 task=-1");
    assert_reported("0 listen fds: 2 3=%ldcn 4=", inode);
    assert_int_equal(report_count(text_of("listen fds: 2 3=%ldcn 4=", inode)), 4);
    assert_int_equal(report_count("unix socket: 1 5="), 2);
    assert_reported("0 unix socket: 1 5=%ldcn.", report_number("-1 unix socket: 1 5=", 0));
    assert_reported("0 env LISTEN_FDS=3.");
    assert_reported("0 env LISTEN_FDNAMES=web:unknown:bound.");
}

static void the_errors_are_the_same(void **state) {
    static const char *const steps[] = {"shut:3", "listen", "own:", "env", "exit:0", NULL};
    (void)state;

    activate(NULL, steps);

    assert_reported("-1 listen fds: %d.", -EBADF);
    assert_reported("0 listen fds: %d.", -EBADF);
    assert_int_equal(report_count("0 env LISTEN_FDS="), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_test(the_nth_equal_call_gives_the_nth_sockets),
        executed_test(all_sockets_of_one_call_are_given),
        executed_test(other_arguments_bind_anew),
        executed_test(closed_ones_are_not_given),
        executed_test(they_come_before_those_with_names),
        executed_scenario_test(workers_are_passed_what_their_supervisor_was),
        executed_scenario_test(the_errors_are_the_same),
    };

    return cmocka_run_group_tests_name("sockets for executed workers", tests, NULL, NULL);
}
