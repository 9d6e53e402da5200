/*
 * A pool in an event loop, as a program uses it: the loop is epoll, which has nothing else to do,
 * and all events are taken.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE

#include "task.h"

#include <prefork.h>
#include <signal.h>
#include <sys/epoll.h>

static pf_pool *pool;

static void ask_stop(int signal_number) {
    (void)signal_number; /* TERM is the only one */
    (void)pf_pool_stop(pool);
}

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "pool: %s: %s\n", what, pf_strerror(result));
        exit(1);
    }
}

static int work(int task_id, void *user) {
    signal(SIGTERM, SIG_DFL);
    task_work(user, (uint32_t)task_id);
    return 0;
}

static uint64_t event_count;

int main(int argc, char **argv) {
    struct task task = task_read(argc, argv);
    struct epoll_event interest = {.events = EPOLLIN};
    struct epoll_event ready;
    const pf_event *event;
    int alive = 1;
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, (int)task.workers), "pf_pool_set_workers");
    check(pf_pool_set_max_restarts(pool, PF_UNLIMITED), "pf_pool_set_max_restarts");
    check(pf_pool_set_worker_fn(pool, work, &task, NULL), "pf_pool_set_worker_fn");
    task_begin(&task);
    check(pf_pool_start(pool), "pf_pool_start");
    signal(SIGTERM, ask_stop);
    int loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, pf_pool_fd(pool), &interest) != 0) {
        perror("pool: epoll");
        return 1;
    }
    while (alive == 1) {
        if (epoll_wait(loop, &ready, 1, -1) == 1) {
            alive = pf_pool_dispatch(pool, 0);
            while (pf_pool_next_event(pool, &event) == 1) {
                event_count++;
            }
        }
    }
    check(alive, "pf_pool_dispatch");
    pf_pool_free(pool);
    return 0;
}
