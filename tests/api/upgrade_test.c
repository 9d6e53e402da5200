/*
 * upgrade_test.c - a supervisor executes another program in its place, and its workers serve on
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "upgrader.h"

enum { UPGRADES = 50, CLIENTS = 8 };

static const char *const default_options[] = {"workers=3", NULL};

/* ---- Workers stay ------------------------------------------------------------------------ */

static void upgrades_with(const char *way, const char *backend) {
    char way_option[32];
    char backend_option[32];
    (void)snprintf(way_option, sizeof(way_option), "way=%s", way);
    (void)snprintf(backend_option, sizeof(backend_option), "backend=%s", backend);
    const char *options[] = {"workers=3", "worker=0", way_option, backend_option, NULL};
    pid_t worker = 0;
    report_begin();
    pid_t server = serve(options);
    int port = port_of();
    assert_reaches("started slot", 3);
    for (unsigned generation = 1; generation <= 3; generation++) {
        upgrade(server);
        assert_reaches(text_of("generation %u adopted 3.", generation), 1);
        assert_reported("generation %u begins pid %d.", generation, (int)server);
    }
    assert_int_equal(report_number("generation 3 port ", 0), port);
    assert_int_equal(request_from(port, &worker), 0); /* a worker of the first program */
    assert_int_equal(report_count("exited"), 0);

    assert_int_equal(kill(worker, SIGKILL), 0);

    assert_reaches(text_of("pid %d status -1 signal 9.", (int)worker), 1);
    assert_reaches("started slot", 4);
    stops(server);
    assert_reported("generation 3 ends 0.");
    assert_int_equal(report_count("exited"), 4);
}

static void forked_workers_stay(void **state) {
    (void)state;
    upgrades_with("fork", "1");
    upgrades_with("fork", "2");
}

static void executed_workers_stay(void **state) {
    (void)state;
    upgrades_with("exec", "1");
    upgrades_with("exec", "2");
}

static void workers_that_the_host_forked_stay(void **state) {
    (void)state;
    upgrades_with("host", "1");
    upgrades_with("host", "2");
}

static void backend_may_change(void **state) {
    static const char *options[] = {"workers=2", "backend=1", NULL};
    (void)state;
    pid_t server = serve(options);
    assert_reaches("started slot", 2);
    set_next("workers=2\nbackend=2\n");

    upgrade(server);
    assert_reaches("generation 1 adopted 2.", 1);
    assert_int_equal(kill(worker_of(0, 0), SIGKILL), 0);
    assert_reaches("generation 1 exited slot 0", 1);
    set_next("workers=2\nbackend=1\n");
    upgrade(server);

    assert_reaches("generation 2 adopted 2.", 1);
    assert_int_equal(kill(worker_of(0, 1), SIGKILL), 0);
    assert_reaches("generation 2 exited slot 1", 1);
    stops(server);
}

static void several_pools_stay(void **state) {
    static const char *options[] = {"workers=2", "pools=3", NULL};
    (void)state;
    pid_t server = serve(options);
    assert_reaches("started slot", 6);

    upgrade(server);

    assert_reaches("generation 1 adopted 2.", 3);
    assert_int_equal(report_count("exited"), 0);
    assert_int_equal(kill(server, SIGTERM), 0);
    (void)server_end(server);
    assert_all_end();
}

static void own_number_of_workers_holds(void **state) {
    (void)state;
    pid_t server = serve(default_options);
    assert_reaches("started slot", 3);
    set_next("workers=1\n");

    upgrade(server);
    assert_reaches("generation 1 adopted 3.", 1);
    assert_reaches("generation 1 exited", 2);
    set_next("workers=2\n");
    upgrade(server);

    assert_reaches("generation 2 adopted 1.", 1);
    assert_reaches("generation 2 started slot 1", 1);
    stops(server);
}

/* ---- Ends ------------------------------------------------------------------------------- */

/* The supervisor is stopped while its worker is killed, and sees the end in its new program. */
static void worker_that_ends_meanwhile_is_reported_once(void **state) {
    (void)state;
    pid_t server = serve(default_options);
    assert_reaches("started slot", 3);
    assert_int_equal(kill(server, SIGSTOP), 0);
    assert_true(process_reaches_state(server, 'T'));
    upgrade(server);
    assert_int_equal(kill(worker_of(0, 1), SIGKILL), 0);
    assert_true(process_reaches_state(worker_of(0, 1), 'Z'));

    assert_int_equal(kill(server, SIGCONT), 0);

    assert_reaches("generation 1 adopted", 1);
    assert_reaches("started slot 1", 2);
    assert_int_equal(report_count(text_of("pid %d status -1 signal 9.", (int)worker_of(0, 1))), 1);
    stops(server);
}

static void program_that_ends_at_once_ends_the_workers(void **state) {
    (void)state;
    pid_t server = serve(default_options);
    assert_reaches("started slot", 3);
    set_next("exit=7\n");

    upgrade(server);

    int status = server_end(server);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    assert_all_end();
}

static void supervisor_that_is_killed_in_the_gap_leaves_no_worker(void **state) {
    (void)state;
    pid_t server = serve(default_options);
    assert_reaches("started slot", 3);
    set_next("hang=1\n");
    upgrade(server);
    assert_reaches("generation 1 hangs.", 1);

    assert_int_equal(kill(server, SIGKILL), 0);

    (void)server_end(server);
    assert_all_end();
}

static void stop_signal_in_the_gap_is_not_lost(void **state) {
    (void)state;
    pid_t server = serve(default_options);
    assert_reaches("started slot", 3);
    assert_int_equal(kill(server, SIGSTOP), 0);
    assert_true(process_reaches_state(server, 'T'));
    set_next("workers=3\nslow_ms=300\n");
    upgrade(server);
    assert_int_equal(kill(server, SIGCONT), 0);
    assert_reaches("generation 1 begins", 1);

    assert_int_equal(kill(server, SIGTERM), 0);

    assert_int_equal(server_end(server), 0);
    assert_reported("generation 1 adopted 3.");
    assert_int_equal(report_count("exited"), 3);
    assert_all_end();
}

static void pool_that_the_new_program_lacks_is_stopped(void **state) {
    static const char *options[] = {"workers=2", "pools=2", NULL};
    (void)state;
    pid_t server = serve(options);
    assert_reaches("started slot", 4);
    set_next("workers=2\nname=other\n");

    upgrade(server);

    assert_reaches("generation 1 starting 2.", 1);
    assert_reaches("generation 1 exited", 4);
    stops(server);
}

/* ---- Load ------------------------------------------------------------------------------- */

struct client {
    pthread_t thread;
    int port;
    volatile bool stops;
    unsigned answered;
    unsigned lost;
};

static void *request(void *argument) {
    struct client *client = argument;

    while (!client->stops) {
        pid_t worker = 0;
        if (request_from(client->port, &worker) >= 0) {
            client->answered++;
        } else {
            client->lost++;
        }
    }
    return NULL;
}

static void hundred_workers_lose_no_request_in_fifty_upgrades(void **state) {
    static const char *options[] = {"workers=100", "ready_ms=60000", "heartbeat_ms=60000", NULL};
    struct client clients[CLIENTS] = {{0}};
    (void)state;
    pid_t server = serve(options);
    int port = port_of();
    assert_reaches("event worker_ready", 100);
    for (int index = 0; index < CLIENTS; index++) {
        clients[index].port = port;
        assert_int_equal(pthread_create(&clients[index].thread, NULL, request, &clients[index]), 0);
    }

    for (unsigned generation = 1; generation <= UPGRADES; generation++) {
        copy_program(program_path("upgrader"), "server.new");
        assert_int_equal(rename("server.new", "server"), 0);
        upgrade(server);
        assert_reaches(text_of("generation %u adopted 100.", generation), 1);
    }

    unsigned answered = 0;
    for (int index = 0; index < CLIENTS; index++) {
        clients[index].stops = true;
        assert_int_equal(pthread_join(clients[index].thread, NULL), 0);
        assert_int_equal(clients[index].lost, 0);
        answered += clients[index].answered;
    }
    assert_true(answered > 0);
    assert_int_equal(report_count("exited"), 0);
    assert_reported("generation %d begins pid %d.", UPGRADES, (int)server);
    stops(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(forked_workers_stay),
        executed_scenario_test(executed_workers_stay),
        executed_scenario_test(workers_that_the_host_forked_stay),
        executed_scenario_test(backend_may_change),
        executed_scenario_test(several_pools_stay),
        executed_scenario_test(own_number_of_workers_holds),
        executed_scenario_test(worker_that_ends_meanwhile_is_reported_once),
        executed_scenario_test(program_that_ends_at_once_ends_the_workers),
        executed_scenario_test(supervisor_that_is_killed_in_the_gap_leaves_no_worker),
        executed_scenario_test(stop_signal_in_the_gap_is_not_lost),
        executed_scenario_test(pool_that_the_new_program_lacks_is_stopped),
        executed_scenario_test(hundred_workers_lose_no_request_in_fifty_upgrades),
    };

    return cmocka_run_group_tests_name("upgrades of the supervisor", tests, NULL, NULL);
}
