/*
 * epoll.c - a supervisor in an epoll loop, which counts its workers
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static pf_pool *pool;

/* pf_pool_stop() makes the pool's descriptor readable, so the loop wakes
 * up. A worker inherits this handler; there the pool is not its own, the
 * answer is -ECHILD, and the worker ends. */
static void handle_stop(int signal_number) {
    (void)signal_number;
    if (pf_pool_stop(pool) == -ECHILD) {
        _exit(EXIT_SUCCESS);
    }
}

/* The whole life of a worker: what it returns is its exit status, and
 * main() goes on in the supervisor only. It leaves the loop alone, as
 * epoll_ctl() here would change the parent's. */
static int serve(int task_id, void *user) {
    char line[64];
    /* Shared: the kernel gives each connection to one worker. */
    int listener = *(int *)user;
    int length = snprintf(line, sizeof line, "task %d, pid %d\n",
                          task_id, getpid());
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection >= 0) {
            /* MSG_NOSIGNAL: the client may be gone. */
            (void)send(connection, line, (size_t)length, MSG_NOSIGNAL);
            close(connection);
        } else if (errno != ECONNABORTED) {
            /* The supervisor starts another worker. */
            return EXIT_FAILURE;
        }
    }
}

static void check(int result, const char *what) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s: %s", what, pf_strerror(result));
    }
}

static void watch(int loop, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0) {
        err(EXIT_FAILURE, "epoll_ctl");
    }
}

int main(void) {
    /* Port 0: any that is free. */
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    struct itimerspec each_second = {{1, 0}, {1, 0}};
    struct sigaction action = {.sa_handler = handle_stop,
                               .sa_flags = SA_RESTART};
    int loop = epoll_create1(EPOLL_CLOEXEC),
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
        alive = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (loop < 0 || timer < 0 ||
        timerfd_settime(timer, 0, &each_second, NULL) != 0 ||
        bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 128) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        err(EXIT_FAILURE, "epoll");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("listening on port %d\n", ntohs(address.sin_port));

    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, 2), "pf_pool_set_workers");
    check(pf_pool_set_worker_fn(pool, serve, &listener, NULL),
          "pf_pool_set_worker_fn");
    check(pf_pool_set_backoff(pool, 100, 5000), "pf_pool_set_backoff");
    /* The first dispatch forks the workers. */
    check(pf_pool_start(pool), "pf_pool_start");
    if (sigaction(SIGTERM, &action, NULL) != 0 ||
        sigaction(SIGINT, &action, NULL) != 0) {
        err(EXIT_FAILURE, "sigaction");
    }
    watch(loop, pf_pool_fd(pool));
    watch(loop, timer);
    while (alive > 0) {
        struct epoll_event ready;
        uint64_t times;
        const pf_event *event;
        /* The timers of the pool end the wait, too. */
        int count = epoll_wait(loop, &ready, 1, -1);
        if (count > 0 && ready.data.fd == timer &&
            read(timer, &times, sizeof times) > 0) {
            printf("%d workers alive\n", pf_pool_alive_count(pool));
        } else if (count > 0 && ready.data.fd == pf_pool_fd(pool)) {
            for (alive = pf_pool_dispatch(pool, 0);
                 pf_pool_next_event(pool, &event) > 0;) {
                puts(pf_event_message(event));
            }
        }
    }
    pf_pool_free(pool);
    check(alive, "pf_pool_dispatch"); /* too many restarts, say */
    return EXIT_SUCCESS;
}
