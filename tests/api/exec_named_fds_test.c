/*
 * exec_named_fds_test.c - workers by exec inherit descriptors by name
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
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

static bool by_pidfd(void) { return backend_under_test == PF_BACKEND_PIDFD; }

/* An open file with that text, under that number or, with -1, the next free one. */
static int open_file(const char *text, int number) {
    int fd = memfd_create(text, MFD_CLOEXEC);

    assert_true(fd >= 0);
    if (number >= 0 && number != fd) {
        assert_int_equal(fcntl(number, F_GETFD), -1); /* else the test would take it from another */
        assert_int_equal(dup3(fd, number, O_CLOEXEC), number);
        assert_int_equal(close(fd), 0);
        fd = number;
    }
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

static void add_file(struct host *host, const char *name, int fd) {
    assert_int_equal(pf_pool_add_fd(host->pool, name, fd), 0);
}

/* ---- Descriptors ------------------------------------------------------------------------ */

static void named_descriptors_come_from_3_on(void **state) {
    struct host *host = *state;
    int first = open_file("one", 200), second = open_file("two", 100);
    executes(host, "fd:b", "fd:a", "fd:c", "run:", "fd:b", "fds", "env", "term", NULL);
    add_file(host, "b", first);
    add_file(host, "a", second);
    assert_int_equal(host_begin(host, 2), 0);

    assert_true(host_reports(host, "ready", 2));

    for (int i = 0; i < 2; i++) {
        assert_reported("%d fd b=3 flags=1 content=one", i);
        assert_reported("%d fd a=4 flags=1 content=two", i);
        assert_reported("%d fd c=%d flags=-1", i, -ENOENT);
        assert_reported("%d env LISTEN_FDS=2.", i);
        assert_reported("%d env LISTEN_FDNAMES=b:a.", i);
        assert_reported("%d env LISTEN_PID=%d.", i, (int)host_pid(host, i, 0));
    }
    assert_int_equal(report_count("listens=1"), 2);
    assert_int_equal(report_count("fd b=3"), 4);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(close(first), 0);
    assert_int_equal(close(second), 0);
}

/* Nothing but what was made for it, and what the host has marked to be passed on. */
static void no_other_descriptor_of_the_library_is_open(void **state) {
    struct host *host = *state;
    int named = open_file("named", 200), plain = open_file("plain", 201);
    int hidden = open_file("hidden", 202);
    assert_int_equal(fcntl(plain, F_SETFD, 0), 0);
    assert_int_equal(fcntl(named, F_SETFD, 0), 0); /* has its own place all the same */
    executes(host, "fds", "run:", "term", NULL);
    add_file(host, "named", named);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reports(host, "ready", 1));
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);

    assert_true(host_reports(host, "ready", 2));

    /* Pipes from and to the supervisor, and what tells of its end. */
    if (by_pidfd()) {
        long link = report_number("fds 0 1 2 3c ", 0);
        assert_true(link > 3);
        assert_int_equal(report_count(text_of("fds 0 1 2 3c %ldcp 201, pipes 1 1.", link)), 2);
    } else {
        assert_int_equal(report_count("fds 0 1 2 3c 201, pipes 2 1."), 2);
    }
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(close(named), 0);
    assert_int_equal(close(plain), 0);
    assert_int_equal(close(hidden), 0);
}

/* Each is in the place of another, or of the library's own, and not close-on-exec. */
static int host_of_crossed(struct board *board) {
    struct host host;
    const char *const names[] = {"e", "d", "c", "b", "a"};

    for (int fd = 3; fd < 100; fd++) {
        (void)close(fd); /* this process is only here for this */
    }
    board_require(board, dup2(STDERR_FILENO, 40) == 40); /* keeps the library above */
    for (int fd = 7; fd >= 3; fd--) {
        char text[2] = {(char)('a' + fd - 3), '\0'};
        board_require(board, open_file(text, -1) >= 0);
    }
    host_open(&host, board);
    executes(&host, "fds", "run:", "fd:a", "fd:b", "fd:c", "fd:d", "fd:e", "fd:err", "term", NULL);
    for (int fd = 3; fd <= 7; fd++) {
        board_require(board, fcntl(fd, F_SETFD, 0) == 0);
        board_require(board, pf_pool_add_fd(host.pool, names[fd - 3], 10 - fd) == 0);
    }
    /* More places than that, so that the pool's own descriptors are in the way too. */
    for (int i = 0; i < 20; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "more%d", i);
        board_require(board, pf_pool_add_fd(host.pool, name, 3 + i % 5) == 0);
    }
    board_require(board, pf_pool_add_fd(host.pool, "err", STDERR_FILENO) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reports(&host, "ready", 1));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void descriptors_in_each_others_places_are_not_mixed_up(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_of_crossed);

    assert_exits(run, 0);
    /* They were opened as e to a from 3 on, and added from 7 down as e to a. */
    assert_reported("0 fd e=3 flags=1 content=a\n");
    assert_reported("0 fd d=4 flags=1 content=b\n");
    assert_reported("0 fd c=5 flags=1 content=c\n");
    assert_reported("0 fd b=6 flags=1 content=d\n");
    assert_reported("0 fd a=7 flags=1 content=e\n");
    assert_reported("0 fd err=28 flags=1 ");
    assert_reported("0 fds 0 1 2 3c 4c 5c 6c 7c 8c ");
    /* Of the pool's own there is only what connects it with the supervisor, beyond the places. */
    assert_reported(by_pidfd() ? "cp 40, pipes 1 1." : "28c 40, pipes 2 1.");
}

/* A host that is itself a runtime may have marked them close-on-exec. */
static int host_of_marked_stdio(struct board *board) {
    struct host host;

    host_open(&host, board);
    executes(&host, "fds", "run:", "term", NULL);
    board_require(board, fcntl(STDOUT_FILENO, F_SETFD, FD_CLOEXEC) == 0);
    (void)close(STDIN_FILENO); /* one that the host has not stays away */
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reports(&host, "ready", 1));
    board_require(board, fcntl(STDOUT_FILENO, F_GETFD) == FD_CLOEXEC);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void standard_descriptors_are_passed_on_whatever_their_flags(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_of_marked_stdio);

    assert_exits(run, 0);
    assert_int_equal(report_count("fds 1 2"), 1);
}

static const char listener[] = "#!/bin/sh\n"
                               "test \"$LISTEN_PID\" = $$ && read -r text <&3 &&\n"
                               "echo \"$PF_TASK_ID: $LISTEN_FDS $LISTEN_FDNAMES $1 $text\" "
                               ">>\"$REPORT\" && exit 7\n";

/* It knows nothing of this library, only systemd's protocol. */
static void a_script_can_be_a_worker(void **state) {
    struct host *host = *state;
    const char *arguments[] = {"listener", "word", NULL};
    int pair[2];
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_int_equal(write(pair[1], "hello\nhello\n", 12), 12);
    make_file("listener", listener, 0755);
    assert_int_equal(pf_pool_set_exec(host->pool, "./listener", arguments, NULL), 0);
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    add_file(host, "in", pair[0]);
    add_file(host, "out", pair[1]);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->exit_code, 7);
    assert_int_equal(report_count("0: 2 in:out word hello"), 1);
    assert_int_equal(close(pair[0]), 0);
    assert_int_equal(close(pair[1]), 0);
}

static void one_that_was_closed_is_reported(void **state) {
    struct host *host = *state;
    int fd = open_file("text", -1);
    executes(host, "run:", "term", NULL);
    add_file(host, "text", fd);
    assert_int_equal(host_begin(host, 2), 0);
    assert_int_equal(close(fd), 0);

    assert_int_equal(host_finishes(host), -EBADF);

    assert_int_equal(board_find(host->board, PF_EVENT_START_FAILED, 0, 0)->error, -EBADF);
    assert_int_equal(report_count("loaded"), 0);
}

static void one_that_has_become_another_is_reported(void **state) {
    struct host *host = *state;
    int fd = open_file("text", -1);
    executes(host, "run:", "term", NULL);
    add_file(host, "text", fd);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reports(host, "ready", 1));
    int other = open_file("other", -1);
    assert_int_equal(dup3(other, fd, O_CLOEXEC), fd);

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);

    assert_true(host_reaches(host, PF_EVENT_START_FAILED, 0, 1));
    assert_int_equal(board_find(host->board, PF_EVENT_START_FAILED, 0, 0)->error, -EBADF);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(report_count("loaded"), 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(other), 0);
}

/* ---- Descriptors of workers that were forked ---------------------------------------------- */

enum { NOTE_FOUND = KIND_NOTE };

static struct host *host_of_forked;

static int finds_its_descriptors(struct board *board, int task_id, int run) {
    (void)task_id;
    board_require(board, pf_worker_fd("missing") == -ENOENT);
    board_require(board, pf_worker_fd(NULL) == -EINVAL);
    board_require(board, strcmp(pf_worker_pool_name(), "forked") == 0);
    board_require(board, pf_pool_free(host_of_forked->pool) == NULL);
    /* Its memory has gone, but not what the worker is. */
    void *other = malloc(64);
    board_require(board, strcmp(pf_worker_pool_name(), "forked") == 0);
    board_note(board, NOTE_FOUND, pf_worker_fd("text"));
    free(other);
    return run == 0 ? 1 : 0;
}

static void forked_workers_find_theirs_too(void **state) {
    struct host *host = *state;
    int fd = open_file("text", -1);
    host_of_forked = host;
    host->work = finds_its_descriptors;
    assert_int_equal(pf_pool_set_name(host->pool, "forked"), 0);
    add_file(host, "text", fd);
    assert_int_equal(pf_worker_fd("text"), -ECHILD);
    assert_null(pf_worker_pool_name());
    assert_int_equal(host_begin(host, 2), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(board_count(host->board, NOTE_FOUND, ANY_TASK), 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(board_find(host->board, NOTE_FOUND, ANY_TASK, i)->value, fd);
    }
    assert_int_equal(close(fd), 0);
}

static int tells_its_pool(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, pf_worker_pool_name() != NULL && pf_worker_pool_name()[0] == '\0');
    board_require(board, pf_worker_fd("text") == -ENOENT);
    return 0;
}

static void those_of_the_one_call_have_a_pool_without_a_name(void **state) {
    static const struct plan plan = {.workers = 2, .work = tells_its_pool};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_test(named_descriptors_come_from_3_on),
        executed_test(no_other_descriptor_of_the_library_is_open),
        executed_scenario_test(descriptors_in_each_others_places_are_not_mixed_up),
        executed_scenario_test(standard_descriptors_are_passed_on_whatever_their_flags),
        executed_test(a_script_can_be_a_worker),
        executed_test(one_that_was_closed_is_reported),
        executed_test(one_that_has_become_another_is_reported),
        executed_test(forked_workers_find_theirs_too),
        executed_scenario_test(those_of_the_one_call_have_a_pool_without_a_name),
    };

    return run_group_with_each_backend("descriptors for workers", tests);
}
