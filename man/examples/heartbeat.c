/*
 * heartbeat.c - a worker that never gets ready and one that hangs are found out and replaced
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORKERS = 2, TIMEOUT_MS = 2000, STEP_US = 20000 };
static int ended[WORKERS]; /* how many in each slot; new workers inherit the numbers */

static int work(int task_id, void *user) {
    (void)user;
    if (task_id == 0 && ended[0] == 0) {
        pause(); /* say, for a server that does not answer */
    }
    int result = pf_worker_ready(); /* connected, the caches filled */
    for (int step = 0; result == 0; step++) {
        if (task_id == 1 && ended[1] == 0 && step == 10) {
            pause(); /* a deadlock */
        }
        usleep(STEP_US); /* one step of the work */
        result = pf_worker_heartbeat();
    }
    fprintf(stderr, "heartbeat: %s\n", pf_strerror(result));
    return EXIT_FAILURE;
}

/* Stops the pool when both have been replaced, and the new ones are ready. */
static void steer(const pf_event *event, void *user) {
    static int good;
    int type = pf_event_type(event), task_id = pf_event_task_id(event);
    printf("%s\n", pf_event_message(event));
    if (type == PF_EVENT_EXITED) {
        ended[task_id]++;
    }
    if (type == PF_EVENT_READY && ended[task_id] > 0 && ++good == WORKERS) {
        pf_pool_stop(user);
    }
}

int main(void) {
    pf_pool *pool = NULL;
    int task_id, result = pf_pool_new(&pool);
    setvbuf(stdout, NULL, _IOLBF, 0);
    result = result < 0 ? result : pf_pool_set_workers(pool, WORKERS);
    result = result < 0 ? result : pf_pool_set_worker_fn(pool, work, NULL, NULL);
    result = result < 0 ? result : pf_pool_set_event_callback(pool, steer, pool, NULL);
    result = result < 0 ? result : pf_pool_set_ready_timeout(pool, TIMEOUT_MS);
    result = result < 0 ? result : pf_pool_set_heartbeat_timeout(pool, TIMEOUT_MS);
    if (result == 0) {
        do {
            result = pf_pool_run(pool, &task_id);
        } while (result == -EINTR);
    }
    if (result < 0) {
        fprintf(stderr, "heartbeat: %s\n", pf_strerror(result));
    }
    pf_pool_free(pool);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
