/*
 * libevent.c - a supervisor in a libevent loop, with a status socket
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pf_pool *pool;
static int alive = 1; /* 0: the pool is done; negative: it failed */

static void check(int result, const char *what) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s: %s", what, pf_strerror(result));
    }
}

/* Not an event of libevent: in a worker its handler would write into the
 * supervisor's loop. There this one is told that the pool is not its own
 * (-ECHILD), and it is the worker that ends. */
static void handle_stop(int signal_number) {
    (void)signal_number;
    if (pf_pool_stop(pool) == -ECHILD) {
        _exit(EXIT_SUCCESS);
    }
}

/* The whole life of a worker: what it returns is its exit status. It
 * never returns into the supervisor's loop, of which it has a copy: to
 * add or free events there would change the supervisor's. It may close
 * descriptors, and make an event_base of its own. */
static int serve(int task_id, void *status_listener) {
    (void)task_id;
    close(evconnlistener_get_fd(status_listener));
    return pause(); /* the work of the program; SIGTERM ends it */
}

static void tell_status(struct evconnlistener *listener,
                        evutil_socket_t connection,
                        struct sockaddr *address, int size, void *user) {
    (void)listener, (void)address, (void)size, (void)user;
    for (int id = 0; id < pf_pool_worker_count(pool); id++) {
        char line[64];
        int length =
            snprintf(line, sizeof line, "task %d, pid %d, restarts %d\n",
                     id, pf_pool_worker_pid(pool, id),
                     pf_pool_worker_restarts(pool, id));
        /* MSG_NOSIGNAL: the client may be gone. */
        (void)send(connection, line, (size_t)length, MSG_NOSIGNAL);
    }
    close(connection);
}

static void supervise(evutil_socket_t fd, short what, void *loop) {
    const pf_event *event;
    (void)fd, (void)what; /* pf_pool_fd(), EV_READ */
    alive = pf_pool_dispatch(pool, 0);
    while (pf_pool_next_event(pool, &event) > 0) {
        puts(pf_event_message(event));
    }
    if (alive <= 0) {
        event_base_loopbreak(loop);
    }
}

int main(void) {
    struct sigaction action = {.sa_handler = handle_stop,
                               .sa_flags = SA_RESTART};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address; /* port 0: any that is free */
    struct event_base *loop = event_base_new();
    check(loop != NULL ? 0 : -ENOMEM, "event_base_new");
    struct evconnlistener *listener = evconnlistener_new_bind(
        loop, tell_status, NULL, LEV_OPT_CLOSE_ON_EXEC, 8,
        (struct sockaddr *)&address, (int)size);
    if (listener == NULL ||
        getsockname(evconnlistener_get_fd(listener),
                    (struct sockaddr *)&address, &size) != 0) {
        err(EXIT_FAILURE, "status socket");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("status on port %d\n", ntohs(address.sin_port));
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, 2), "pf_pool_set_workers");
    check(pf_pool_set_worker_fn(pool, serve, listener, NULL),
          "pf_pool_set_worker_fn");
    check(pf_pool_set_backoff(pool, 100, 5000), "pf_pool_set_backoff");
    /* The first dispatch forks the workers. */
    check(pf_pool_start(pool), "pf_pool_start");
    struct event *event = event_new(
        loop, pf_pool_fd(pool), EV_READ | EV_PERSIST, supervise, loop);
    if (sigaction(SIGTERM, &action, NULL) != 0 ||
        sigaction(SIGINT, &action, NULL) != 0 || event == NULL ||
        event_add(event, NULL) != 0 || event_base_dispatch(loop) != 0) {
        err(EXIT_FAILURE, "event loop");
    }
    event_free(event);
    evconnlistener_free(listener);
    event_base_free(loop);
    pf_pool_free(pool);
    check(alive, "pf_pool_dispatch"); /* too many restarts, say */
    return EXIT_SUCCESS;
}
