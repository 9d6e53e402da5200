/*
 * daemon_closed_files_test.c - a daemon, or a child of it, closes all descriptors before it is
 * ready, as many programs do: what it opens then stays open, whatever its numbers are
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "launch.h"

enum { NOTE_DONE = KIND_NOTE };
enum { FIRST = STDERR_FILENO + 1, END = 1024, FILES = 40 };

static const char *const pid_files[] = {NULL, "daemon.pid"};
static const char *pid_file;
static bool opens_null; /* else files that are like no others */
static struct {
    int number;
    struct stat status;
} files[FILES];

static void exchange_descriptors(struct board *board) {
    for (int descriptor = FIRST; descriptor < END; descriptor++) {
        (void)close(descriptor);
    }
    for (int i = 0; i < FILES; i++) {
        files[i].number =
            opens_null ? open("/dev/null", O_RDWR | O_CLOEXEC) : memfd_create("own", MFD_CLOEXEC);
        board_require(board, files[i].number >= 0);
        board_require(board, fstat(files[i].number, &files[i].status) == 0);
    }
}

/* Nothing was written to them either. */
static void require_files(struct board *board) {
    for (int i = 0; i < FILES; i++) {
        struct stat now;
        board_require(board, fstat(files[i].number, &now) == 0);
        board_require(board, now.st_dev == files[i].status.st_dev);
        board_require(board, now.st_ino == files[i].status.st_ino);
        board_require(board, opens_null || now.st_size == 0);
    }
}

static void require_detached(struct board *board) {
    struct stat null;

    board_require(board, stat("/dev/null", &null) == 0);
    for (int descriptor = 0; descriptor < FIRST; descriptor++) {
        struct stat status;
        board_require(board, fstat(descriptor, &status) == 0 && S_ISCHR(status.st_mode));
        board_require(board, status.st_rdev == null.st_rdev);
    }
}

static int works(int task_id, void *user) {
    (void)task_id;
    require_files(user);
    require_detached(user);
    return 0;
}

static pf_pool *open_pool(struct board *board, int (*work)(int task_id, void *user)) {
    pf_pool *pool = NULL;

    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_workers(pool, 2) == 0);
    board_require(board, pf_pool_set_max_restarts(pool, 0) == 0);
    if (work != NULL) {
        board_require(board, pf_pool_set_worker_fn(pool, work, board, NULL) == 0);
    }
    return pool;
}

/* With files of both kinds, with and without a pid file. */
static void launch_each(struct scenario *scenario, host_fn host, int status) {
    for (int i = 0; i < 4; i++) {
        pid_file = pid_files[i / 2];
        opens_null = i % 2 != 0;
        (void)launch(scenario, host);
        assert_exits(scenario, status);
        assert_int_equal(end_of(daemon_pid(scenario, (unsigned)i)), 0);
        assert_true(board_reaches(scenario->board, NOTE_DONE, ANY_TASK, (unsigned)i + 1));
        if (pid_file != NULL) {
            (void)unlink(pid_file); /* of a daemon that could not remove it */
        }
    }
}

/* ---- The daemon ------------------------------------------------------------------------- */

static int closes_all_and_is_ready(struct board *board) {
    if (!become_daemon(board, pid_file)) {
        return STATUS_REFUSED;
    }
    exchange_descriptors(board);
    board_require(board, pf_daemon_ready() == 0);
    require_files(board);
    require_detached(board);
    pf_pool *pool = open_pool(board, works);
    int task_id = -1;
    board_require(board, pf_pool_run(pool, &task_id) == 0);
    (void)pf_pool_free(pool);
    require_files(board);
    board_note(board, NOTE_DONE, 0);
    return EXIT_SUCCESS;
}

/* Its launch cannot hear from it any more. */
static void files_of_a_daemon_that_has_closed_all_stay(void **state) {
    launch_each(*state, closes_all_and_is_ready, 1);
}

static int closes_all_and_has_workers(struct board *board) {
    if (!become_daemon(board, pid_file)) {
        return STATUS_REFUSED;
    }
    exchange_descriptors(board);
    pf_pool *pool = open_pool(board, works);
    int task_id = -1;
    board_require(board, pf_pool_run(pool, &task_id) == 0);
    (void)pf_pool_free(pool);
    require_files(board);
    require_detached(board);
    board_note(board, NOTE_DONE, 0);
    return EXIT_SUCCESS;
}

static void workers_of_a_daemon_that_has_closed_all_keep_its_files(void **state) {
    launch_each(*state, closes_all_and_has_workers, 1);
}

/* ---- A child that the host forks -------------------------------------------------------- */

static struct board *host_board;
static pid_t child;

static int serves(int task_id, void *user) {
    (void)task_id;
    (void)user;
    wait_for_ever();
    return 0;
}

static int await_child(struct board *board, pf_pool *pool) {
    int status = -1;

    board_require(board, child > 0 && waitpid(child, &status, 0) == child && status == 0);
    (void)pf_pool_free(pool);
    board_require(board, pf_daemon_ready() == 0);
    board_note(board, NOTE_DONE, 0);
    return EXIT_SUCCESS;
}

static void fork_at_first_start(const pf_event *event, void *user) {
    (void)user;
    if (pf_event_type(event) == PF_EVENT_STARTED && child < 0) {
        child = fork();
        if (child == 0) {
            exchange_descriptors(host_board);
        }
    }
}

static int forks_in_a_callback(struct board *board) {
    if (!become_daemon(board, pid_file)) {
        return STATUS_REFUSED;
    }
    host_board = board;
    child = -1;
    pf_pool *pool = open_pool(board, serves);
    board_require(board, pf_pool_set_event_callback(pool, fork_at_first_start, NULL, NULL) == 0);
    board_require(board, pf_pool_start(pool) == 0);
    int result = pf_pool_dispatch(pool, 0);
    if (child != 0) {
        return await_child(board, pool);
    }
    board_require(board, result == -ECHILD);
    require_files(board);
    _exit(EXIT_SUCCESS);
}

static void files_of_a_child_of_a_callback_stay(void **state) {
    launch_each(*state, forks_in_a_callback, 0);
}

static int forks_a_worker(struct board *board) {
    const pf_event *event = NULL;
    if (!become_daemon(board, pid_file)) {
        return STATUS_REFUSED;
    }
    pf_pool *pool = open_pool(board, NULL);
    board_require(board, pf_pool_set_host_fork(pool, 1) == 0);
    board_require(board, pf_pool_start(pool) == 0);
    while (event == NULL || pf_event_type(event) != PF_EVENT_FORK_WANTED) {
        board_require(board, pf_pool_dispatch(pool, 0) == 1);
        (void)pf_pool_next_event(pool, &event);
    }
    int task_id = pf_event_task_id(event);
    child = fork();
    if (child == 0) {
        exchange_descriptors(board);
        board_require(board, pf_pool_fork_child(pool, task_id) == -ESRCH);
        require_files(board);
        _exit(EXIT_SUCCESS);
    }
    board_require(board, pf_pool_fork_parent(pool, task_id, -EAGAIN) == 0);
    return await_child(board, pool);
}

static void files_of_a_child_that_cannot_become_a_worker_stay(void **state) {
    launch_each(*state, forks_a_worker, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        launch_test(files_of_a_daemon_that_has_closed_all_stay),
        launch_test(workers_of_a_daemon_that_has_closed_all_keep_its_files),
        launch_test(files_of_a_child_of_a_callback_stay),
        launch_test(files_of_a_child_that_cannot_become_a_worker_stay),
    };

    return cmocka_run_group_tests_name("closed files of daemons", tests, NULL, NULL);
}
