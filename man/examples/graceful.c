/*
 * graceful.c - workers that finish what they have begun before they end
 *
 * SPDX-License-Identifier: MIT
 *
 * Each worker does a piece of work, of 50 ms here, and asks in between whether it should end.
 * HUP replaces all workers, TERM ends the program; no piece of work is cut off.
 */
#include <errno.h>
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

static int run(pf_pool *pool) {
    int task_id = -1;
    int result = 0;

    do {
        result = pf_pool_run(pool, &task_id);
    } while (result == -EINTR);
    return result;
}

int main(void) {
    pf_pool *pool = NULL;
    int result = pf_pool_new(&pool);

    if (result == 0) {
        (void)pf_pool_set_workers(pool, 2);
        (void)pf_pool_set_worker_fn(pool, work, NULL, NULL);
        (void)pf_pool_set_event_callback(pool, log_event, NULL, NULL);
        (void)pf_pool_set_signals(pool, PF_SIGNALS_STANDARD);
        (void)pf_pool_set_stop(pool, 0, 10000); /* the descriptor tells, no signal */
        (void)pf_pool_set_ready_timeout(pool, 5000);
        (void)pf_pool_set_heartbeat_timeout(pool, 5000);
        result = run(pool);
    }
    if (result < 0) {
        fprintf(stderr, "graceful: %s\n", pf_strerror(result));
    }
    (void)pf_pool_free(pool);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
