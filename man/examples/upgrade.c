/*
 * upgrade.c - a server whose supervisor is upgraded by SIGUSR2
 *
 *   upgrade PORT
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 4 };

static pf_pool *pool;
static volatile sig_atomic_t upgrade_requested;
static int listener = -1;

static void request_upgrade(int signal) {
    (void)signal;
    upgrade_requested = 1;
    pf_pool_wake(pool);
}

static void check(int result) {
    if (result < 0) {
        errx(1, "%s", pf_strerror(result));
    }
}

static void answer(int connection) {
    static const char text[] = "HTTP/1.0 200 OK\r\n\r\nhello\n";
    struct pollfd request = {connection, POLLIN, 0};
    char buffer[1024];
    if (poll(&request, 1, 1000) == 1 &&
        read(connection, buffer, sizeof buffer) > 0) {
        (void)!write(connection, text, sizeof text - 1);
    }
    close(connection);
}

static int work(int task_id, void *user) {
    struct pollfd fds[2] = {{listener, POLLIN, 0},
                            {pf_worker_stop_fd(), POLLIN, 0}};
    (void)task_id;
    (void)user;
    while (fds[1].revents == 0) {
        int connection = pf_accept(listener);
        if (connection >= 0) {
            answer(connection);
        } else {
            poll(fds, 2, -1);
        }
    }
    return 0;
}

/* Executes the present version of this program in this process. */
static void upgrade(void) {
    int result = pf_upgrade(NULL, NULL, NULL);
    if (result == -EAGAIN) {
        upgrade_requested = 1; /* again after the events */
    } else {
        warnx("no upgrade: %s", pf_strerror(result));
    }
}

int main(int argc, char **argv) {
    struct sigaction action;
    const pf_event *event = NULL;
    int result = 1;

    if (argc != 2) {
        errx(1, "usage: upgrade PORT");
    }
    check(pf_bind_sockets("127.0.0.1", atoi(argv[1]), AF_INET, 0, 0,
                          &listener, 1));
    check(pf_pool_new(&pool));
    check(pf_pool_set_name(pool, "web"));
    check(pf_pool_set_workers(pool, WORKERS));
    check(pf_pool_set_worker_fn(pool, work, NULL, NULL));
    check(pf_pool_set_signals(pool, PF_SIGNALS_STOP_ONLY));
    memset(&action, 0, sizeof action);
    action.sa_handler = request_upgrade;
    sigaction(SIGUSR2, &action, NULL);
    check(pf_pool_start(pool));
    while (result == 1) {
        while (pf_pool_next_event(pool, &event) == 1) {
            printf("%s\n", pf_event_message(event));
            if (pf_event_type(event) == PF_EVENT_ADOPTED) {
                pf_pool_reload(
                    pool); /* the workers run the old program */
            }
        }
        fflush(stdout);
        if (upgrade_requested) {
            upgrade_requested = 0;
            upgrade();
        }
        result = pf_pool_dispatch(pool, -1);
    }
    pf_pool_free(pool);
    check(result);
    return 0;
}
