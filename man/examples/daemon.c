/*
 * daemon.c - a server that becomes a daemon, or that systemd or a container runs
 *
 * SPDX-License-Identifier: MIT
 *
 *   daemon PORT PID_FILE   ends with status 0 once the daemon serves; else it says why not
 *   daemon PORT            stays in the foreground and tells NOTIFY_SOCKET how it is
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* SIGTERM is let through while the worker waits, so that it never cuts an answer off. */
static int serve(int task_id, void *user) {
    struct pollfd listener = {.fd = *(int *)user, .events = POLLIN};
    sigset_t stop, others;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &stop, &others) != 0 || signal(SIGINT, SIG_IGN) == SIG_ERR) {
        return EXIT_FAILURE;
    }
    for (;;) {
        char buffer[4096];
        int waited = ppoll(&listener, 1, NULL, &others);
        int connection = waited == 1 ? accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (connection >= 0 && read(connection, buffer, sizeof buffer) > 0) {
            int length = snprintf(buffer, sizeof buffer,
                                  "HTTP/1.0 200 OK\r\n\r\nHello from task %d\n", task_id);
            (void)send(connection, buffer, (size_t)length, MSG_NOSIGNAL); /* it may be gone */
        }
        if (connection >= 0) {
            close(connection);
        } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            return EXIT_FAILURE; /* and another worker is started in its place */
        }
    }
}

static int listen_on(const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, SOMAXCONN) != 0) {
        err(EXIT_FAILURE, "port %s", port); /* the launching command ends with status 1 too */
    }
    return fd;
}

static int set_up(pf_pool *pool, int *listener) {
    int result = pf_pool_set_worker_fn(pool, serve, listener, NULL);
    result = result < 0 ? result : pf_pool_set_signals(pool, PF_SIGNALS_STANDARD);
    result = result < 0 ? result : pf_pool_set_backoff(pool, 100, 5000);
    result = result < 0 ? result : pf_pool_set_reap_orphans(pool, getpid() == 1);
    return result < 0 ? result : pf_pool_set_notify(pool, 1);
}

int main(int argc, char **argv) {
    pf_pool *pool = NULL;
    int task_id = -1, result = 0;
    if (argc < 2 || argc > 3) {
        errx(2, "usage: daemon PORT [PID_FILE]");
    }
    if (argc == 3 && (result = pf_daemonize(argv[2])) < 0) {
        errx(EXIT_FAILURE, "%s: %s", argv[2],
             result == -EEXIST ? "already running" : pf_strerror(result));
    }
    int listener = listen_on(argv[1]);
    result = pf_pool_new(&pool);
    if (result == 0 && (result = set_up(pool, &listener)) == 0) {
        do {
            result = pf_pool_run(pool, &task_id); /* ready, once all workers are */
        } while (result == -EINTR);
    }
    pf_pool_free(pool);
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
    return EXIT_SUCCESS; /* which removes the pid file */
}
