/*
 * readiness.c - what it costs that workers tell when they are ready, and that they live
 *
 *   readiness [quick]
 *
 * Two pools live side by side. In one a worker counts as ready once it is started, in the other
 * it says so. In each round a worker of each of them is killed; the order changes from round to
 * round. Measured is the time from just before the kill to the event that tells that its
 * successor serves, STARTED or READY, and of a round the median. Then the second pool is reloaded,
 * one worker at a time and all at once. At last a worker counts heartbeats, each for itself, and
 * a system call beside them. Prints a table; nothing in it has a goal.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <prefork.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "series.h"

enum { WORKERS = 16, KILLS = 15, ROUNDS = 25, ROUNDS_QUICK = 9 };
enum { STARTED, READY, POOLS };
enum { DEADLINE_MS = 30000, CALLS = 1000000 };

static struct {
    double beat_ns;
    double call_ns;
} volatile *told; /* by the worker that counts */

/* A function of a worker's own that just waits for its end. */
static int serve(int task_id, void *user) {
    (void)task_id;
    (void)user;
    int result = pf_worker_ready();
    struct pollfd end = {pf_worker_stop_fd(), POLLIN, 0};
    while (result == 0 && poll(&end, 1, -1) < 0 && errno == EINTR) {
    }
    return result < 0;
}

static int count_heartbeats(int task_id, void *user) {
    (void)task_id;
    (void)user;
    (void)pf_worker_heartbeat(); /* the first one maps a page */
    uint64_t begin = now_ns();
    for (int i = 0; i < CALLS; i++) {
        (void)pf_worker_heartbeat();
    }
    uint64_t middle = now_ns();
    for (int i = 0; i < CALLS; i++) {
        (void)syscall(SYS_getppid);
    }
    told->beat_ns = (double)(middle - begin) / CALLS;
    told->call_ns = (double)(now_ns() - middle) / CALLS;
    return 0;
}

/* Dispatches until an event of that type has come so often. */
static void await(pf_pool *pool, int type, int count) {
    const pf_event *event;
    uint64_t limit = now_ns() + (uint64_t)DEADLINE_MS * 1000000U;
    while (count > 0) {
        check(pf_pool_dispatch(pool, DEADLINE_MS), "pf_pool_dispatch");
        while (pf_pool_next_event(pool, &event) == 1) {
            count -= pf_event_type(event) == type;
        }
        if (count > 0 && now_ns() > limit) {
            check(-ETIMEDOUT, "an event");
        }
    }
}

static pf_pool *make_pool(int workers, int (*work)(int, void *)) {
    pf_pool *pool = NULL;
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, workers), "pf_pool_set_workers");
    check(pf_pool_set_max_restarts(pool, PF_UNLIMITED), "pf_pool_set_max_restarts");
    check(pf_pool_set_stop(pool, 0, DEADLINE_MS), "pf_pool_set_stop");
    check(pf_pool_set_worker_fn(pool, work, NULL, NULL), "pf_pool_set_worker_fn");
    return pool;
}

/* The median of the microseconds that some replacements took. */
static double replace_some(pf_pool *pool, int type) {
    struct series times = {.count = 0};
    for (int i = 0; i < KILLS; i++) {
        pid_t pid = pf_pool_worker_pid(pool, i % WORKERS);
        uint64_t begin = now_ns();
        check(pid > 0 ? kill(pid, SIGKILL) : -ESRCH, "kill");
        await(pool, type, 1);
        series_add(&times, (double)(now_ns() - begin) / 1e3);
    }
    return series_quantile(&times, 0.5);
}

static double reload_ms(pf_pool *pool) {
    uint64_t begin = now_ns();
    check(pf_pool_reload(pool), "pf_pool_reload");
    await(pool, PF_EVENT_RELOADED, 1);
    return (double)(now_ns() - begin) / 1e6;
}

static double reloads_ms(int width, int rounds) {
    struct series times = {.count = 0};
    pf_pool *pool = make_pool(WORKERS, serve);
    check(pf_pool_set_ready_timeout(pool, DEADLINE_MS), "pf_pool_set_ready_timeout");
    check(pf_pool_set_replace_width(pool, width), "pf_pool_set_replace_width");
    check(pf_pool_start(pool), "pf_pool_start");
    await(pool, PF_EVENT_READY, WORKERS);
    for (int round = 0; round < rounds; round++) {
        series_add(&times, reload_ms(pool));
    }
    (void)pf_pool_free(pool);
    return series_quantile(&times, 0.5);
}

static void measure_heartbeats(void) {
    pf_pool *pool = make_pool(1, count_heartbeats);
    check(pf_pool_start(pool), "pf_pool_start");
    await(pool, PF_EVENT_DONE, 1);
    (void)pf_pool_free(pool);
}

int main(int argc, char **argv) {
    static const int types[POOLS] = {PF_EVENT_STARTED, PF_EVENT_READY};
    static struct series results[POOLS];
    int rounds = argc > 1 && strcmp(argv[1], "quick") == 0 ? ROUNDS_QUICK : ROUNDS;
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(told == MAP_FAILED ? -errno : 0, "mmap");
    pf_pool *pools[POOLS] = {make_pool(WORKERS, serve), make_pool(WORKERS, serve)};
    check(pf_pool_set_ready_timeout(pools[READY], DEADLINE_MS), "pf_pool_set_ready_timeout");
    for (int which = 0; which < POOLS; which++) {
        check(pf_pool_start(pools[which]), "pf_pool_start");
        await(pools[which], types[which], WORKERS);
    }
    for (int round = -1; round < rounds; round++) { /* the first one warms up */
        for (int turn = 0; turn < POOLS; turn++) {
            int which = round % 2 == 0 ? turn : POOLS - 1 - turn;
            double time_us = replace_some(pools[which], types[which]);
            if (round >= 0) {
                series_add(&results[which], time_us);
            }
        }
    }
    for (int which = 0; which < POOLS; which++) {
        (void)pf_pool_free(pools[which]);
    }
    struct series ratios = series_ratios(&results[READY], &results[STARTED]);
    printf("\n| readiness, %d workers | without | with | ratio (quartiles) |\n", WORKERS);
    printf("|---|---:|---:|---:|\n");
    printf("| a killed worker's successor is told of, us | %.0f | %.0f | %.2f (%.2f, %.2f) |\n",
           series_quantile(&results[STARTED], 0.5), series_quantile(&results[READY], 0.5),
           series_quantile(&ratios, 0.5), series_quantile(&ratios, 0.25),
           series_quantile(&ratios, 0.75));
    printf("| a reload of all, one at a time, ms | | %.1f | |\n", reloads_ms(1, rounds));
    printf("| a reload of all, at once, ms | | %.1f | |\n", reloads_ms(WORKERS, rounds));
    measure_heartbeats();
    printf("| a heartbeat beside a system call, ns | %.0f | %.1f | %.2f |\n", told->call_ns,
           told->beat_ns, told->beat_ns / told->call_ns);
    return EXIT_SUCCESS;
}
