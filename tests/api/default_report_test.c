/*
 * default_report_test.c - what a host that chose no callback sees on its terminal
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scenario.h"

/* The host's standard output and error. A pipe in packet mode keeps the writes apart. */
static int output = -1;
static int errors[2] = {-1, -1};

static void open_outputs(void) {
    output = memfd_create("stdout", MFD_CLOEXEC);
    assert_true(output >= 0);
    assert_int_equal(pipe2(errors, O_DIRECT | O_CLOEXEC), 0);
}

static void use_outputs(struct board *board) {
    board_require(board, dup2(output, STDOUT_FILENO) == STDOUT_FILENO);
    board_require(board, dup2(errors[1], STDERR_FILENO) == STDERR_FILENO);
    board_require(board, close(errors[0]) == 0);
    board_require(board, close(errors[1]) == 0);
}

/* The next write to stderr; "" when all writers are gone. */
static const char *next_write(void) {
    static char text[4096];
    ssize_t length = read(errors[0], text, sizeof(text) - 1);

    assert_true(length >= 0);
    text[length] = '\0';
    return text;
}

static void close_outputs(void) {
    off_t written = lseek(output, 0, SEEK_END);

    assert_int_equal(close(output), 0);
    assert_int_equal(close(errors[0]), 0);
    assert_int_equal(written, 0); /* the library writes nothing to stdout */
}

/* Worker 0 exits with 3 and is then killed; worker 1 stays until it is asked to end. */
static int call_without_callback(struct board *board) {
    int task_id = pf_fork_processes(2, 1);

    if (task_id < 0) {
        return STATUS_RETURNED;
    }
    int run = board_note_worker(board, task_id);
    if (task_id == 0 && run == 0) {
        board_require(board, board_reaches(board, KIND_WORKER, 1, 1));
        _exit(3);
    }
    if (task_id == 0) {
        (void)kill(getpid(), SIGKILL);
    }
    wait_for_ever();
    return 0;
}

static int host_without_callback(struct board *board) {
    use_outputs(board);
    return call_without_callback(board);
}

static void ignore_event(const pf_event *event, void *user) {
    (void)event;
    (void)user;
}

static int host_that_goes_back_to_the_default(struct board *board) {
    use_outputs(board);
    pf_set_event_callback(ignore_event, board);
    pf_set_event_callback(NULL, board);
    return call_without_callback(board);
}

static void assert_reports(struct scenario *run, host_fn host) {
    char line[256];
    open_outputs();
    scenario_start_host(run, host);
    assert_int_equal(close(errors[1]), 0);

    assert_exits(run, STATUS_RETURNED);

    (void)snprintf(line, sizeof(line),
                   "prefork: child 0 (pid %d) exited with status 3, restarting\n",
                   (int)board_find(run->board, KIND_WORKER, 0, 0)->author);
    assert_string_equal(next_write(), line);
    (void)snprintf(line, sizeof(line), "prefork: child 0 (pid %d) killed by signal 9\n",
                   (int)board_find(run->board, KIND_WORKER, 0, 1)->author);
    assert_string_equal(next_write(), line);
    assert_string_equal(next_write(), "prefork: Too many child restarts, giving up\n");
    assert_string_equal(next_write(), ""); /* and nothing about what went well */
    close_outputs();
}

static void warnings_and_errors_are_written_to_stderr_a_line_at_a_time(void **state) {
    assert_reports(*state, host_without_callback);
}

static void no_callback_means_the_default_again(void **state) {
    assert_reports(*state, host_that_goes_back_to_the_default);
}

static int host_that_ends_well(struct board *board) {
    use_outputs(board);
    if (pf_fork_processes(3, 0) >= 0) {
        _exit(0);
    }
    return STATUS_RETURNED;
}

static void nothing_is_written_when_all_goes_well(void **state) {
    struct scenario *run = *state;
    open_outputs();
    scenario_start_host(run, host_that_ends_well);
    assert_int_equal(close(errors[1]), 0);

    assert_exits(run, 0);

    assert_string_equal(next_write(), "");
    close_outputs();
}

static int host_whose_stdio_is_closed(struct board *board) {
    for (int i = 0; i <= STDERR_FILENO; i++) {
        board_require(board, close(i) == 0);
    }
    return call_without_callback(board);
}

/* The library's own descriptors then get these numbers. */
static void closed_stdio_does_no_harm(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_whose_stdio_is_closed);

    assert_exits(run, STATUS_RETURNED);
    assert_int_equal(board_count(run->board, KIND_WORKER, 0), 2);
}

static int host_whose_stderr_is_broken(struct board *board) {
    int ends[2];

    board_require(board, pipe(ends) == 0);
    board_require(board, dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    board_require(board, close(ends[0]) == 0);
    board_require(board, close(ends[1]) == 0);
    board_require(board, signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    return call_without_callback(board);
}

static void a_broken_stderr_does_no_harm(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_whose_stderr_is_broken);

    assert_exits(run, STATUS_RETURNED);
    assert_int_equal(board_count(run->board, KIND_WORKER, 0), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(warnings_and_errors_are_written_to_stderr_a_line_at_a_time),
        scenario_test(no_callback_means_the_default_again),
        scenario_test(nothing_is_written_when_all_goes_well),
        scenario_test(closed_stdio_does_no_harm),
        scenario_test(a_broken_stderr_does_no_harm),
    };

    return cmocka_run_group_tests_name("default report", tests, NULL, NULL);
}
