/*
 * daemon_calls_test.c - calls that fail one by one while a process becomes a daemon: there is a
 * daemon all the same, or the launching process gets the error and nothing is left
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "failing.h"
#include "launch.h"

enum { STATUS_DAEMON = 5 };

static const char path[] = "daemon.pid";
static const char lock[] = "daemon.pid.start-lock";
static const char stale[] = "123456789\n";

static struct failure failure;
static bool fails_to_the_end; /* of the daemon; else until it is one */

static int is_daemon(struct board *board) {
    failure_begin(&failure);
    if (!become_daemon(board, path)) {
        return STATUS_REFUSED;
    }
    board_require(board, access(path, F_OK) == 0);
    if (!fails_to_the_end) {
        (void)failure_end();
    }
    board_require(board, pf_daemon_ready() == 0);
    return STATUS_DAEMON;
}

/* Nothing is left but what was there before, or a file that names nobody. */
static void assert_nothing_is_left(bool is_stale) {
    DIR *directory = opendir(".");

    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat status;
        if (entry->d_name[0] == '.' && strncmp(entry->d_name, ".pid-", 5) != 0) {
            continue;
        }
        if (strcmp(failure.call, "unlinkat") == 0 && strcmp(entry->d_name, lock) == 0) {
            assert_int_equal(unlink(lock), 0);
            continue;
        }
        assert_string_equal(entry->d_name, path);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_size, is_stale ? sizeof(stale) - 1 : 0);
        assert_true(is_stale || fails_to_the_end);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(closedir(directory), 0);
}

static void make_stale(void) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, stale, sizeof(stale) - 1), sizeof(stale) - 1);
    assert_int_equal(close(fd), 0);
}

/* Returns whether the call was used so often. */
static bool try_daemon(bool is_stale) {
    struct scenario run;

    assert_true(scenario_open(&run));
    if (is_stale) {
        make_stale();
    }
    (void)launch(&run, is_daemon);
    const int status = scenario_wait(&run);
    const int end = status == 0 ? end_of(daemon_pid(&run, 0)) : 0; /* it counts until then */
    const unsigned failed = failure_end();
    print_message("%s %u: %#x, %u\n", failure.call, failure.first, (unsigned)status, failed);
    if (status == 0) {
        assert_int_equal(end, STATUS_DAEMON << 8);
        assert_nothing_is_left(false);
    } else {
        assert_int_equal(status, STATUS_REFUSED << 8);
        assert_int_equal(board_find(run.board, NOTE_REFUSED, ANY_TASK, 0)->value, -failure.error);
        assert_nothing_is_left(is_stale);
    }
    assert_true(reap_all() >= 0);
    assert_true(scenario_close(&run));
    return failed > 0;
}

static void try_daemon_with(const struct use *uses, unsigned count, enum where where,
                            bool is_stale) {
    require_failing();
    for (unsigned i = 0; i < count; i++) {
        failure = (struct failure){uses[i].call, uses[i].error, 1, 1, where};
        failure_begin(&failure); /* what it counts with is shared with the daemon */
        (void)failure_end();
        while (failure.first <= USES_MAX && try_daemon(is_stale)) {
            failure.first += 1;
        }
        assert_in_range(failure.first, 2, USES_MAX);
    }
}

static void a_launching_process_gets_a_daemon_or_the_error(void **state) {
    static const struct use uses[] = {
        {"pipe2", EMFILE}, {"fork", EAGAIN}, {"wait4", EINTR}, {"poll", EINTR}, {"read", EINTR},
    };
    (void)state;

    try_daemon_with(uses, sizeof(uses) / sizeof(uses[0]), IN_THIS_PROCESS, false);
}

static void a_daemon_says_why_it_could_not_become_one(void **state) {
    static const struct use uses[] = {
        {"setsid", EPERM},   {"fork", EAGAIN},   {"open64", EMFILE},    {"openat64", EMFILE},
        {"fcntl64", ENOLCK}, {"fstat64", EIO},   {"ftruncate64", EIO},  {"flock", ENOLCK},
        {"renameat", EXDEV}, {"fstatat64", EIO}, {"getrandom", EAGAIN},
    };
    (void)state;

    try_daemon_with(uses, sizeof(uses) / sizeof(uses[0]), IN_CHILDREN, false);
}

static void a_stale_pid_file_is_replaced_or_stays(void **state) {
    static const struct use uses[] = {
        {"openat64", EMFILE}, {"fcntl64", ENOLCK}, {"fstat64", EIO},
        {"renameat", EXDEV},  {"fstatat64", EIO},  {"renameat", EPERM},
    };
    (void)state;

    try_daemon_with(uses, sizeof(uses) / sizeof(uses[0]), IN_CHILDREN, true);
}

static void a_pid_file_that_cannot_be_removed_names_nobody(void **state) {
    static const struct use uses[] = {
        {"open64", EMFILE},
        {"fstatat64", EIO},
        {"unlinkat", EIO},
        {"readlink", EACCES},
    };
    (void)state;

    fails_to_the_end = true;
    try_daemon_with(uses, sizeof(uses) / sizeof(uses[0]), IN_CHILDREN, false);
    fails_to_the_end = false;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        launch_test(a_launching_process_gets_a_daemon_or_the_error),
        launch_test(a_daemon_says_why_it_could_not_become_one),
        launch_test(a_stale_pid_file_is_replaced_or_stays),
        launch_test(a_pid_file_that_cannot_be_removed_names_nobody),
    };

    return cmocka_run_group_tests_name("calls of daemons", tests, NULL, NULL);
}
