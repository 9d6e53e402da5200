/*
 * upgrade_threads.c - a program with a pool in each of two threads, which executes itself again
 *
 *     upgrade_threads GENERATION LAST
 *
 * In the fourth one the first thread tries to do so while the second one starts its pool: before it
 * has adopted it, and after that. Every other program has a third pool, and sockets, that the next
 * one does not want. Exits with 0 if the last one has both pools as the first one had them.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "prefork.h"
#include "process.h"

enum { POOLS = 2, SOCKETS = 12, TURN_MS = 5, TURNS_MAX = 2000, HELD = 3 };
enum { BEFORE_ADOPTION = 1, AFTER_ADOPTION };

static int generation;

static pf_pool *pools[POOLS];
static atomic_int waiting; /* threads that are about to dispatch */

static __thread bool is_held_in_start;
static atomic_int reached; /* the place where the start is held */
static atomic_int left;    /* the last place where it may go on */

static void check(bool is_good, const char *what) {
    if (!is_good) {
        (void)fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static void hold_at(int place) {
    if (is_held_in_start && atomic_load(&reached) == place - 1) {
        atomic_store(&reached, place);
        for (int look = 0; atomic_load(&left) < place && look < TURNS_MAX; look++) {
            pause_ms(TURN_MS);
        }
    }
}

/* That of the library: when a start has claimed its pool and has not adopted it yet. */
int epoll_create1(int flags) {
    hold_at(BEFORE_ADOPTION);
    return (int)syscall(SYS_epoll_create1, flags);
}

/* And when it watches the worker that it has adopted. */
int epoll_ctl(int epoll, int operation, int descriptor, struct epoll_event *event) {
    if (operation == EPOLL_CTL_ADD && event != NULL && (event->events & EPOLLONESHOT) != 0) {
        hold_at(AFTER_ADOPTION);
    }
    return (int)syscall(SYS_epoll_ctl, epoll, operation, descriptor, event);
}

static int work(int task_id, void *user) {
    (void)task_id;
    (void)user;
    wait_for_ever();
    return 0;
}

static void ignore_event(const pf_event *event, void *user) {
    (void)event;
    (void)user;
}

static pf_pool *start_pool(const char *name) {
    pf_pool *pool = NULL;

    check(pf_pool_new(&pool) == 0, "no pool");
    (void)pf_pool_set_name(pool, name);
    (void)pf_pool_set_workers(pool, 1);
    (void)pf_pool_set_worker_fn(pool, work, NULL, NULL);
    (void)pf_pool_set_event_callback(pool, ignore_event, NULL, NULL);
    (void)pf_pool_set_thread_policy(pool, PF_THREADS_ALLOW);
    check(pf_pool_start(pool) == 0, "no start");
    return pool;
}

/* Ends in both threads at the same moment. */
static void meet(void) {
    (void)atomic_fetch_add(&waiting, 1);
    for (unsigned look = 1; atomic_load(&waiting) < POOLS; look++) {
        if (look % 4096 == 0) { /* else without a pause: both go on at once */
            (void)sched_yield();
        }
    }
}

/* The second pool begins before the first one waits, or meanwhile. */
static void *run_second(void *is_late) {
    meet();
    if (*(const bool *)is_late) {
        is_held_in_start = generation == HELD;
        pools[1] = start_pool("second");
    }
    check(pf_pool_dispatch(pools[1], 0) == 1, "no second dispatch");
    return NULL;
}

static int alive(void) { return pf_pool_alive_count(pools[0]) + pf_pool_alive_count(pools[1]); }

/* The next program would not hear of the second pool. */
static void try_upgrade_amid_start(const char *const *arguments) {
    for (int place = BEFORE_ADOPTION; place <= AFTER_ADOPTION; place++) {
        for (int look = 0; atomic_load(&reached) < place; look++) {
            check(look < TURNS_MAX, "the start does not come there");
            pause_ms(TURN_MS);
        }
        check(pf_pool_dispatch(pools[0], 0) == 1, "no dispatch beside a start");
        check(pf_upgrade(NULL, arguments, NULL) == -EBUSY, "an upgrade amid a start is accepted");
        atomic_store(&left, place);
    }
}

static void leave_something(void) {
    int listener = -1;

    check(pf_pool_dispatch(start_pool("unwanted"), 0) == 1, "no third pool");
    for (int i = 0; i < SOCKETS; i++) {
        check(pf_bind_sockets("127.0.0.1", 0, AF_INET, 0, 0, &listener, 1) == 1, "no socket");
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    generation = (int)strtol(argv[1], NULL, 10);
    char next[16];
    (void)snprintf(next, sizeof(next), "%d", generation + 1);
    const char *const arguments[] = {argv[0], next, argv[2], NULL};
    pthread_t thread;
    pools[0] = start_pool("first");
    bool is_late = generation % 4 == 3;
    if (!is_late) {
        pools[1] = start_pool("second");
    }
    check(pthread_create(&thread, NULL, run_second, &is_late) == 0, "no thread");
    meet();
    if (generation == HELD) {
        try_upgrade_amid_start(arguments);
    }
    for (volatile int delay = is_late ? generation * 91 % 9000 : 0; delay > 0; delay--) {
    }
    check(pf_pool_dispatch(pools[0], 0) == 1, "no first dispatch");
    check(pthread_join(thread, NULL) == 0, "no join");
    for (int turn = 0; alive() != POOLS && turn < TURNS_MAX; turn++) {
        (void)pf_pool_dispatch(pools[turn % POOLS], TURN_MS);
    }
    check(alive() == POOLS, "other workers than those of both pools");
    if (generation >= (int)strtol(argv[2], NULL, 10)) {
        (void)pf_pool_free(pools[0]);
        (void)pf_pool_free(pools[1]);
        return 0;
    }
    if (generation % 2 == 0) {
        leave_something();
    }
    check(false, pf_strerror(pf_upgrade(NULL, arguments, NULL)));
}
