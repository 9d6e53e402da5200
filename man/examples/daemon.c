/*
 * daemon.c - a server to run as a daemon, by systemd or in a container
 *
 * SPDX-License-Identifier: MIT
 *
 *   daemon PORT PID_FILE   ends when the daemon serves, or says why not
 *   daemon PORT            stays in the foreground, tells NOTIFY_SOCKET
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

/* SIGTERM is let through while the worker waits, so that it never cuts
 * an answer off. */
static int serve(int task_id, void *user) {
    struct pollfd listener = {.fd = *(int *)user, .events = POLLIN};
    sigset_t stop, others;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &stop, &others) != 0 ||
        signal(SIGINT, SIG_IGN) == SIG_ERR) {
        return EXIT_FAILURE;
    }
    for (;;) {
        char buffer[4096];
        int waited = ppoll(&listener, 1, NULL, &others);
        int connection =
            waited == 1 ? accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC)
                        : -1;
        if (connection >= 0 &&
            read(connection, buffer, sizeof buffer) > 0) {
            int length = snprintf(
                buffer, sizeof buffer,
                "HTTP/1.0 200 OK\r\n\r\nHello from task %d\n", task_id);
            /* MSG_NOSIGNAL: the client may be gone. */
            (void)send(connection, buffer, (size_t)length, MSG_NOSIGNAL);
        }
        if (connection >= 0) {
            close(connection);
        } else if (errno != EAGAIN && errno != EINTR &&
                   errno != ECONNABORTED) {
            /* The supervisor starts another worker. */
            return EXIT_FAILURE;
        }
    }
}

static int listen_on(const char *port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int on = 1;
    int fd =
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, SOMAXCONN) != 0) {
        /* The launching command ends with status 1 too. */
        err(EXIT_FAILURE, "port %s", port);
    }
    return fd;
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

static void set_up(pf_pool *pool, int *listener) {
    check(pf_pool_set_worker_fn(pool, serve, listener, NULL));
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));
    check(pf_pool_set_backoff(pool, 100, 5000));
    if (getpid() == 1) {
        check(pf_pool_set_reap_orphans(pool, PF_REAP_ALL));
    }
    check(pf_pool_set_manager_notify(pool, 1));
}

int main(int argc, char **argv) {
    pf_pool *pool = NULL;
    int task_id, result;
    if (argc < 2 || argc > 3) {
        errx(2, "usage: daemon PORT [PID_FILE]");
    }
    if (argc == 3 && (result = pf_daemonize(argv[2])) < 0) {
        errx(EXIT_FAILURE, "%s: %s", argv[2],
             result == -EEXIST ? "already running"
                               : pf_strerror(result));
    }
    int listener = listen_on(argv[1]);
    check(pf_pool_new(&pool));
    set_up(pool, &listener);
    /* The daemon is ready when all workers are. */
    result = pf_pool_run(pool, &task_id);
    pf_pool_free(pool);
    check(result);
    return EXIT_SUCCESS; /* which removes the pid file */
}
