/*
 * graceful.c - workers that finish what they have begun before they end
 *
 * SPDX-License-Identifier: MIT
 *
 * Each worker does a piece of work, of 50 ms here, and asks in between
 * whether it should end. HUP replaces all workers, TERM ends the
 * program; no piece of work is cut off.
 */
#include <err.h>
#include <poll.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>

static void log_event(const pf_event *event, void *user) {
    (void)user;
    fprintf(stderr, "%s\n", pf_event_message(event));
}

static int work(int task_id, void *user) {
    int pieces = 0;
    struct pollfd stop = {.fd = pf_worker_stop_fd(), .events = POLLIN};

    (void)user;
    if (stop.fd < 0 || pf_worker_ready() < 0) {
        return EXIT_FAILURE;
    }
    while (poll(&stop, 1, 0) == 0) {
        (void)poll(NULL, 0, 50); /* a piece of work */
        pieces++;
        (void)pf_worker_heartbeat();
    }
    printf("worker %d: %d pieces, all finished\n", task_id, pieces);
    return EXIT_SUCCESS;
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

int main(void) {
    pf_pool *pool = NULL;
    int task_id, result;

    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, 2));
    check(pf_pool_set_worker_fn(pool, work, NULL, NULL));
    check(pf_pool_set_event_callback(pool, log_event, NULL, NULL));
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));
    /* No stop signal: the workers poll their stop descriptors. */
    check(pf_pool_set_stop(pool, 0, 10000));
    check(pf_pool_set_ready_timeout(pool, 5000));
    check(pf_pool_set_heartbeat_timeout(pool, 5000));
    result = pf_pool_run(pool, &task_id);
    pf_pool_free(pool);
    check(result);
    return EXIT_SUCCESS;
}
