/*
 * pid_file_safety_test.c - the pid file where others may read, link, own or fill what is there
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "launch.h"
#include "net.h"

enum { GATE_END, NOBODY = 65534, STATUS_IMPOSSIBLE = 77 };

static const char path[] = "daemon.pid";
static const char stale[] = "123456789\n";

static void (*prepare)(struct board *board); /* in the launching process; NULL: nothing */

static int is_daemon(struct board *board) {
    if (prepare != NULL) {
        prepare(board);
    }
    if (!become_daemon(board, path)) {
        return STATUS_REFUSED;
    }
    board_require(board, pf_daemon_ready() == 0);
    gate_wait(board, GATE_END);
    return 5;
}

static int safety_setup(void **state) {
    prepare = NULL;
    return launch_setup(state);
}

#define safety_test(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, safety_setup, launch_teardown)

static void assert_text(const char *file, const char *expected) {
    char text[64] = "";
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof(text) - 1) >= 0);
    assert_int_equal(close(fd), 0);
    assert_string_equal(text, expected);
}

static void assert_names(pid_t daemon) {
    char line[32];

    (void)snprintf(line, sizeof(line), "%d\n", (int)daemon);
    assert_text(path, line);
}

static int files_here(void) {
    DIR *directory = opendir(".");
    int count = -2; /* "." and ".." */

    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    assert_int_equal(closedir(directory), 0);
    return count;
}

/* A daemon starts, has the file, leaves nothing beside it, and ends. */
static void assert_starts(struct scenario *scenario) {
    int files = files_here() + (access(path, F_OK) != 0);

    (void)launch(scenario, is_daemon);
    assert_exits(scenario, 0);
    pid_t daemon = daemon_pid(scenario, 0);
    assert_names(daemon);
    assert_int_equal(files_here(), files);
    assert_int_equal(end_behind_gate(scenario, GATE_END, daemon), 5 << 8);
}

static void assert_refused(struct scenario *scenario, int error) {
    unsigned before = board_count(scenario->board, NOTE_REFUSED, ANY_TASK);
    int files = files_here();

    (void)launch(scenario, is_daemon);
    assert_exits(scenario, STATUS_REFUSED);
    assert_int_equal(board_find(scenario->board, NOTE_REFUSED, ANY_TASK, before)->value, error);
    assert_int_equal(files_here(), files);
    assert_int_equal(reap_all(), 1); /* the process that was not to be a daemon */
}

/* ---- Locks of others ---------------------------------------------------------------------- */

static int lock_for_reading(void) {
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETLK, &lock), 0);
    return fd;
}

static void a_lock_of_a_reader_does_not_keep_the_file(void **state) {
    assert_true(write_file(path, stale));
    int reader = lock_for_reading();

    assert_starts(*state);

    assert_int_equal(close(reader), 0);
}

static void a_start_that_was_cut_off_is_no_fault(void **state) {
    assert_true(write_file("daemon.pid.start-lock", ""));

    (void)launch(*state, is_daemon);

    assert_exits((struct scenario *)*state, 0);
    pid_t daemon = daemon_pid(*state, 0);
    assert_names(daemon);
    assert_int_equal(files_here(), 1);
    assert_int_equal(end_behind_gate(*state, GATE_END, daemon), 5 << 8);
}

/* ---- Files of others ----------------------------------------------------------------------- */

static void another_name_of_a_file_is_refused(void **state) {
    assert_true(write_file("victim", "precious"));
    assert_int_equal(link("victim", path), 0);

    assert_refused(*state, -EINVAL);

    assert_text("victim", "precious");
    assert_text(path, "precious");
}

static void a_file_of_another_user_is_refused(void **state) {
    if (geteuid() != 0) {
        skip();
    }
    assert_true(write_file(path, "precious"));
    assert_int_equal(chown(path, NOBODY, NOBODY), 0);

    assert_refused(*state, -EPERM);

    assert_text(path, "precious");
}

/* ---- A directory that may not be changed ---------------------------------------------------- */

static void drop_rights(struct board *board) {
    leave_out_leak_check();
    board_require(board, setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

static void make_file_of_nobody(void) {
    assert_int_equal(chmod(".", 0755), 0);
    assert_true(write_file(path, stale));
    assert_int_equal(chown(path, NOBODY, NOBODY), 0);
    prepare = drop_rights;
}

static void a_file_that_was_made_for_it_is_written_in_place(void **state) {
    if (geteuid() != 0) {
        skip();
    }
    make_file_of_nobody();

    assert_starts(*state);

    assert_text(path, ""); /* it cannot be removed */
}

static void a_daemon_that_has_it_there_is_found(void **state) {
    struct scenario *scenario = *state;
    if (geteuid() != 0) {
        skip();
    }
    make_file_of_nobody();
    (void)launch(scenario, is_daemon);
    assert_exits(scenario, 0);
    pid_t daemon = daemon_pid(scenario, 0);

    (void)launch(scenario, is_daemon);

    assert_exits(scenario, STATUS_REFUSED);
    assert_int_equal(board_find(scenario->board, NOTE_REFUSED, ANY_TASK, 0)->value, -EEXIST);
    assert_names(daemon);
    gate_open(scenario->board, GATE_END);
    assert_int_equal(reap_all(), 2);
}

static void none_can_be_made_there(void **state) {
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(chmod(".", 0755), 0);
    prepare = drop_rights;

    assert_refused(*state, -EACCES);
}

/* ---- Full disks, and systems that refuse a call --------------------------------------------- */

static void limit_file_size(struct board *board) {
    struct rlimit nothing = {0, 0};

    board_require(board, setrlimit(RLIMIT_FSIZE, &nothing) == 0);
}

static void what_can_not_be_written_leaves_nothing(void **state) {
    prepare = limit_file_size;

    assert_refused(*state, -EFBIG);
}

static void nor_does_it_change_the_file_of_an_earlier_daemon(void **state) {
    assert_true(write_file(path, stale));
    prepare = limit_file_size;

    assert_refused(*state, -EFBIG);

    assert_text(path, stale);
}

static int host_on_a_full_disk(struct board *board) {
    char page[4096] = "";

    leave_out_leak_check();
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", launch_directory, "tmpfs", 0, "size=4k") != 0 ||
        chdir(launch_directory) != 0) {
        return STATUS_IMPOSSIBLE;
    }
    int full = open("full", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    while (write(full, page, sizeof(page)) > 0) {
    }
    board_require(board, pf_daemonize(path) == -ENOSPC);
    board_require(board, access(path, F_OK) != 0);
    board_require(board, unlink("full") == 0);
    board_require(board, chdir("/") == 0);
    return 0;
}

static void nothing_is_left_on_a_full_disk(void **state) {
    struct scenario *scenario = *state;

    scenario_start_host(scenario, host_on_a_full_disk);
    int status = scenario_wait(scenario);
    assert_true(reap_all() >= 0);
    if (status == STATUS_IMPOSSIBLE << 8) {
        skip();
    }
    assert_int_equal(status, 0);
}

static void refuse_stat(struct board *board) {
#ifdef SYS_newfstatat
    board_require(board, filter_forbid(SYS_newfstatat, EACCES));
#endif
#ifdef SYS_fstat
    board_require(board, filter_forbid(SYS_fstat, EACCES));
#endif
#ifdef SYS_statx
    board_require(board, filter_forbid(SYS_statx, EACCES));
#endif
}

static void what_can_not_be_looked_at_is_refused(void **state) {
    prepare = refuse_stat;

    assert_refused(*state, -EACCES);
}

static void refuse_locks(struct board *board) {
    board_require(board, filter_forbid(SYS_flock, ENOLCK));
}

static void a_system_without_locks_is_reported_and_nothing_is_left(void **state) {
    prepare = refuse_locks;

    assert_refused(*state, -ENOLCK);
}

static void refuse_sockets(struct board *board) {
    board_require(board, filter_forbid(SYS_socketpair, EAFNOSUPPORT));
    board_require(board, filter_forbid(SYS_socket, EAFNOSUPPORT));
}

static void a_daemon_needs_no_sockets(void **state) {
    prepare = refuse_sockets;

    assert_starts(*state);
}

/* A child of the daemon holds the way to the launching process open. */
static int host_without_pidfds(struct board *board) {
    board_require(board, filter_forbid(SYS_pidfd_open, ENOSYS));
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    if (fork() == 0) {
        gate_wait(board, GATE_END);
        _exit(0);
    }
    _exit(3);
}

static void the_end_of_a_daemon_is_seen_without_pidfds(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, host_without_pidfds);

    assert_int_equal(end_of(daemon_pid(scenario, 0)), 3 << 8);
    assert_exits(scenario, 1);
    gate_open(scenario->board, GATE_END);
    assert_int_equal(reap_all(), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        safety_test(a_lock_of_a_reader_does_not_keep_the_file),
        safety_test(a_start_that_was_cut_off_is_no_fault),
        safety_test(another_name_of_a_file_is_refused),
        safety_test(a_file_of_another_user_is_refused),
        safety_test(a_file_that_was_made_for_it_is_written_in_place),
        safety_test(a_daemon_that_has_it_there_is_found),
        safety_test(none_can_be_made_there),
        safety_test(what_can_not_be_written_leaves_nothing),
        safety_test(nor_does_it_change_the_file_of_an_earlier_daemon),
        safety_test(nothing_is_left_on_a_full_disk),
        safety_test(what_can_not_be_looked_at_is_refused),
        safety_test(a_system_without_locks_is_reported_and_nothing_is_left),
        safety_test(a_daemon_needs_no_sockets),
        safety_test(the_end_of_a_daemon_is_seen_without_pidfds),
    };

    return cmocka_run_group_tests_name("pid file safety", tests, NULL, NULL);
}
