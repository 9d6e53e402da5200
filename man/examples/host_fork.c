/*
 * host_fork.c - the host forks each worker when the pool asks for it
 *
 * Two workers say who they are. The first worker of slot 0 then ends
 * with status 3, so that another one is asked for; all others end with
 * status 0, and with them the pool.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int forks;

static int work(void) {
    printf("task %d works\n", pf_task_id());
    fflush(stdout);
    return pf_task_id() == 0 && forks < 3 ? 3 : EXIT_SUCCESS;
}

/* A language whose runtime has a function of its own for fork() calls
 * that function here. */
static void fork_worker(pf_pool *pool, int task_id) {
    fflush(NULL); /* what is buffered would be written twice */
    int result = pf_pool_fork_prepare(pool, task_id);
    if (result < 0) {
        return; /* the pool does not want this worker any more */
    }
    forks++;
    pid_t pid = fork();
    if (pid == 0) {
        if (pf_pool_fork_child(pool, task_id) < 0) {
            _exit(EXIT_FAILURE); /* nobody waits for it */
        }
        pf_pool_free(pool); /* only its memory */
        _exit(work());
    }
    result = pf_pool_fork_parent(pool, task_id, pid < 0 ? -errno : pid);
    if (result < 0) {
        /* The pool has killed the child. */
        warnx("task %d: %s", task_id, pf_strerror(result));
    }
}

static void check(int result, const char *what) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s: %s", what, pf_strerror(result));
    }
}

int main(void) {
    pf_pool *pool;
    const pf_event *event;
    int alive;

    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, 2), "pf_pool_set_workers");
    check(pf_pool_set_host_fork(pool, 1), "pf_pool_set_host_fork");
    check(pf_pool_start(pool), "pf_pool_start");
    do {
        /* In an event loop: 0, when pf_pool_fd() is readable. */
        alive = pf_pool_dispatch(pool, -1);
        while (pf_pool_next_event(pool, &event) > 0) {
            puts(pf_event_message(event));
            if (pf_event_type(event) == PF_EVENT_FORK_WANTED) {
                fork_worker(pool, pf_event_task_id(event));
            }
        }
    } while (alive > 0);
    pf_pool_free(pool);
    check(alive, "pf_pool_dispatch"); /* too many restarts, say */
    return EXIT_SUCCESS;
}
