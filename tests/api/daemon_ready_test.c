/*
 * daemon_ready_test.c - a daemon whose workers say when they are ready
 *
 * Until then what they write reaches whoever launched the daemon.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "launch.h"

enum { NOTE_BOOTS = KIND_NOTE, NOTE_SERVES, NOTE_DETACHED };
enum { GATE_READY, GATE_END };
enum { WORKERS = 2, STATUS_NO_POOL = 4 };

typedef int (*worker_fn)(int task_id, void *board);

static pf_pool *open_pool(struct board *board, worker_fn work) {
    pf_pool *pool = NULL;

    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_workers(pool, WORKERS) == 0);
    board_require(board, pf_pool_set_max_restarts(pool, 0) == 0);
    board_require(board, pf_pool_set_signals(pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, work, board, NULL) == 0);
    return pool;
}

/* A daemon that supervises workers to their end. */
static int supervise(struct board *board, worker_fn work) {
    int task_id = -1;

    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    pf_pool *pool = open_pool(board, work);
    board_require(board, pf_pool_set_ready_timeout(pool, PATIENCE_MS) == 0);
    int result = pf_pool_run(pool, &task_id);
    (void)pf_pool_free(pool);
    return result == 0 ? EXIT_SUCCESS : STATUS_NO_POOL;
}

static void fork_worker_of(pf_pool *pool, int task_id, struct board *board, worker_fn work) {
    board_require(board, pf_pool_fork_prepare(pool, task_id) == 0);
    pid_t pid = fork();

    if (pid == 0) {
        board_require(board, pf_pool_fork_child(pool, task_id) == 0);
        _exit(work(task_id, board));
    }
    board_require(board, pf_pool_fork_parent(pool, task_id, pid) == 0);
}

/* The same, but the daemon forks by itself. */
static int supervise_own_forks(struct board *board, worker_fn work) {
    const pf_event *event = NULL;
    int result = 1;

    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    pf_pool *pool = open_pool(board, work);
    board_require(board, pf_pool_set_ready_timeout(pool, PATIENCE_MS) == 0);
    board_require(board, pf_pool_set_host_fork(pool, 1) == 0);
    board_require(board, pf_pool_start(pool) == 0);
    while (result == 1) {
        result = pf_pool_dispatch(pool, -1);
        while (pf_pool_next_event(pool, &event) == 1) {
            if (pf_event_type(event) == PF_EVENT_FORK_WANTED) {
                fork_worker_of(pool, pf_event_task_id(event), board, work);
            }
        }
    }
    (void)pf_pool_free(pool);
    return result == 0 ? EXIT_SUCCESS : STATUS_NO_POOL;
}

static bool is_nowhere(int fd) {
    struct stat here;
    struct stat nowhere;

    return fstat(fd, &here) == 0 && stat("/dev/null", &nowhere) == 0 &&
           here.st_rdev == nowhere.st_rdev && S_ISCHR(here.st_mode);
}

/* ---- Stdio ----------------------------------------------------------------------------- */

static int others_at_first;

/* How many other descriptors lead there. */
static int others_nowhere(void) {
    int count = 0;

    for (int fd = STDERR_FILENO + 1; fd < 256; fd++) {
        count += is_nowhere(fd) ? 1 : 0;
    }
    return count;
}

static int boots_and_serves(int task_id, void *user) {
    struct board *board = user;

    board_require(board, !is_nowhere(STDERR_FILENO));
    if (task_id == 0) {
        (void)printf("booted\n"); /* buffered, for it is no terminal */
    }
    board_note(board, NOTE_BOOTS, 0);
    gate_wait(board, GATE_READY);
    board_require(board, pf_worker_ready() == 0);
    board_require(board, pf_worker_ready() == 0);
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        board_require(board, is_nowhere(fd));
    }
    board_require(board, others_nowhere() == others_at_first); /* what led them there is closed */
    board_note(board, NOTE_SERVES, 0);
    wait_for_ever();
    return 0;
}

static void open_log(struct board *board) {
    int log = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    board_require(board, log >= 0 && dup2(log, STDOUT_FILENO) == STDOUT_FILENO);
    board_require(board, close(log) == 0);
    others_at_first = others_nowhere();
}

static int has_a_log(struct board *board) {
    open_log(board);
    return supervise(board, boots_and_serves);
}

static int has_a_log_and_forks(struct board *board) {
    open_log(board);
    return supervise_own_forks(board, boots_and_serves);
}

static void assert_stdio_kept_until_ready(struct scenario *scenario, host_fn host) {
    struct stat log;
    char path[64];
    (void)launch(scenario, host);
    pid_t daemon = daemon_pid(scenario, 0);
    assert_true(board_reaches(scenario->board, NOTE_BOOTS, ANY_TASK, WORKERS));
    assert_int_equal(waitpid(scenario->supervisor, NULL, WNOHANG), 0);

    gate_open(scenario->board, GATE_READY);

    assert_exits(scenario, 0);
    /* Already now, so that nobody waits for the end of the output any more. */
    for (unsigned nth = 0; nth < WORKERS; nth++) {
        pid_t worker = board_find(scenario->board, NOTE_BOOTS, ANY_TASK, nth)->author;
        for (int fd = 0; fd <= STDERR_FILENO; fd++) {
            (void)snprintf(path, sizeof(path), "fd/%d", fd);
            assert_link(worker, path, "/dev/null");
        }
    }
    assert_true(board_reaches(scenario->board, NOTE_SERVES, ANY_TASK, WORKERS));
    assert_int_equal(stat("log", &log), 0);
    assert_int_equal(log.st_size, strlen("booted\n"));
    assert_int_equal(kill(daemon, SIGTERM), 0);
    assert_int_equal(end_of(daemon), 0);
}

static void a_worker_has_the_stdio_of_the_launch_until_it_is_ready(void **state) {
    assert_stdio_kept_until_ready(*state, has_a_log);
}

static void a_worker_that_the_host_forks_has_it_as_long(void **state) {
    assert_stdio_kept_until_ready(*state, has_a_log_and_forks);
}

static int lacks_something(int task_id, void *user) {
    (void)user;
    if (task_id == 1) {
        wait_for_ever();
    }
    (void)fprintf(stderr, "model.bin: not found\n");
    return 3;
}

static int supervises_who_lacks_something(struct board *board) {
    return supervise(board, lacks_something);
}

static void a_worker_that_fails_at_boot_says_why_to_who_launched_the_daemon(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, supervises_who_lacks_something);

    assert_exits(scenario, 1);
    scenario->output_taken = true;
    const char *output = scenario_output(scenario);
    assert_non_null(strstr(output, "model.bin: not found\n"));
    assert_non_null(strstr(output, "exited with status 3\n"));
    assert_non_null(strstr(output, "giving up\n"));
    assert_int_equal(end_of(daemon_pid(scenario, 0)), STATUS_NO_POOL << 8);
}

/* ---- A child of a callback --------------------------------------------------------------- */

static struct stat launching_stderr;

static bool has_launching_stderr(void) {
    struct stat now;

    return fstat(STDERR_FILENO, &now) == 0 && now.st_ino == launching_stderr.st_ino &&
           now.st_dev == launching_stderr.st_dev;
}

static int keeps_its_stderr(int task_id, void *board) {
    (void)task_id;
    board_require(board, has_launching_stderr());
    return 0;
}

static int serves(int task_id, void *board) {
    (void)task_id;
    (void)board;
    wait_for_ever();
    return 0;
}

static void fork_at_first_start(const pf_event *event, void *user) {
    pid_t *child = user;

    if (pf_event_type(event) == PF_EVENT_STARTED && *child < 0) {
        *child = fork();
    }
}

/* What the library had is closed there, and what it had open is another's. */
static int lives_on(struct board *board, pf_pool *pool_of_parent) {
    int task_id = -1;

    (void)pf_pool_free(pool_of_parent);
    while (open("precious", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 40) {
    }
    board_require(board, has_launching_stderr());
    pf_pool *pool = open_pool(board, keeps_its_stderr);
    board_require(board, pf_pool_run(pool, &task_id) == 0);
    (void)pf_pool_free(pool);
    board_note(board, NOTE_DETACHED, 0);
    return EXIT_SUCCESS;
}

static int forks_in_a_callback(struct board *board) {
    pid_t child = -1;
    int status = -1;
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    board_require(board, fstat(STDERR_FILENO, &launching_stderr) == 0);
    pf_pool *pool = open_pool(board, serves);
    board_require(board, pf_pool_set_event_callback(pool, fork_at_first_start, &child, NULL) == 0);
    board_require(board, pf_pool_start(pool) == 0);
    int result = pf_pool_dispatch(pool, 0);
    if (child == 0) {
        board_require(board, result == -ECHILD);
        return lives_on(board, pool);
    }
    board_require(board, waitpid(child, &status, 0) == child && status == 0);
    gate_wait(board, GATE_END);
    (void)pf_pool_free(pool);
    return EXIT_SUCCESS;
}

static void a_child_of_a_callback_keeps_its_stdio_and_has_pools_of_its_own(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, forks_in_a_callback);

    assert_true(board_reaches(scenario->board, NOTE_DETACHED, ANY_TASK, 1));
    assert_exits(scenario, 0);
    assert_int_equal(end_behind_gate(scenario, GATE_END, daemon_pid(scenario, 0)), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        launch_test(a_worker_has_the_stdio_of_the_launch_until_it_is_ready),
        launch_test(a_worker_that_the_host_forks_has_it_as_long),
        launch_test(a_worker_that_fails_at_boot_says_why_to_who_launched_the_daemon),
        launch_test(a_child_of_a_callback_keeps_its_stdio_and_has_pools_of_its_own),
    };

    return cmocka_run_group_tests_name("daemon with ready time-out", tests, NULL, NULL);
}
