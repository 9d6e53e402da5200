/*
 * stop.c - a signal handler that stops a pool, and kills what has not ended a second later
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pf_pool *pool;
static volatile sig_atomic_t alarms;

/* Neither call does more here than to wake the supervisor, which then acts. */
static void handle_alarm(int number) {
    (void)number;
    if (alarms++ == 0) {
        pf_pool_stop(pool);
        alarm(1);
    } else {
        pf_pool_kill(pool);
    }
}

/* Worker 0 dies of SIGTERM. Worker 1 does not care. */
static int wait_for_the_end(int task_id, void *user) {
    (void)user;
    if (task_id == 1) {
        signal(SIGTERM, SIG_IGN);
    }
    while (pause() != 0) {
    }
    return EXIT_SUCCESS;
}

static void print_event(const pf_event *event, void *user) {
    (void)user;
    printf("%s\n", pf_event_message(event));
}

int main(void) {
    struct sigaction action = {.sa_handler = handle_alarm, .sa_flags = SA_RESTART};
    int task_id, result = pf_pool_new(&pool);
    result = result < 0 ? result : pf_pool_set_workers(pool, 2);
    result = result < 0 ? result : pf_pool_set_worker_fn(pool, wait_for_the_end, NULL, NULL);
    result = result < 0 ? result : pf_pool_set_event_callback(pool, print_event, NULL, NULL);
    /* No time-out: without the second alarm the pool would wait for worker 1 for ever. */
    result = result < 0 ? result : pf_pool_set_stop(pool, SIGTERM, 0);
    if (result == 0 && sigaction(SIGALRM, &action, NULL) == 0) {
        alarm(1);
        do {
            result = pf_pool_run(pool, &task_id);
        } while (result == -EINTR);
    }
    alarm(0); /* the handler must not see the pool once it is freed */
    pf_pool_free(pool);
    if (result < 0) {
        fprintf(stderr, "stop: %s\n", pf_strerror(result));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
