/*
 * standard_error_test.c - the default report waits for no reader, ends no host, and finds its file
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "launch.h"
#include "report.h"

/* The host's standard error, and where it is read. */
static int error_end = -1;
static int reading_end = -1;
static void (*prepare)(struct board *board);

static void open_pipe(void) {
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    reading_end = ends[0];
    error_end = ends[1];
}

static void open_sockets(void) {
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    reading_end = ends[0];
    error_end = ends[1];
}

/* Neither end leads back to the test. */
static void open_terminal(void) {
    struct termios settings;

    reading_end = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(reading_end >= 0);
    assert_int_equal(unlockpt(reading_end), 0);
    error_end = open(ptsname(reading_end), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(error_end >= 0);
    assert_int_equal(tcgetattr(error_end, &settings), 0);
    cfmakeraw(&settings);
    assert_int_equal(tcsetattr(error_end, TCSANOW, &settings), 0);
}

static void set_nonblocking(int fd, bool on) {
    assert_int_equal(fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0), 0);
}

static size_t filled; /* bytes */

static void write_until_full(const char *block, size_t length) {
    ssize_t size = 0;

    while ((size = write(error_end, block, length)) > 0) {
        filled += (size_t)size;
    }
}

static void fill(void) {
    char block[512];

    memset(block, '.', sizeof(block));
    filled = 0;
    set_nonblocking(error_end, true);
    write_until_full(block, sizeof(block));
    write_until_full(block, 1);
    set_nonblocking(error_end, false);
}

/* Takes out what filled it, and nothing that is written meanwhile. */
static void drain(void) {
    char block[4096];

    while (filled > 0) {
        ssize_t size = read(reading_end, block, filled < sizeof(block) ? filled : sizeof(block));
        assert_true(size > 0);
        filled -= (size_t)size;
    }
}

static void close_ends(void) {
    assert_int_equal(close(error_end), 0);
    if (reading_end >= 0) {
        assert_int_equal(close(reading_end), 0);
    }
    prepare = NULL;
}

/* Reads until that text is there. */
static void assert_read(const char *expected) {
    char text[256] = "";
    size_t length = 0;

    while (length < strlen(expected)) {
        ssize_t more = read(reading_end, text + length, strlen(expected) - length);
        assert_true(more > 0);
        length += (size_t)more;
    }
    text[length] = '\0';
    assert_string_equal(text, expected);
}

static void assert_read_restart(const struct scenario *run, unsigned worker) {
    char line[256];

    (void)snprintf(line, sizeof(line),
                   "prefork: child 0 (pid %d) exited with status 3, restarting\n",
                   (int)board_find(run->board, KIND_WORKER, 0, worker)->author);
    assert_read(line);
}

/* Its worker fails whenever the gate of its run opens: a fourth end is one too many. */
static int host_with_failing_worker(struct board *board) {
    board_require(board, dup2(error_end, STDERR_FILENO) == STDERR_FILENO);
    (void)close(error_end);
    (void)close(reading_end);
    if (prepare != NULL) {
        prepare(board);
    }
    int task_id = pf_fork_processes(1, 3);
    if (task_id < 0) {
        return STATUS_RETURNED;
    }
    gate_wait(board, board_note_worker(board, task_id));
    _exit(3);
}

static void open_gates(struct scenario *run, int first, int last) {
    for (int gate = first; gate <= last; gate++) {
        gate_open(run->board, gate);
    }
}

/* With standard error full, as it is. make_room is called for the third end. */
static void assert_loses_and_says_so(struct scenario *run, void (*make_room)(void)) {
    scenario_start_host(run, host_with_failing_worker);
    open_gates(run, 0, 1);

    assert_true(board_reaches(run->board, KIND_WORKER, 0, 3));
    assert_false(fcntl(error_end, F_GETFL) & O_NONBLOCK);
    make_room();
    open_gates(run, 2, 2);
    assert_read("prefork: 2 messages lost\n");
    assert_read_restart(run, 2);

    scenario_signal(run, SIGTERM);
    assert_dies_of(run, SIGTERM);
    close_ends();
}

static void a_full_pipe_holds_up_nobody_and_the_loss_is_reported(void **state) {
    open_pipe();
    fill();
    assert_loses_and_says_so(*state, drain);
}

static void refuse_pwritev2(struct board *board) {
    board_require(board, filter_forbid(SYS_pwritev2, ENOSYS));
}

static void so_it_is_before_linux_6_4(void **state) {
    open_pipe();
    fill();
    prepare = refuse_pwritev2;
    assert_loses_and_says_so(*state, drain);
}

static void refuse_all_but_write(struct board *board) {
    board_require(board, filter_forbid(SYS_pwritev2, EPERM));
    board_require(board, filter_forbid(SYS_splice, EPERM));
    board_require(board, filter_forbid(SYS_openat, EPERM));
}

static void so_it_is_where_only_write_is_allowed(void **state) {
    open_pipe();
    fill();
    prepare = refuse_all_but_write;
    assert_loses_and_says_so(*state, drain);
}

static void a_full_socket_holds_up_nobody(void **state) {
    open_sockets();
    fill();
    assert_loses_and_says_so(*state, drain);
}

static void stop_terminal(void) { assert_int_equal(tcflow(error_end, TCOOFF), 0); }
static void continue_terminal(void) { assert_int_equal(tcflow(error_end, TCOON), 0); }

static void a_stopped_terminal_holds_up_nobody(void **state) {
    open_terminal();
    stop_terminal();
    assert_loses_and_says_so(*state, continue_terminal);
}

static void so_does_one_that_can_not_be_opened_anew(void **state) {
    open_terminal();
    stop_terminal();
    prepare = refuse_all_but_write;
    assert_loses_and_says_so(*state, continue_terminal);
}

static void assert_survives(struct scenario *run) {
    scenario_start_host(run, host_with_failing_worker);
    open_gates(run, 0, 3);

    assert_exits(run, STATUS_RETURNED);
    assert_int_equal(board_count(run->board, KIND_WORKER, 0), 4);
    close_ends();
}

static void lose_reader(void) {
    assert_int_equal(close(reading_end), 0);
    reading_end = -1;
}

static void a_pipe_without_a_reader_raises_no_signal(void **state) {
    open_pipe();
    lose_reader();
    assert_survives(*state);
}

static void nor_does_it_in_other_ways_of_writing(void **state) {
    open_pipe();
    lose_reader();
    prepare = refuse_pwritev2;
    assert_survives(*state);
}

static void nor_does_it_by_write(void **state) {
    open_pipe();
    lose_reader();
    prepare = refuse_all_but_write;
    assert_survives(*state);
}

static void a_socket_without_a_reader_raises_no_signal(void **state) {
    open_sockets();
    lose_reader();
    assert_survives(*state);
}

static void limit_file_size(struct board *board) {
    struct rlimit nothing = {0, 0};

    board_require(board, setrlimit(RLIMIT_FSIZE, &nothing) == 0);
}

static void a_file_that_may_not_grow_raises_no_signal(void **state) {
    reading_end = -1;
    error_end = open("log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(error_end >= 0);
    prepare = limit_file_size;
    assert_survives(*state);
}

/* The descriptor of standard error is closed, and comes to be that of another file. */
static void open_data(struct board *board) {
    board_require(board, close(STDERR_FILENO) == 0);
    board_require(board, open("data", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) == STDERR_FILENO);
}

static off_t size_of(const char *path) {
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void a_file_that_has_come_by_the_number_is_left_alone(void **state) {
    open_pipe();
    prepare = open_data;
    assert_survives(*state);
    assert_int_equal(size_of("data"), 0);
}

static const char *way; /* the argument of the program */

static int host_without_stderr(struct board *board) {
    (void)board;
    (void)close(STDERR_FILENO);
    (void)execl(program_path("closed_stderr"), "closed_stderr", way, "data", (char *)NULL);
    return 1;
}

static void assert_leaves_data(struct scenario *run, const char *argument, off_t size) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    way = argument;
    scenario_start_host(run, host_without_stderr);

    assert_exits(run, 0);
    while (size_of("data") != size && now_ms() < deadline) {
        pause_ms(1);
    }
    assert_int_equal(size_of("data"), size);
    assert_true(reap_all() >= 0);
}

static void a_program_started_without_it_keeps_its_file_clean(void **state) {
    assert_leaves_data(*state, "fork", 0);
}

static void programs_of_its_workers_do_not_inherit_that_file(void **state) {
    assert_leaves_data(*state, "exec", 0);
}

static void a_daemon_keeps_that_file(void **state) { assert_leaves_data(*state, "daemon", 4); }

int main(void) {
    const struct CMUnitTest tests[] = {
        launch_test(a_full_pipe_holds_up_nobody_and_the_loss_is_reported),
        launch_test(so_it_is_before_linux_6_4),
        launch_test(so_it_is_where_only_write_is_allowed),
        launch_test(a_full_socket_holds_up_nobody),
        launch_test(a_stopped_terminal_holds_up_nobody),
        launch_test(so_does_one_that_can_not_be_opened_anew),
        launch_test(a_pipe_without_a_reader_raises_no_signal),
        launch_test(nor_does_it_in_other_ways_of_writing),
        launch_test(nor_does_it_by_write),
        launch_test(a_socket_without_a_reader_raises_no_signal),
        launch_test(a_file_that_may_not_grow_raises_no_signal),
        launch_test(a_file_that_has_come_by_the_number_is_left_alone),
        launch_test(a_program_started_without_it_keeps_its_file_clean),
        launch_test(programs_of_its_workers_do_not_inherit_that_file),
        launch_test(a_daemon_keeps_that_file),
    };

    return cmocka_run_group_tests_name("standard error", tests, NULL, NULL);
}
