/*
 * recycle.c - workers that are replaced after a number of requests
 *
 * SPDX-License-Identifier: MIT
 *
 * A worker also asks for its replacement when it has grown too large.
 * It serves on until the new worker is ready, so nothing is lost.
 */
#define _GNU_SOURCE
#include <err.h>
#include <poll.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { WORKERS = 2, REQUESTS = 20, MEMORY_KIB = 256 * 1024 };

static long memory_kib(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

static int serve(int task_id, void *user) {
    int requests = 0;
    struct pollfd stop = {pf_worker_stop_fd(), POLLIN, 0};
    (void)user;
    if (pf_worker_ready() < 0) {
        return EXIT_FAILURE;
    }
    while (poll(&stop, 1, 0) == 0) {
        (void)poll(NULL, 0, 10); /* a request */
        requests++;
        if (requests == REQUESTS || memory_kib() > MEMORY_KIB) {
            (void)pf_worker_retire(); /* once is enough */
        }
    }
    printf("worker %d: %d requests\n", task_id, requests);
    return EXIT_SUCCESS;
}

static void log_event(const pf_event *event, void *user) {
    (void)user;
    fprintf(stderr, "%s%s\n", pf_event_message(event),
            pf_event_reason(event) == PF_REASON_RETIRE ? " (retired)"
                                                       : "");
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

int main(void) {
    pf_pool *pool = NULL;
    int task_id;
    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, WORKERS));
    check(pf_pool_set_worker_fn(pool, serve, NULL, NULL));
    check(pf_pool_set_event_callback(pool, log_event, NULL, NULL));
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));
    check(pf_pool_set_stop(pool, 0, 10000));
    check(pf_pool_run(pool, &task_id));
    pf_pool_free(pool);
    return EXIT_SUCCESS;
}
