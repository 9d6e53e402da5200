/*
 * resize.c - resize a pool, lose a worker, replace another one, stop
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <inttypes.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int started; /* workers, in all */

static int wait_for_the_end(int task_id, void *user) {
    (void)task_id, (void)user;
    while (pause() != 0) {
    }
    return EXIT_SUCCESS;
}

static void show_workers(const pf_pool *pool) {
    for (int task = 0; task < pf_pool_worker_count(pool); task++) {
        printf("  slot %d: state %d, pid %" PRId32
               ", %d restarts, up for %" PRIu64 " ms\n",
               task, pf_pool_worker_state(pool, task),
               pf_pool_worker_pid(pool, task),
               pf_pool_worker_restarts(pool, task),
               pf_pool_worker_uptime_ms(pool, task));
    }
}

/* Runs within pf_pool_run(), and may call the pool all the same. */
static void steer(const pf_event *event, void *user) {
    pf_pool *pool = user;
    int type = pf_event_type(event), result = 0;
    /* The number of this start. */
    int number = type == PF_EVENT_STARTED ? ++started : 0;
    printf("%s\n", pf_event_message(event));
    if (number == 2) {
        result = pf_pool_resize(pool, 3);
    } else if (number == 3) {
        /* The pool did not ask it to end, so it restarts it. */
        result = pf_pool_send_signal(pool, 2, SIGKILL);
    } else if (number == 4) {
        /* Takes a second, and does not count as a restart. */
        result = pf_pool_replace_worker(pool, 0);
    } else if (type == PF_EVENT_EXITED &&
               !pf_event_will_restart(event) && started == 5) {
        started = 0; /* the old worker of slot 0 has ended: enough */
        show_workers(pool);
        result = pf_pool_stop(pool);
    }
    if (result < 0) {
        fprintf(stderr, "resize: %s\n", pf_strerror(result));
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
    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, 2));
    check(pf_pool_set_worker_fn(pool, wait_for_the_end, NULL, NULL));
    check(pf_pool_set_event_callback(pool, steer, pool, NULL));
    result = pf_pool_run(pool, &task_id);
    pf_pool_free(pool);
    check(result);
    return EXIT_SUCCESS;
}
