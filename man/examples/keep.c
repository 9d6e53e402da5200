/*
 * keep.c - keep some copies of any program running
 *
 * SPDX-License-Identifier: MIT
 *
 * keep NAME COUNT PROGRAM [ARGUMENT]... The program needs to know
 * nothing of this library. It is searched for by env(1), which keeps the
 * process id. TERM stops all copies, HUP replaces them, TTIN and TTOU
 * change their number.
 */
#define _GNU_SOURCE
#include <err.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>

static void log_event(const pf_event *event, void *name) {
    fprintf(stderr, "%s: %s\n", (const char *)name,
            pf_event_message(event));
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

int main(int argc, char **argv) {
    pf_pool *pool = NULL;
    int task_id, result, stop_signal;
    if (argc < 4) {
        errx(EXIT_FAILURE,
             "usage: keep NAME COUNT PROGRAM [ARGUMENT]...");
    }
    check(pf_pool_new(&pool));
    check(pf_pool_set_name(pool, argv[1]));
    check(pf_pool_set_workers(pool, atoi(argv[2])));
    /* argv[2] takes the place of the name of env. */
    check(pf_pool_set_exec(pool, "/usr/bin/env",
                           (const char *const *)argv + 2, NULL));
    check(pf_pool_set_event_callback(pool, log_event, argv[1], NULL));
    check(pf_pool_set_restart_policy(pool, PF_RESTART_ALWAYS));
    check(pf_pool_set_backoff(pool, 100, 5000));
    check(pf_pool_set_max_restarts(pool, PF_UNLIMITED));
    /* env has not found the program. */
    check(pf_pool_set_exit_action(pool, 127, PF_EXIT_FATAL));
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));
    check(pf_pool_set_process_groups(pool, 1));
    result = pf_pool_run(pool, &task_id);
    stop_signal = result == 0 ? pf_pool_stop_signal(pool) : 0;
    pf_pool_free(pool);
    check(result);
    return stop_signal == 0 ? 0 : pf_die_of_signal(stop_signal);
}
