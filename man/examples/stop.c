/*
 * stop.c - a signal handler that stops a pool, and then kills it
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pf_pool *pool;
static volatile sig_atomic_t alarms;

/* Neither call does more here than to wake the supervisor, which then
 * acts. */
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

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

int main(void) {
    struct sigaction action = {.sa_handler = handle_alarm,
                               .sa_flags = SA_RESTART};
    int task_id, result;
    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, 2));
    check(pf_pool_set_worker_fn(pool, wait_for_the_end, NULL, NULL));
    check(pf_pool_set_event_callback(pool, print_event, NULL, NULL));
    /* No time-out: without the second alarm the pool would wait for
     * worker 1 for ever. */
    check(pf_pool_set_stop(pool, SIGTERM, 0));
    check(sigaction(SIGALRM, &action, NULL) == 0 ? 0 : -errno);
    alarm(1);
    result = pf_pool_run(pool, &task_id);
    alarm(0); /* the handler must not see the pool once it is freed */
    pf_pool_free(pool);
    check(result);
    return EXIT_SUCCESS;
}
