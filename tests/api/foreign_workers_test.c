/*
 * foreign_workers_test.c - programs that do not use the library report as services do to systemd
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

#define SHORT_MS (time_scale() * 200U)

/* Workers run the program service with those steps. */
#define serves(host, ...)                                                                          \
    do {                                                                                           \
        executes_program(host, "service", __VA_ARGS__);                                            \
        board_require((host)->board, pf_pool_set_foreign_workers((host)->pool, 1) == 0);           \
    } while (0)

static void assert_ready_timeout(struct host *host, uint64_t timeout_ms) {
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, timeout_ms), 0);
}

/* So many workers start, and all get ready. */
static void assert_all_get_ready(struct host *host, int workers) {
    assert_ready_timeout(host, PATIENCE_MS);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, (unsigned)workers));
}

/* ---- What it has ----------------------------------------------------------------------------- */

static void it_knows_where_to_report_and_nothing_of_the_library(void **state) {
    struct host *host = *state;
    assert_int_equal(setenv("NOTIFY_SOCKET", "/elsewhere", 1), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "1", 1), 0);
    serves(host, "env", "say:READY=1", "wait", NULL);
    assert_ready_timeout(host, PATIENCE_MS);
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);

    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));

    assert_reported("library=0, notify=some, limit=%u000, own pid=1, listen=none", PATIENCE_MS);
    assert_reported("task_id=-1, ready=%d", -ECHILD);
    assert_int_equal(host_stops(host), 0);
}

static void without_a_timeout_it_has_nowhere_to_report(void **state) {
    struct host *host = *state;
    serves(host, "env", "wait", NULL);
    assert_int_equal(pf_pool_add_fd(host->pool, "some", STDIN_FILENO), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "library=0, notify=none, limit=none, own pid=0, listen=1", 1));
    assert_int_equal(host_stops(host), 0);
}

static void it_may_use_the_library_for_itself(void **state) {
    struct host *host = *state;
    serves(host, "pool", "say:READY=1", "wait", NULL);

    assert_all_get_ready(host, 2);

    assert_int_equal(report_count("own pool result=0"), 2);
    assert_int_equal(host_stops(host), 0);
}

/* ---- Readiness ------------------------------------------------------------------------------- */

static void ready_among_other_lines_counts(void **state) {
    struct host *host = *state;
    serves(host, "say:STATUS=up,READY=1,MAINPID=1", "wait", NULL);

    assert_all_get_ready(host, 3);

    assert_int_equal(host_stops(host), 0);
}

static void assert_never_ready(struct host *host, const char *step) {
    serves(host, step, "wait", NULL);
    assert_ready_timeout(host, SHORT_MS);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(board_count(host->board, PF_EVENT_READY, 0), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_UNRESPONSIVE, 0, 0)->reason,
                     PF_REASON_READY_TIMEOUT);
}

static void another_text_does_not_count(void **state) {
    assert_never_ready(*state, "say:READY=0,XREADY=1,READY=1X,WATCHDOG=1");
}

static void what_a_child_of_it_sends_does_not_count(void **state) {
    assert_never_ready(*state, "child:READY=1");
    assert_reported("a child has sent, status=0");
}

static void a_passed_descriptor_is_not_kept(void **state) {
    struct host *host = *state;
    serves(host, "passing:READY=1", "wait", NULL);
    assert_ready_timeout(host, PATIENCE_MS);
    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reports(host, "passing result=0, end=0", 1));

    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_int_equal(host_stops(host), 0);
}

/* The worker reports the name; this process is not the worker. */
static void what_another_process_sends_does_not_count(void **state) {
    struct host *host = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    serves(host, "where", "wait", NULL);
    assert_ready_timeout(host, PATIENCE_MS);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reports(host, "socket=", 1));
    const char *name = strstr(report_text(), "socket=") + strlen("socket=");
    size_t length = strcspn(name, "\n");
    assert_in_range(length, 1, sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, name, length);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    /* There is not always room: the supervisor lets it wait. */
    for (int sent = 0; sent < 100;) {
        sent += sendto(fd, "READY=1", 7, MSG_DONTWAIT, (struct sockaddr *)&address,
                       sizeof(address)) == 7;
        assert_true(host_turn(host, 1));
    }
    assert_int_equal(close(fd), 0);
    host_goes_on(host, 50);

    assert_int_equal(board_count(host->board, PF_EVENT_READY, 0), 0);
    assert_int_equal(host_stops(host), 0);
}

static void messages_that_mean_nothing_do_no_harm(void **state) {
    struct host *host = *state;
    serves(host, "flood:1000", "say:READY=1", "wait", NULL);

    assert_all_get_ready(host, 2);

    assert_int_equal(report_count("flooded"), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

static void a_release_that_never_serves_leaves_the_old_workers(void **state) {
    struct host *host = *state;
    const char *arguments[] = {"service", "wait", NULL};
    serves(host, "say:READY=1", "wait", NULL);
    assert_all_get_ready(host, 2);
    int32_t before = pf_pool_worker_pid(host->pool, 0);
    arguments[1] = "exit:3";
    assert_int_equal(pf_pool_set_exec(host->pool, program_path("service"), arguments, NULL), 0);
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOAD_FAILED, ANY_TASK, 1));
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), before);

    arguments[1] = "say:READY=1";
    arguments[2] = NULL;
    const char *good[] = {"service", "say:READY=1", "wait", NULL};
    assert_int_equal(pf_pool_set_exec(host->pool, program_path("service"), good, NULL), 0);
    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_int_not_equal(pf_pool_worker_pid(host->pool, 0), before);
    assert_int_equal(host_stops(host), 0);
}

/* ---- Watchdog -------------------------------------------------------------------------------- */

static void who_beats_lives_on(void **state) {
    struct host *host = *state;
    serves(host, "say:READY=1", "beat", NULL);
    assert_ready_timeout(host, PATIENCE_MS);
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, SHORT_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));

    host_goes_on(host, 4 * SHORT_MS);

    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, 0), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_READY, 0), 1);
    assert_int_equal(host_stops(host), 0);
}

static void assert_aborted(struct host *host) {
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_ready_timeout(host, PATIENCE_MS);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(board_find(host->board, PF_EVENT_UNRESPONSIVE, 0, 0)->reason,
                     PF_REASON_HEARTBEAT_TIMEOUT);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGABRT);
}

static void who_stops_beating_is_aborted(void **state) {
    struct host *host = *state;
    serves(host, "say:READY=1", "say:WATCHDOG=1", "wait", NULL);
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, SHORT_MS), 0);
    assert_aborted(host);
}

static void who_reports_that_it_hangs_is_aborted_at_once(void **state) {
    struct host *host = *state;
    serves(host, "say:READY=1", "say:WATCHDOG=trigger", "wait", NULL);
    assert_aborted(host);
}

/* ---- The socket ------------------------------------------------------------------------------ */

/* The directory that XDG_RUNTIME_DIR names; how many entries it has. */
static unsigned entries_of(const char *directory) {
    unsigned count = 0;
    DIR *stream = opendir(directory);

    for (struct dirent *entry = NULL; stream != NULL && (entry = readdir(stream)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    if (stream != NULL) {
        (void)closedir(stream);
    }
    return count;
}

/* A supervisor with capabilities leaves a file while it lives, others none. */
static void no_file_is_left_at_the_end(void **state) {
    struct host *host = *state;
    assert_int_equal(mkdir("run", 0700), 0);
    char directory[PATH_MAX];
    assert_non_null(realpath("run", directory));
    assert_int_equal(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
    serves(host, "say:READY=1", "wait", NULL);
    assert_ready_timeout(host, PATIENCE_MS);

    assert_int_equal(host_begin(host, 1), 0);
    unsigned running = entries_of(directory);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_int_equal(host_stops(host), 0);

    assert_in_range(running, 0, 1);
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
}

static void a_pool_that_is_freed_leaves_no_file(void **state) {
    struct host *host = *state;
    assert_int_equal(mkdir("run", 0700), 0);
    char directory[PATH_MAX];
    assert_non_null(realpath("run", directory));
    assert_int_equal(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
    serves(host, "say:READY=1", "wait", NULL);
    assert_ready_timeout(host, PATIENCE_MS);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);

    host->pool = pf_pool_free(host->pool);

    assert_int_equal(rmdir(directory), 0);
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static void without_a_program_the_pool_does_not_start(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_foreign_workers(host->pool, 1), 0);
    assert_int_equal(host_begin(host, 1), -EINVAL);
    assert_int_equal(pf_pool_set_foreign_workers(host->pool, 0), 0);
}

static void bad_arguments_are_refused(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_foreign_workers(NULL, 1), -EINVAL);
    assert_int_equal(pf_pool_set_foreign_workers(host->pool, 2), -EINVAL);
    assert_int_equal(pf_pool_set_foreign_workers(host->pool, -1), -EINVAL);
    serves(host, "wait", NULL);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(pf_pool_set_foreign_workers(host->pool, 0), -EBUSY);
    assert_int_equal(host_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_test(it_knows_where_to_report_and_nothing_of_the_library),
        executed_test(without_a_timeout_it_has_nowhere_to_report),
        executed_test(it_may_use_the_library_for_itself),
        executed_test(ready_among_other_lines_counts),
        executed_test(another_text_does_not_count),
        executed_test(what_a_child_of_it_sends_does_not_count),
        executed_test(a_passed_descriptor_is_not_kept),
        executed_test(what_another_process_sends_does_not_count),
        executed_test(messages_that_mean_nothing_do_no_harm),
        executed_test(a_release_that_never_serves_leaves_the_old_workers),
        executed_test(who_beats_lives_on),
        executed_test(who_stops_beating_is_aborted),
        executed_test(who_reports_that_it_hangs_is_aborted_at_once),
        executed_test(no_file_is_left_at_the_end),
        executed_test(a_pool_that_is_freed_leaves_no_file),
        executed_test(without_a_program_the_pool_does_not_start),
        executed_test(bad_arguments_are_refused),
    };

    return run_group_with_each_backend("programs that do not use the library", tests);
}
