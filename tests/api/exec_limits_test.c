/*
 * exec_limits_test.c - processes or descriptors run out while workers are executed
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

enum { PLENTY = 4000, WANTED = 6, RUNNING = 3 };

static void open_and_execute(struct host *host, struct board *board) {
    host_open(host, board);
    executes(host, "run:", "term", NULL);
    board_require(board, pf_pool_set_max_restarts(host->pool, 0) == 0);
}

/* What RLIMIT_NPROC and its like are for the C library. */
#ifdef __GLIBC__
typedef __rlimit_resource_t resource_number;
#else
typedef int resource_number;
#endif

static void limit(struct board *board, resource_number resource, rlim_t soft) {
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = PLENTY};

    board_require(board, setrlimit(resource, &limit) == 0);
}

/* It is told, is not counted, is tried again, and goes on when there is room. */
static void require_failure(struct host *host, int error) {
    struct board *board = host->board;
    board_require(board, host_reaches(host, PF_EVENT_START_FAILED, ANY_TASK, 1));
    const struct record *failed = board_find(board, PF_EVENT_START_FAILED, ANY_TASK, 0);
    board_require(board, failed->error == error);
    board_require(board, failed->restarts == 0 && failed->will_restart == 1);
    board_require(board, failed->delay_ms > 0);
}

/* The other user may not reach the tree, which can stand in the home of root. */
static void copy_worker(void) {
    char library[4200];

    (void)snprintf(library, sizeof(library), "%s/libprefork.so", library_directory());
    copy_program(library, "libprefork.so.0");
    copy_program(program_path("exec_worker"), "exec_worker");
}

static void execute_copy(struct host *host, struct board *board) {
    static const char *const arguments[] = {"exec_worker", "run:", "term", NULL};
    char directory[4096];

    board_require(board, getcwd(directory, sizeof(directory)) != NULL);
    board_require(board, setenv("LD_LIBRARY_PATH", directory, 1) == 0);
    board_require(board, pf_pool_set_exec(host->pool, "./exec_worker", arguments, NULL) == 0);
}

static int host_without_processes(struct board *board) {
    struct host host;

    leave_out_leak_check();
    /* This user has no other process. */
    limit(board, RLIMIT_NPROC, RUNNING + 1);
    board_require(board, setgid(65534) == 0);
    board_require(board, setuid((uid_t)(40000 + getpid() % 10000)) == 0);
    open_and_execute(&host, board);
    execute_copy(&host, board);
    board_require(board, host_begin(&host, WANTED) == 0);
    require_failure(&host, -EAGAIN);
    board_require(board, board_count(board, PF_EVENT_STARTED, ANY_TASK) == RUNNING);
    limit(board, RLIMIT_NPROC, PLENTY);
    board_require(board, host_reports(&host, "ready", WANTED));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void want_of_processes_is_reported_tried_again_and_not_counted(void **state) {
    struct scenario *run = *state;
    if (geteuid() != 0) {
        print_message("skipped: only root can become a user without other processes\n");
        skip();
    }
    assert_int_equal(chmod(".", 0755), 0);
    copy_worker();

    scenario_start_host(run, host_without_processes);

    assert_exits(run, 0);
    assert_int_equal(report_count("ready"), WANTED);
}

static int taken[PLENTY];

static int take_all_descriptors(void) {
    int count = 0;

    while (count < PLENTY && (taken[count] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0) {
        count++;
    }
    return count;
}

static int host_without_descriptors(struct board *board) {
    struct host host;

    limit(board, RLIMIT_NOFILE, 64);
    open_and_execute(&host, board);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reports(&host, "ready", 1));
    /* The report is not readable any more: it has no descriptor either. */
    int count = take_all_descriptors();
    board_require(board, pf_pool_resize(host.pool, WANTED) == 0);
    require_failure(&host, -EMFILE);
    while (count > 0) {
        board_require(board, close(taken[--count]) == 0);
    }
    board_require(board, host_reports(&host, "ready", WANTED));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void want_of_descriptors_is_reported_tried_again_and_not_counted(void **state) {
    struct scenario *run = *state;
    if (backend_under_test != PF_BACKEND_PIDFD) {
        print_message("skipped: without pidfds a worker needs no descriptor\n");
        skip();
    }

    scenario_start_host(run, host_without_descriptors);

    assert_exits(run, 0);
    assert_int_equal(report_count("ready"), WANTED);
}

/* A host with closed standard descriptors gets none of the library's in their places. */
static int host_without_stdio(struct board *board) {
    struct host host;

    open_and_execute(&host, board);
    (void)close(STDIN_FILENO);
    (void)close(STDOUT_FILENO);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reports(&host, "ready", 2));
    board_require(board, fcntl(STDIN_FILENO, F_GETFD) < 0 && fcntl(STDOUT_FILENO, F_GETFD) < 0);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void the_places_of_closed_standard_descriptors_stay_free(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_without_stdio);

    assert_exits(run, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(want_of_processes_is_reported_tried_again_and_not_counted),
        executed_scenario_test(want_of_descriptors_is_reported_tried_again_and_not_counted),
        executed_scenario_test(the_places_of_closed_standard_descriptors_stay_free),
    };

    return run_group_with_each_backend("limits of starts by exec", tests);
}
