/*
 * libuv.c - a supervisor in a libuv loop, and workers with loops too
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
#include <uv.h>

static pf_pool *pool;
static uv_timer_t timer;
static int alive = 1; /* 0: the pool is done; negative: it failed */

static void check(int result, const char *what) {
    if (result < 0) { /* libuv's codes are negative errno values, too */
        errx(EXIT_FAILURE, "%s: %s", what, pf_strerror(result));
    }
}

/* Not a uv_signal_t: in a worker its handler would write into the
 * supervisor's loop. There this one is told that the pool is not its own
 * (-ECHILD), and it is the worker that ends. */
static void handle_stop(int signal_number) {
    (void)signal_number;
    if (pf_pool_stop(pool) == -ECHILD) {
        _exit(EXIT_SUCCESS);
    }
}

static void work(uv_timer_t *handle) {
    (void)handle;
    printf("task %d, pid %d, is at work\n", pf_task_id(), getpid());
}

/* The whole life of a worker: what it returns is its exit status. It
 * makes a loop of its own. Of the supervisor's it has a copy, which it
 * must not touch, and into which it never returns. */
static int serve(int task_id, void *user) {
    uv_loop_t loop;
    uv_timer_t clock;
    (void)task_id; /* pf_task_id() tells it, too */
    (void)user;
    if (uv_loop_init(&loop) == 0 && uv_timer_init(&loop, &clock) == 0 &&
        uv_timer_start(&clock, work, 0, 1000) == 0) {
        uv_run(&loop, UV_RUN_DEFAULT); /* until SIGTERM */
    }
    return EXIT_FAILURE; /* the supervisor starts another worker */
}

static void count_workers(uv_timer_t *handle) {
    (void)handle;
    printf("%d workers alive\n", pf_pool_alive_count(pool));
}

static void supervise(uv_poll_t *watcher, int status, int events) {
    const pf_event *event;
    (void)events; /* UV_READABLE */
    check(status, "uv_poll_start");
    alive = pf_pool_dispatch(pool, 0);
    while (pf_pool_next_event(pool, &event) > 0) {
        puts(pf_event_message(event));
    }
    /* With nothing to wait for, uv_run() returns. */
    if (alive <= 0) {
        uv_poll_stop(watcher);
        uv_timer_stop(&timer);
    }
}

int main(void) {
    uv_loop_t *loop = uv_default_loop();
    uv_poll_t watcher;
    struct sigaction action = {.sa_handler = handle_stop,
                               .sa_flags = SA_RESTART};
    setvbuf(stdout, NULL, _IOLBF, 0);
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, 2), "pf_pool_set_workers");
    check(pf_pool_set_worker_fn(pool, serve, NULL, NULL),
          "pf_pool_set_worker_fn");
    check(pf_pool_set_backoff(pool, 100, 5000), "pf_pool_set_backoff");
    /* The first dispatch forks the workers. */
    check(pf_pool_start(pool), "pf_pool_start");
    if (sigaction(SIGTERM, &action, NULL) != 0 ||
        sigaction(SIGINT, &action, NULL) != 0) {
        err(EXIT_FAILURE, "sigaction");
    }
    check(uv_poll_init(loop, &watcher, pf_pool_fd(pool)),
          "uv_poll_init");
    check(uv_poll_start(&watcher, UV_READABLE, supervise),
          "uv_poll_start");
    check(uv_timer_init(loop, &timer), "uv_timer_init");
    check(uv_timer_start(&timer, count_workers, 1000, 1000),
          "uv_timer_start");
    uv_run(loop, UV_RUN_DEFAULT);
    pf_pool_free(pool);
    check(alive, "pf_pool_dispatch"); /* too many restarts, say */
    return EXIT_SUCCESS;
}
