/*
 * foreign.c - supervise any server that can take part in systemd
 *
 *   foreign PORT PROGRAM [ARGUMENT]...
 *
 * Two processes of the program share the socket of the port, which they
 * get as LISTEN_FDS. HUP replaces them one by one: an old one ends when
 * its successor has sent READY=1. If that does not come within 30 s the
 * old ones serve on. TERM stops them.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 2, BACKLOG = 128, READY_MS = 30000, STOP_MS = 30000 };

static void log_event(const pf_event *event, void *unused) {
    (void)unused;
    fprintf(stderr, "foreign: %s\n", pf_event_message(event));
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

int main(int argc, char **argv) {
    pf_pool *pool = NULL;
    int fds[8], task_id, result, stop_signal;
    if (argc < 3) {
        errx(EXIT_FAILURE, "usage: foreign PORT PROGRAM [ARGUMENT]...");
    }
    check(pf_bind_sockets("127.0.0.1", atoi(argv[1]), 0, BACKLOG, 0, fds,
                          8));
    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, WORKERS));
    /* env searches for the program; argv[1] is in place of its name. */
    check(pf_pool_set_exec(pool, "/usr/bin/env",
                           (const char *const *)argv + 1, NULL));
    check(pf_pool_set_foreign_workers(pool, 1));
    check(pf_pool_set_ready_timeout(pool, READY_MS));
    check(pf_pool_set_stop(pool, 15, STOP_MS)); /* SIGTERM */
    /* Some servers fork: their processes end with them. */
    check(pf_pool_set_process_groups(pool, PF_GROUP_KILL));
    check(pf_pool_set_boot_limit(pool, 3));
    check(pf_pool_set_event_callback(pool, log_event, NULL, NULL));
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));
    result = pf_pool_run(pool, &task_id);
    stop_signal = result == 0 ? pf_pool_stop_signal(pool) : 0;
    pf_pool_free(pool);
    check(result);
    return stop_signal == 0 ? 0 : pf_die_of_signal(stop_signal);
}
