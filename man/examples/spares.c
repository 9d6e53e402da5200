/*
 * spares.c - a program with a long start-up is replaced at once
 *
 *   spares PORT
 *
 * Each process loads for 300 ms before it can serve. One spare has done
 * so ahead of need: it takes the slot of a worker that ends at once. HUP
 * replaces the workers one by one, TERM stops them.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 2, SPARES = 1, BACKLOG = 128, LOAD_US = 300000 };

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

static void serve(int listener, int task_id) {
    check(pf_worker_ready());
    for (;;) {
        char text[64];
        int client = accept(listener, NULL, NULL);
        if (client < 0) {
            continue;
        }
        snprintf(text, sizeof(text), "worker %d\n", task_id);
        if (write(client, text, strlen(text)) < 0) {
            warn("write");
        }
        close(client);
    }
}

int main(int argc, char **argv) {
    pf_pool *pool = NULL;
    int fds[8], task_id, result, stop_signal;
    if (argc != 2) {
        errx(EXIT_FAILURE, "usage: spares PORT");
    }
    check(pf_bind_sockets("127.0.0.1", atoi(argv[1]), 0, BACKLOG, 0, fds,
                          8));
    if (pf_worker_pool_name() != NULL) {
        usleep(LOAD_US); /* stands for the work of a real start-up */
    }
    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, WORKERS));
    check(pf_pool_set_spares(pool, SPARES));
    check(pf_pool_set_exec(pool, NULL, NULL, NULL)); /* this program */
    check(pf_pool_set_ready_timeout(pool, 10000));
    check(pf_pool_set_boot_limit(pool, 5));
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));
    result = pf_pool_run(pool, &task_id); /* a spare waits here */
    if (result == 0 && task_id >= 0) {
        serve(fds[0], task_id);
    }
    stop_signal = result == 0 ? pf_pool_stop_signal(pool) : 0;
    pf_pool_free(pool);
    check(result);
    return stop_signal == 0 ? 0 : pf_die_of_signal(stop_signal);
}
