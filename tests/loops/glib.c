/*
 * glib.c - a supervisor in the main loop of GLib, as the examples have it for other loops
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <glib-unix.h>
#include <glib.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pf_pool *pool;
static GMainLoop *loop;
static int alive = 1; /* 0: the pool is done; negative: it failed */

static void check(int result, const char *what) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s: %s", what, pf_strerror(result));
    }
}

/* Not g_unix_signal_add(), which starts a thread, beside which no worker may be forked. */
static void handle_stop(int signal_number) {
    (void)signal_number;
    if (pf_pool_stop(pool) == -ECHILD) {
        _exit(EXIT_SUCCESS); /* a worker, which has the handler from the supervisor */
    }
}

static gboolean work(gpointer user) {
    (void)user; /* none */
    printf("task %d, pid %d, is at work\n", pf_task_id(), getpid());
    return G_SOURCE_CONTINUE;
}

/* A worker makes a context of its own; the default one is a copy of the supervisor's. */
static int serve(int task_id, void *user) {
    GMainContext *context = g_main_context_new();
    GSource *clock = g_timeout_source_new(1000);
    (void)task_id; /* pf_task_id() tells it, too */
    (void)user;    /* none */
    g_source_set_callback(clock, work, NULL, NULL);
    (void)g_source_attach(clock, context); /* its number is not needed */
    (void)work(NULL);                      /* at once, and each second */
    g_main_loop_run(g_main_loop_new(context, FALSE));
    return EXIT_FAILURE;
}

static gboolean count_workers(gpointer user) {
    (void)user; /* none */
    printf("%d workers alive\n", pf_pool_alive_count(pool));
    return G_SOURCE_CONTINUE;
}

static gboolean supervise(gint fd, GIOCondition condition, gpointer user) {
    const pf_event *event;
    (void)fd, (void)user;
    check(condition == G_IO_IN ? 0 : -EBADF, "g_unix_fd_add");
    alive = pf_pool_dispatch(pool, 0);
    while (pf_pool_next_event(pool, &event) > 0) {
        puts(pf_event_message(event));
    }
    if (alive > 0) {
        return G_SOURCE_CONTINUE;
    }
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

int main(void) {
    struct sigaction action = {.sa_handler = handle_stop, .sa_flags = SA_RESTART};
    setvbuf(stdout, NULL, _IOLBF, 0);
    loop = g_main_loop_new(NULL, FALSE);
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, 2), "pf_pool_set_workers");
    check(pf_pool_set_worker_fn(pool, serve, NULL, NULL), "pf_pool_set_worker_fn");
    check(pf_pool_set_backoff(pool, 100, 5000), "pf_pool_set_backoff");
    check(pf_pool_start(pool), "pf_pool_start");
    if (sigaction(SIGTERM, &action, NULL) != 0 || sigaction(SIGINT, &action, NULL) != 0) {
        err(EXIT_FAILURE, "sigaction");
    }
    (void)g_unix_fd_add(pf_pool_fd(pool), G_IO_IN, supervise, NULL); /* removed by its result */
    guint timer = g_timeout_add(1000, count_workers, NULL);
    g_main_loop_run(loop);
    g_source_remove(timer);
    g_main_loop_unref(loop);
    pf_pool_free(pool);
    check(alive, "pf_pool_dispatch");
    return EXIT_SUCCESS;
}
