/*
 * upgrade_workers_test.c - an upgrade of a supervisor with spares, with threads, and with workers
 * that do not know the library
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "upgrader.h"

/* ---- Spares ------------------------------------------------------------------------------ */

static pid_t spare_of(unsigned generation, unsigned nth) {
    return (pid_t)report_number(
        text_of("generation %u event spare_started slot -2 pid ", generation), nth);
}

/* The old spares end, and the new program has its own. */
static void upgrades_with_spares(const char *way, const char *backend) {
    char way_option[32];
    char backend_option[32];
    (void)snprintf(way_option, sizeof(way_option), "way=%s", way);
    (void)snprintf(backend_option, sizeof(backend_option), "backend=%s", backend);
    const char *options[] = {"workers=2", "spares=2", "worker=0", way_option, backend_option, NULL};
    report_begin();
    pid_t server = serve(options);
    assert_reaches("generation 0 event spare_started", 2);
    assert_reaches("generation 0 started slot", 2);
    for (unsigned generation = 1; generation <= 2; generation++) {
        upgrade(server);
        assert_reaches(text_of("generation %u adopted 2.", generation), 1);
        assert_reaches(text_of("generation %u event spare_started", generation), 2);
        for (unsigned nth = 0; nth < 2; nth++) {
            assert_reaches(
                text_of("event spare_exited slot -2 pid %d ", (int)spare_of(generation - 1, nth)),
                1);
        }
    }
    assert_int_equal(report_count(" exited slot"), 0);

    assert_int_equal(kill(worker_of(0, 0), SIGKILL), 0);

    assert_reaches("generation 2 started slot", 1);
    assert_int_equal(worker_of(2, 0), spare_of(2, 0));
    assert_reaches("generation 2 event spare_started", 3);
    stops(server);
    assert_int_equal(report_count(" exited slot"), 3);
    assert_int_equal(report_count("event spare_exited"), 6);
}

static void forked_spares_are_renewed(void **state) {
    (void)state;
    upgrades_with_spares("fork", "1");
    upgrades_with_spares("fork", "2");
}

static void executed_spares_are_renewed(void **state) {
    (void)state;
    upgrades_with_spares("exec", "1");
    upgrades_with_spares("exec", "2");
}

static void spares_that_the_host_forked_are_renewed(void **state) {
    (void)state;
    upgrades_with_spares("host", "1");
    upgrades_with_spares("host", "2");
}

static void spares_that_the_new_program_does_not_want_end(void **state) {
    static const char *options[] = {"workers=1", "spares=2", NULL};
    (void)state;
    pid_t server = serve(options);
    assert_reaches("event spare_started", 2);
    set_next("workers=1\n");

    upgrade(server);

    assert_reaches("generation 1 event spare_exited", 2);
    assert_int_equal(report_count("event spare_started"), 2);
    stops(server);
}

/* ---- Threads ------------------------------------------------------------------------------ */

/* Both threads find what the third pool has left. */
static void pools_of_two_threads_may_wait_first_at_the_same_moment(void **state) {
    (void)state;
    pid_t program = fork();
    if (program == 0) {
        (void)setenv("LD_LIBRARY_PATH", library_directory(), 1);
        (void)execl(program_path("upgrade_threads"), "upgrade_threads", "0", "100", NULL);
        _exit(93);
    }

    assert_int_equal(server_end(program), 0);
    assert_all_end();
}

/* Whoever waits for all streams waits for that thread. */
static void thread_that_reads_does_not_hold_up_the_upgrade(void **state) {
    static const char *options[] = {"workers=2", "reader=1", NULL};
    (void)state;
    pid_t server = serve(options);
    assert_reaches("started slot", 2);
    set_next("workers=2\n");

    upgrade(server);

    assert_reaches("generation 1 adopted 2.", 1);
    stops(server);
}

/* ---- Workers that do not know the library ------------------------------------------------- */

static void worker_that_reports_to_a_socket_stays(void **state) {
    (void)state;
    pid_t server = serve(beating_options());
    assert_reaches("generation 0 event worker_ready", 2);
    for (unsigned generation = 1; generation <= 3; generation++) {
        upgrade(server);
        assert_reaches(text_of("generation %u adopted 2.", generation), 1);
        assert_int_equal(report_count(" exited slot"), 0);
    }
    assert_beats_arrive();

    assert_int_equal(kill(worker_of(0, 1), SIGSTOP), 0);

    assert_reaches("generation 3 event worker_unresponsive slot 1", 1);
    assert_reaches("generation 3 event worker_ready slot 1", 1);
    stops(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(forked_spares_are_renewed),
        executed_scenario_test(executed_spares_are_renewed),
        executed_scenario_test(spares_that_the_host_forked_are_renewed),
        executed_scenario_test(spares_that_the_new_program_does_not_want_end),
        executed_scenario_test(thread_that_reads_does_not_hold_up_the_upgrade),
        executed_scenario_test(pools_of_two_threads_may_wait_first_at_the_same_moment),
        executed_scenario_test(worker_that_reports_to_a_socket_stays),
    };

    return cmocka_run_group_tests_name("upgrades with spares and foreign workers", tests, NULL,
                                       NULL);
}
