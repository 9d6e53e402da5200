/*
 * upgrade_refused_test.c - upgrades of a supervisor that fail, or go by other programs
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "failing.h"
#include "upgrader.h"

/* ---- Failures --------------------------------------------------------------------------- */

static void failed_upgrade_leaves_all_as_it_was(void **state) {
    static const char *options[] = {"workers=2", "program=./missing", NULL};
    (void)state;
    pid_t server = serve(options);
    assert_reaches("started slot", 2);

    upgrade(server);

    assert_reaches(text_of("generation 0 upgrade %d.", -ENOENT), 1);
    assert_int_equal(kill(worker_of(0, 0), SIGKILL), 0);
    assert_reaches("started slot 0", 2);
    stops(server);
    assert_int_equal(report_count("exited"), 3);
}

static void file_with_more_rights_is_refused(void **state) {
    static const char *options[] = {"workers=1", "program=./rich", NULL};
    (void)state;
    copy_program(program_path("upgrader"), "rich");
    assert_int_equal(chmod("rich", 04755), 0);
    pid_t server = serve(options);
    assert_reaches("started slot", 1);

    upgrade(server);

    assert_reaches(text_of("generation 0 upgrade %d.", -EACCES), 1);
    stops(server);
}

static void other_thread_is_refused(void **state) {
    static const char *options[] = {"workers=1", "thread=1", NULL};
    (void)state;
    pid_t server = serve(options);
    assert_reaches("started slot", 1);

    upgrade(server);

    assert_reaches(text_of("generation 0 upgrade %d.", -EPERM), 1);
    stops(server);
}

/* The new program would miss what it needs to supervise. */
static void descriptors_that_cannot_be_inherited_fail_the_upgrade(void **state) {
    static const char *options[] = {"workers=2", "uninherited=1", NULL};
    (void)state;
    pid_t server = serve(options);
    assert_reaches("started slot", 2);

    upgrade(server);

    assert_reaches("inheritance is forbidden", 1);
    if (report_count("is forbidden: 0.") != 0) {
        stops(server);
        skip(); /* no filter of system calls */
    }
    assert_reaches(text_of("generation 0 upgrade %d.", -EPERM), 1);
    assert_int_equal(kill(worker_of(0, 0), SIGKILL), 0);
    assert_reaches("started slot 0", 2);
    stops(server);
}

/* The signal of the limit would end the service. */
static void limit_of_file_sizes_fails_the_upgrade(void **state) {
    static const char *const limits[] = {"file_size=0", "file_size=100"};
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        const char *options[] = {"workers=2", limits[round], NULL};
        pid_t server = serve(options);
        assert_reaches("started slot", 2 * round + 2);

        upgrade(server);

        assert_reaches(text_of("generation 0 upgrade %d.", -EFBIG), round + 1);
        stops(server);
    }
}

static void program_without_pools_leaves_no_files(void **state) {
    static const char *options[] = {"workers=2", "way=foreign", "ready_ms=60000", NULL};
    char directory[PATH_MAX];
    (void)state;
    assert_int_equal(mkdir("runtime", 0700), 0);
    assert_non_null(realpath("runtime", directory));
    assert_int_equal(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
    pid_t server = serve(options);
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
    assert_reaches("started slot", 2);
    assert_int_equal(rmdir("runtime"), -1); /* there is the one of the socket */
    set_next("exit=0\n");

    upgrade(server);

    assert_int_equal(server_end(server), 0);
    assert_int_equal(rmdir("runtime"), 0);
    assert_all_end();
}

/* What it does not have yet it cannot hand over. */
static void program_that_has_not_adopted_its_workers_is_not_upgraded(void **state) {
    static const char *options[] = {"workers=2", "early=1", NULL};
    (void)state;
    pid_t server = serve(options);
    assert_reaches("started slot", 2);

    upgrade(server);

    assert_reaches(text_of("generation 1 upgrade %d.", -EBUSY), 1);
    assert_reaches("generation 1 adopted 2.", 1);
    upgrade(server);
    assert_reaches("generation 2 adopted 2.", 1);
    stops(server);
    assert_int_equal(report_count("exited"), 2);
}

static void programs_without_pools_lead_to_one_that_has_some(void **state) {
    static const char *options[] = {"workers=2", "late=2", NULL};
    (void)state;
    pid_t server = serve(options);

    assert_reaches("generation 2 starting 2.", 1);
    stops(server);
    assert_int_equal(report_count("signal_unavailable"), 0);
}

/* ---- Starts that fail ------------------------------------------------------------------- */

enum { NEXT_SIZE = 4400, LACKED_MIN = 3 };

/* The next program lacks one thing after the other, and starts its pool again. */
static void adopts_after_failed_starts(pid_t server, const char *what, int error) {
    upgrade(server);

    assert_reaches("generation 1 adopted 2.", 1);
    unsigned failed = report_count(text_of("generation 1 lacks %s %d.", what, error));
    assert_true(failed >= LACKED_MIN);
    assert_int_equal(report_count("generation 1 lacks"),
                     failed + 1); /* with the one that did not fail */
    assert_int_equal(report_count(" exited slot"), 0);
    assert_int_equal(kill(worker_of(0, 0), SIGKILL), 0);
    assert_reaches("generation 1 started slot 0", 1);
}

static void workers_stay_though_starts_lack_descriptors(void **state) {
    static const char *const backends[] = {"backend=1", "backend=2"};
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        const char *options[] = {"workers=2", backends[round], NULL};
        report_begin();
        pid_t server = serve(options);
        assert_reaches("started slot", 2);
        set_next(text_of("workers=2\n%s\nlacks=files\n", backends[round]));

        adopts_after_failed_starts(server, "files", -EMFILE);

        stops(server);
        assert_int_equal(report_count(" exited slot"), 3);
    }
}

static void workers_stay_though_starts_lack_memory(void **state) {
    static const char *options[] = {"workers=2", "spares=1", NULL};
    (void)state;
    require_failing();
    pid_t server = serve(options);
    assert_reaches("started slot", 2);
    assert_reaches("event spare_started", 1);
    set_next("workers=2\nspares=1\nlacks=memory\n");

    adopts_after_failed_starts(server, "memory", -ENOMEM);

    stops(server);
}

/* The socket is where its workers look for it. */
static void workers_report_to_the_same_socket_after_failed_starts(void **state) {
    char next[NEXT_SIZE] = "lacks=files\n";
    (void)state;
    for (const char *const *option = beating_options(); *option != NULL; option++) {
        size_t length = strlen(next);
        (void)snprintf(next + length, sizeof(next) - length, "%s\n", *option);
    }
    pid_t server = serve(beating_options());
    assert_reaches("generation 0 event worker_ready", 2);
    set_next(next);

    adopts_after_failed_starts(server, "files", -EMFILE);

    assert_reaches("generation 1 event worker_ready slot 0", 1);
    assert_beats_arrive();
    stops(server);
}

static struct board *host_board;

static void upgrade_in_callback(const pf_event *event, void *user) {
    (void)event;
    (void)user;
    board_require(host_board, pf_upgrade(NULL, NULL, NULL) == -EBUSY);
}

static int end_at_once(int task_id, void *user) {
    (void)task_id;
    (void)user;
    return 0;
}

static int host_of_pool_run(struct board *board) {
    pf_pool *pool = NULL;
    int task_id = -1;

    host_board = board;
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_workers(pool, 2) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, end_at_once, NULL, NULL) == 0);
    board_require(board, pf_pool_set_event_callback(pool, upgrade_in_callback, NULL, NULL) == 0);
    board_require(board, pf_pool_run(pool, &task_id) == 0);
    (void)pf_pool_free(pool);
    return 0;
}

static int host_of_fork_processes(struct board *board) {
    host_board = board;
    pf_set_event_callback(upgrade_in_callback, NULL);
    return pf_fork_processes(2, 0) >= 0 ? 0 : 1;
}

/* Also pf_fork_processes() ends with 0 when its workers have finished. */
static void calls_that_wait_for_the_pool_are_refused(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_of_pool_run);
    assert_exits(run, 0);
    scenario_start_host(run, host_of_fork_processes);
    assert_exits(run, 0);
}

/* ---- Wrappers --------------------------------------------------------------------------- */

static void program_by_a_script_that_executes_it_goes_on(void **state) {
    static const char *options[] = {"workers=2", "program=./wrapper", NULL};
    (void)state;
    make_file("wrapper", "#!/bin/sh\nexec ./server \"$@\"\n", 0755);
    pid_t server = serve(options);
    assert_reaches("started slot", 2);

    upgrade(server);

    assert_reaches("generation 1 adopted 2.", 1);
    stops(server);
}

/* It has another pid, so what was handed over is not its. */
static void program_by_a_script_that_forks_adopts_nothing(void **state) {
    static const char *options[] = {"workers=2", "program=./wrapper", NULL};
    (void)state;
    make_file("wrapper", "#!/bin/sh\n./server \"$@\"\nexit 5\n", 0755);
    pid_t server = serve(options);
    assert_reaches("started slot", 2);

    upgrade(server);

    assert_reaches("generation 1 starting 2.", 1);
    assert_int_equal(report_count("adopted"), 0);
    pid_t other = (pid_t)report_number("generation 1 begins pid ", 0);
    assert_true(other != server);
    assert_int_equal(kill(other, SIGTERM), 0);
    int status = server_end(server);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    assert_all_end();
}

/* ---- Daemons ---------------------------------------------------------------------------- */

static void daemon_keeps_its_pid_file(void **state) {
    static const char *options[] = {"workers=2", "daemon=pid", NULL};
    (void)state;
    pid_t launcher = serve(options);
    assert_int_equal(server_end(launcher), 0);
    pid_t server = (pid_t)report_number("generation 0 begins pid ", 0);
    assert_reaches("started slot", 2);

    upgrade(server);

    assert_reaches("generation 1 daemonize 0.", 1);
    assert_reaches("generation 1 adopted 2.", 1);
    struct flock lock = {.l_type = F_WRLCK};
    int file = open("pid", O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(fcntl(file, F_GETLK, &lock), 0);
    assert_int_equal(lock.l_pid, server);
    assert_int_equal(close(file), 0);
    stops(server);
    assert_int_equal(access("pid", F_OK), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(failed_upgrade_leaves_all_as_it_was),
        executed_scenario_test(file_with_more_rights_is_refused),
        executed_scenario_test(other_thread_is_refused),
        executed_scenario_test(calls_that_wait_for_the_pool_are_refused),
        executed_scenario_test(descriptors_that_cannot_be_inherited_fail_the_upgrade),
        executed_scenario_test(limit_of_file_sizes_fails_the_upgrade),
        executed_scenario_test(program_that_has_not_adopted_its_workers_is_not_upgraded),
        executed_scenario_test(programs_without_pools_lead_to_one_that_has_some),
        executed_scenario_test(program_without_pools_leaves_no_files),
        executed_scenario_test(workers_stay_though_starts_lack_descriptors),
        executed_scenario_test(workers_stay_though_starts_lack_memory),
        executed_scenario_test(workers_report_to_the_same_socket_after_failed_starts),
        executed_scenario_test(program_by_a_script_that_executes_it_goes_on),
        executed_scenario_test(program_by_a_script_that_forks_adopts_nothing),
        executed_scenario_test(daemon_keeps_its_pid_file),
    };

    return cmocka_run_group_tests_name("upgrades that fail", tests, NULL, NULL);
}
