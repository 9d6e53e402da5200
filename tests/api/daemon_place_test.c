/*
 * daemon_place_test.c - what a daemon keeps of the place that it was launched from, and what not
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "launch.h"

enum { NOTE_UMASK = KIND_NOTE };
enum { GATE_END };

/* ---- Session and terminal ----------------------------------------------------------------- */

/* The launching process, which leads a session, gets a terminal. */
static int get_terminal(struct board *board) {
    int controller = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    board_require(board, controller >= 0 && grantpt(controller) == 0 && unlockpt(controller) == 0);
    const char *name = ptsname(controller);
    int terminal = name == NULL ? -1 : open(name, O_RDWR | O_CLOEXEC);
    board_require(board, terminal >= 0 && tcgetsid(terminal) == getsid(0));
    board_require(board, dup2(terminal, STDIN_FILENO) == STDIN_FILENO);
    board_require(board, dup2(terminal, STDOUT_FILENO) == STDOUT_FILENO);
    board_require(board, close(terminal) == 0);
    return controller;
}

static int leaves_a_terminal(struct board *board) {
    int controller = get_terminal(board);
    pid_t session = getsid(0);

    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    board_require(board, close(controller) == 0);
    board_require(board, getsid(0) != session && getsid(0) != getpid());
    board_require(board, open("/dev/tty", O_RDWR | O_CLOEXEC) < 0 && errno == ENXIO);
    /* Nor can it get one by opening it. */
    int another = posix_openpt(O_RDWR | O_CLOEXEC);
    board_require(board, another >= 0 && grantpt(another) == 0 && unlockpt(another) == 0);
    int terminal = open(ptsname(another), O_RDWR | O_CLOEXEC);
    board_require(board, terminal >= 0 && tcgetsid(terminal) != getsid(0));
    board_require(board, close(terminal) == 0 && close(another) == 0);
    board_require(board, pf_daemon_ready() == 0);
    gate_wait(board, GATE_END);
    return EXIT_SUCCESS;
}

static void the_daemon_has_no_terminal_and_survives_that_of_its_launch(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, leaves_a_terminal);

    /* With its leader, all of the session that has the terminal gets SIGHUP. */
    assert_exits(scenario, 0);
    assert_int_equal(end_behind_gate(scenario, GATE_END, daemon_pid(scenario, 0)), 0);
}

/* ---- Directory and umask ------------------------------------------------------------------ */

static int has_a_place(struct board *board) {
    (void)umask(027);
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    board_note(board, NOTE_UMASK, (int64_t)umask(0));
    board_require(board, pf_daemon_ready() == 0);
    gate_wait(board, GATE_END);
    return EXIT_SUCCESS;
}

static void directory_and_umask_are_kept(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, has_a_place);

    pid_t daemon = daemon_pid(scenario, 0);
    assert_exits(scenario, 0);
    assert_int_equal(board_find(scenario->board, NOTE_UMASK, ANY_TASK, 0)->value, 027);
    assert_link(daemon, "cwd", launch_directory);
    assert_int_equal(end_behind_gate(scenario, GATE_END, daemon), 0);
}

/* ---- Stdio ----------------------------------------------------------------------------- */

static int moves_its_stdio(struct board *board) {
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    int log = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    board_require(board, close(STDIN_FILENO) == 0);
    board_require(board, log >= 0 && dup2(log, STDERR_FILENO) == STDERR_FILENO);
    board_require(board, pf_daemon_ready() == 0);
    (void)fprintf(stderr, "to the log\n");
    gate_wait(board, GATE_END);
    return EXIT_SUCCESS;
}

static void what_the_host_has_moved_stays_where_it_is(void **state) {
    struct scenario *scenario = *state;
    char log[300];
    struct stat status;

    (void)launch(scenario, moves_its_stdio);

    pid_t daemon = daemon_pid(scenario, 0);
    assert_exits(scenario, 0);
    (void)snprintf(log, sizeof(log), "%s/log", launch_directory);
    assert_link(daemon, "fd/0", "/dev/null");
    assert_link(daemon, "fd/1", "/dev/null");
    assert_link(daemon, "fd/2", log);
    assert_int_equal(end_behind_gate(scenario, GATE_END, daemon), 0);
    assert_int_equal(stat("log", &status), 0);
    assert_int_equal(status.st_size, 11);
}

static int output[2];

static int never_ends(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    wait_for_ever();
    return 0;
}

static void give_up_output(struct board *board) {
    board_require(board, close(output[0]) == 0);
    board_require(board, dup2(output[1], STDOUT_FILENO) == STDOUT_FILENO);
    board_require(board, close(output[1]) == 0);
}

static int writes_and_works(struct board *board) {
    const struct plan plan = {.workers = 3, .work = never_ends};

    give_up_output(board);
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    (void)printf("listening\n"); /* buffered, for it is no terminal */
    return plan_run(board, &plan);
}

static int writes_and_is_ready(struct board *board) {
    give_up_output(board);
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    (void)printf("listening\n");
    board_require(board, pf_daemon_ready() == 0);
    wait_for_ever();
    return EXIT_SUCCESS;
}

static void assert_output_ends(struct scenario *scenario, host_fn host) {
    char text[64] = "";
    size_t length = 0;
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    struct pollfd readable = {.fd = output[0], .events = POLLIN};

    (void)launch(scenario, host);
    assert_int_equal(close(output[1]), 0);

    /* As a shell does for $(...): until nobody has the other end any more. */
    for (ssize_t got = 1; got > 0; length += (size_t)got) {
        assert_int_equal(poll(&readable, 1, (int)PATIENCE_MS), 1);
        got = read(output[0], text + length, sizeof(text) - 1 - length);
        assert_true(got >= 0);
    }
    assert_string_equal(text, "listening\n");
    assert_exits(scenario, 0);
    assert_int_equal(close(output[0]), 0);
    pid_t daemon = daemon_pid(scenario, 0);
    assert_int_equal(kill(daemon, SIGTERM), 0);
    assert_int_equal(reap_all(), 1);
}

static void who_reads_the_output_of_the_launch_is_not_kept_waiting(void **state) {
    assert_output_ends(*state, writes_and_works);
}

static void what_was_written_before_is_in_the_output(void **state) {
    assert_output_ends(*state, writes_and_is_ready);
}

/* ---- Descriptors ------------------------------------------------------------------------ */

static int closes_what_it_has(struct board *board) {
    struct descriptors before;
    struct descriptors after;

    for (int descriptor = 0; descriptor < 1024; descriptor++) {
        (void)close(descriptor); /* most are not open */
    }
    descriptors_take(&before);
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    board_require(board, fcntl(STDIN_FILENO, F_GETFD) < 0);
    board_require(board, fcntl(STDERR_FILENO, F_GETFD) < 0);
    board_require(board, pf_daemon_ready() == 0);
    descriptors_take(&after);
    board_require(board, strcmp(after.text, "0 0 /dev/null\n1 0 /dev/null\n2 0 /dev/null\n") == 0);
    gate_wait(board, GATE_END);
    return EXIT_SUCCESS;
}

static void the_place_of_stdio_is_never_taken(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, closes_what_it_has);

    pid_t daemon = daemon_pid(scenario, 0);
    assert_exits(scenario, 0);
    assert_int_equal(end_behind_gate(scenario, GATE_END, daemon), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        launch_test(the_daemon_has_no_terminal_and_survives_that_of_its_launch),
        launch_test(directory_and_umask_are_kept),
        launch_test(what_the_host_has_moved_stays_where_it_is),
        launch_test(who_reads_the_output_of_the_launch_is_not_kept_waiting),
        launch_test(what_was_written_before_is_in_the_output),
        launch_test(the_place_of_stdio_is_never_taken),
    };

    return cmocka_run_group_tests_name("daemon place", tests, NULL, NULL);
}
