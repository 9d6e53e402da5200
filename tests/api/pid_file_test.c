/*
 * pid_file_test.c - the pid file of a daemon: one living owner, and gone with it
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "launch.h"

enum { GATE_END, GATE_LAST };

static const char *path = "daemon.pid";

/* ---- Hosts ------------------------------------------------------------------------------ */

static int is_daemon(struct board *board) {
    if (!become_daemon(board, path)) {
        return STATUS_REFUSED;
    }
    board_require(board, pf_daemon_ready() == 0);
    gate_wait(board, GATE_END);
    return 5;
}

static int runs(struct board *board, const struct plan *plan) {
    return become_daemon(board, path) ? plan_run(board, plan) : STATUS_REFUSED;
}

/* ---- The test's side ---------------------------------------------------------------------- */

/* The text of the file; "-": there is none. */
static const char *file_text(void) {
    static char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    (void)strcpy(text, "-");
    if (fd >= 0) {
        ssize_t length = read(fd, text, sizeof(text) - 1);
        text[length < 0 ? 0 : length] = '\0';
        (void)close(fd); /* nothing was written */
    }
    return text;
}

static void assert_file_names(pid_t daemon) {
    char line[32];

    (void)snprintf(line, sizeof(line), "%d\n", (int)daemon);
    assert_string_equal(file_text(), line);
}

static void assert_file_is_gone(void) { assert_string_equal(file_text(), "-"); }

static pid_t launch_daemon(struct scenario *scenario, unsigned nth) {
    (void)launch(scenario, is_daemon);
    assert_exits(scenario, 0);
    return daemon_pid(scenario, nth);
}

/* ---- What is in it, and who has it -------------------------------------------------------- */

static void the_file_names_the_daemon_and_is_locked_by_it(void **state) {
    struct scenario *scenario = *state;
    struct stat status;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

    pid_t daemon = launch_daemon(scenario, 0);

    assert_file_names(daemon);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETLK, &lock), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(lock.l_type, F_WRLCK);
    assert_int_equal(lock.l_pid, daemon);
    assert_int_equal(end_behind_gate(scenario, GATE_END, daemon), 5 << 8);
    assert_file_is_gone();
}

static void a_file_of_a_living_daemon_is_refused(void **state) {
    struct scenario *scenario = *state;
    pid_t daemon = launch_daemon(scenario, 0);

    pid_t launching = launch(scenario, is_daemon);

    assert_exits(scenario, STATUS_REFUSED);
    const struct record *refused = board_find(scenario->board, NOTE_REFUSED, ANY_TASK, 0);
    assert_int_equal(refused->value, -EEXIST);
    assert_int_equal(refused->author, launching);
    assert_int_equal(board_count(scenario->board, NOTE_DAEMON, ANY_TASK), 1);
    assert_file_names(daemon);
    gate_open(scenario->board, GATE_END);
    assert_int_equal(reap_all(), 2); /* the other process ended before it was a daemon */
}

static void a_file_of_a_killed_daemon_is_taken_over(void **state) {
    struct scenario *scenario = *state;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "123456789 and more\n", 19), 19);
    assert_int_equal(close(fd), 0);

    for (unsigned nth = 0; nth < 5; nth++) {
        pid_t daemon = launch_daemon(scenario, nth);
        assert_file_names(daemon);
        assert_int_equal(kill(daemon, SIGKILL), 0);
        assert_int_equal(end_of(daemon), SIGKILL);
        assert_file_names(daemon);
    }
}

/* ---- Its end ------------------------------------------------------------------------------ */

static int finishes(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    gate_wait(board, GATE_END);
    exit(EXIT_SUCCESS); /* not _exit: all that runs at an exit runs in the worker too */
}

static int runs_workers(struct board *board) {
    const struct plan plan = {.workers = 2, .work = finishes};

    return runs(board, &plan);
}

static int last_one_waits(struct board *board, int task_id, int run) {
    gate_wait(board, task_id == 0 ? GATE_END : GATE_LAST);
    return finishes(board, task_id, run);
}

static int runs_workers_one_by_one(struct board *board) {
    const struct plan plan = {.workers = 2, .work = last_one_waits};

    return runs(board, &plan);
}

static void it_is_gone_with_the_daemon_and_not_with_a_worker(void **state) {
    struct scenario *scenario = *state;
    (void)launch(scenario, runs_workers_one_by_one);
    assert_exits(scenario, 0);
    pid_t daemon = daemon_pid(scenario, 0);

    gate_open(scenario->board, GATE_END);
    assert_true(board_reaches(scenario->board, PF_EVENT_EXITED, 0, 1));
    assert_file_names(daemon);
    assert_int_equal(end_behind_gate(scenario, GATE_LAST, daemon), 0);
    assert_file_is_gone();
}

static void it_is_gone_after_a_signal_that_stops_the_workers(void **state) {
    struct scenario *scenario = *state;
    (void)launch(scenario, runs_workers);
    assert_exits(scenario, 0);
    pid_t daemon = daemon_pid(scenario, 0);
    assert_file_names(daemon);

    assert_int_equal(kill(daemon, SIGTERM), 0);

    assert_int_equal(end_of(daemon), SIGTERM);
    assert_file_is_gone();
}

static int moves_away(struct board *board) {
    if (!become_daemon(board, path)) {
        return STATUS_REFUSED;
    }
    board_require(board, chdir("/") == 0);
    board_require(board, pf_daemon_ready() == 0);
    return 5;
}

static void a_relative_path_is_good_in_any_directory(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, moves_away);

    assert_exits(scenario, 0);
    assert_int_equal(end_of(daemon_pid(scenario, 0)), 5 << 8);
    assert_file_is_gone();
}

static int has_a_child_that_ends(struct board *board) {
    if (!become_daemon(board, path)) {
        return STATUS_REFUSED;
    }
    pid_t child = fork();
    if (child == 0) {
        exit(EXIT_SUCCESS);
    }
    board_require(board, waitpid(child, NULL, 0) == child);
    board_require(board, pf_daemon_ready() == 0);
    gate_wait(board, GATE_END);
    return 5;
}

static void it_is_not_gone_with_a_child_of_the_host(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, has_a_child_that_ends);

    assert_exits(scenario, 0);
    pid_t daemon = daemon_pid(scenario, 0);
    assert_file_names(daemon);
    assert_int_equal(end_behind_gate(scenario, GATE_END, daemon), 5 << 8);
    assert_file_is_gone();
}

static void only_the_file_itself_is_removed(void **state) {
    struct scenario *scenario = *state;
    pid_t daemon = launch_daemon(scenario, 0);
    assert_int_equal(unlink(path), 0);
    path = "daemon.pid (deleted)"; /* what the kernel calls it now */
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);

    assert_int_equal(end_behind_gate(scenario, GATE_END, daemon), 5 << 8);

    assert_string_equal(file_text(), "");
    path = "daemon.pid";
}

static void a_file_of_another_daemon_stays(void **state) {
    struct scenario *scenario = *state;
    pid_t first = launch_daemon(scenario, 0);
    assert_int_equal(unlink(path), 0); /* by somebody who means well */
    (void)launch(scenario, runs_workers);
    assert_exits(scenario, 0);
    pid_t second = daemon_pid(scenario, 1);

    assert_int_equal(kill(first, SIGCONT), 0);
    assert_file_names(second);
    assert_int_equal(kill(second, SIGSTOP), 0);
    assert_int_equal(end_behind_gate(scenario, GATE_END, first), 5 << 8);

    assert_file_names(second);
    assert_int_equal(kill(second, SIGCONT), 0);
    assert_int_equal(end_of(second), 0);
    assert_file_is_gone();
}

static int closes_all(struct board *board) {
    if (!become_daemon(board, path)) {
        return STATUS_REFUSED;
    }
    board_require(board, pf_daemon_ready() == 0);
    for (int descriptor = 3; descriptor < 256; descriptor++) {
        (void)close(descriptor); /* most are not open */
    }
    for (int descriptor = 3; descriptor < 256; descriptor++) {
        board_require(board, open("precious", O_RDWR | O_CREAT, 0600) == descriptor);
    }
    board_require(board, write(3, "data", 4) == 4);
    return 5;
}

static void no_other_file_is_removed_in_its_place(void **state) {
    struct scenario *scenario = *state;
    struct stat status;

    (void)launch(scenario, closes_all);

    assert_exits(scenario, 0);
    pid_t daemon = daemon_pid(scenario, 0);
    assert_int_equal(end_of(daemon), 5 << 8);
    assert_int_equal(stat("precious", &status), 0);
    assert_int_equal(status.st_size, 4);
    assert_file_names(daemon);
}

static int drops_its_rights(struct board *board) {
    if (!become_daemon(board, path)) {
        return STATUS_REFUSED;
    }
    leave_out_leak_check();
    board_require(board, setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    board_require(board, pf_daemon_ready() == 0);
    return 5;
}

static void where_it_can_not_be_removed_it_is_emptied(void **state) {
    struct scenario *scenario = *state;
    if (geteuid() != 0) {
        skip();
    }

    (void)launch(scenario, drops_its_rights);

    assert_exits(scenario, 0);
    assert_int_equal(end_of(daemon_pid(scenario, 0)), 5 << 8);
    assert_string_equal(file_text(), "");
}

/* ---- Files that cannot be it --------------------------------------------------------------- */

static void assert_refused(struct scenario *scenario, const char *bad_path, int error) {
    unsigned before = board_count(scenario->board, NOTE_REFUSED, ANY_TASK);

    path = bad_path;
    pid_t launching = launch(scenario, is_daemon);
    assert_exits(scenario, STATUS_REFUSED);
    const struct record *refused = board_find(scenario->board, NOTE_REFUSED, ANY_TASK, before);
    assert_int_equal(refused->value, error);
    assert_int_equal(refused->author, launching);
}

static void other_kinds_of_file_are_refused(void **state) {
    struct scenario *scenario = *state;
    struct stat status;
    assert_int_equal(symlink("target", "link"), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);

    assert_refused(scenario, "none/daemon.pid", -ENOENT);
    assert_refused(scenario, "", -ENOENT);
    assert_refused(scenario, ".", -EISDIR);
    assert_refused(scenario, "link", -ELOOP);
    assert_refused(scenario, "fifo", -EINVAL);
    assert_refused(scenario, "/dev/null", -EINVAL);

    assert_int_equal(stat("/dev/null", &status), 0);
    assert_int_equal(lstat("fifo", &status), 0);
    assert_int_equal(reap_all(), 6);
    assert_int_equal(board_count(scenario->board, NOTE_DAEMON, ANY_TASK), 0);
    path = "daemon.pid";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        launch_test(the_file_names_the_daemon_and_is_locked_by_it),
        launch_test(a_file_of_a_living_daemon_is_refused),
        launch_test(a_file_of_a_killed_daemon_is_taken_over),
        launch_test(it_is_gone_with_the_daemon_and_not_with_a_worker),
        launch_test(it_is_not_gone_with_a_child_of_the_host),
        launch_test(only_the_file_itself_is_removed),
        launch_test(it_is_gone_after_a_signal_that_stops_the_workers),
        launch_test(a_relative_path_is_good_in_any_directory),
        launch_test(a_file_of_another_daemon_stays),
        launch_test(no_other_file_is_removed_in_its_place),
        launch_test(where_it_can_not_be_removed_it_is_emptied),
        launch_test(other_kinds_of_file_are_refused),
    };

    return cmocka_run_group_tests_name("pid file", tests, NULL, NULL);
}
