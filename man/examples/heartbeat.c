/*
 * heartbeat.c - replace workers that do not get ready, or hang
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORKERS = 2, TIMEOUT_MS = 2000, STEP_US = 20000 };

/* How many workers of each slot have ended. New workers inherit it. */
static int ended[WORKERS];

static int work(int task_id, void *user) {
    (void)user;
    if (task_id == 0 && ended[0] == 0) {
        pause(); /* such as for a server that does not answer */
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

/* Stops the pool when both new workers are ready. */
static void steer(const pf_event *event, void *user) {
    static int good;
    int type = pf_event_type(event), task_id = pf_event_task_id(event);
    printf("%s\n", pf_event_message(event));
    if (type == PF_EVENT_EXITED) {
        ended[task_id]++;
    }
    if (type == PF_EVENT_READY && ended[task_id] > 0 &&
        ++good == WORKERS) {
        pf_pool_stop(user);
    }
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

int main(void) {
    pf_pool *pool = NULL;
    int task_id, result;
    setvbuf(stdout, NULL, _IOLBF, 0);
    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, WORKERS));
    check(pf_pool_set_worker_fn(pool, work, NULL, NULL));
    check(pf_pool_set_event_callback(pool, steer, pool, NULL));
    check(pf_pool_set_ready_timeout(pool, TIMEOUT_MS));
    check(pf_pool_set_heartbeat_timeout(pool, TIMEOUT_MS));
    result = pf_pool_run(pool, &task_id);
    pf_pool_free(pool);
    check(result);
    return EXIT_SUCCESS;
}
