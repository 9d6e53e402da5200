/*
 * upgrade_version_test.c - an upgrade of a supervisor to a program whose library hands over in
 * another way
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "upgrader.h"

enum { OPTION_SIZE = 4200 };

/* A server whose next program is told that another version of the library has handed over. */
static pid_t serve_another(const char *version, const char *way, const char *more) {
    char program[OPTION_SIZE];
    char version_option[32];
    char way_option[32];
    (void)snprintf(program, sizeof(program), "program=%s", program_path("relayout"));
    (void)snprintf(version_option, sizeof(version_option), "version=%s", version);
    (void)snprintf(way_option, sizeof(way_option), "way=%s", way);
    const char *options[] = {"workers=3", "worker=0", program, version_option,
                             way_option,  more,       NULL};
    report_begin();
    pid_t server = serve(options);
    assert_reaches("generation 0 started slot", 3);
    return server;
}

/* The end of each old worker is reported once, and the new ones serve at the same sockets. */
static void assert_begins_anew(pid_t server, int port) {
    pid_t worker = 0;
    assert_reaches("generation 1 starting 3.", 1);
    assert_int_equal(report_number("generation 1 begins pid ", 0), server);
    assert_int_equal(report_number("generation 1 port ", 0), port);
    assert_reaches("generation 1 started slot", 3);
    assert_reaches("generation 1 exited slot", 3);
    for (unsigned nth = 0; nth < 3; nth++) {
        pid_t old = worker_of(0, nth);
        assert_int_equal(report_count(text_of("pid %d status ", (int)old)), 1);
    }
    assert_int_equal(report_count("adopted"), 0);
    assert_true(request_from(port, &worker) >= 0);
}

static void begins_anew(const char *version, const char *way) {
    pid_t server = serve_another(version, way, NULL);
    int port = port_of();

    upgrade(server);

    assert_begins_anew(server, port);
    stops(server); /* the signal is not blocked */
    assert_int_equal(report_count("exited slot"), 6);
}

static void newer_version_begins_anew_at_the_same_sockets(void **state) {
    (void)state;
    begins_anew("2", "fork");
    begins_anew("2", "exec");
    begins_anew("4294967295", "host");
}

static void older_version_begins_anew_at_the_same_sockets(void **state) {
    (void)state;
    begins_anew("0", "fork");
    begins_anew("0", "exec");
    begins_anew("0", "host");
}

static void same_version_goes_on(void **state) {
    (void)state;
    pid_t server = serve_another("1", "fork", NULL);

    upgrade(server);

    assert_reaches("generation 1 adopted 3.", 1);
    stops(server);
}

static void daemon_of_another_version_keeps_its_pid_file(void **state) {
    (void)state;
    pid_t launcher = serve_another("2", "fork", "daemon=pid");
    assert_int_equal(server_end(launcher), 0);
    pid_t server = (pid_t)report_number("generation 0 begins pid ", 0);
    int port = port_of();

    upgrade(server);

    assert_reaches("generation 1 daemonize 0.", 1);
    assert_begins_anew(server, port);
    stops(server);
    assert_int_equal(access("pid", F_OK), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(newer_version_begins_anew_at_the_same_sockets),
        executed_scenario_test(older_version_begins_anew_at_the_same_sockets),
        executed_scenario_test(same_version_goes_on),
        executed_scenario_test(daemon_of_another_version_keeps_its_pid_file),
    };

    return cmocka_run_group_tests_name("upgrades to another version", tests, NULL, NULL);
}
