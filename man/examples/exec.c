/*
 * exec.c - an HTTP server whose workers execute this program anew
 *
 *   exec [PORT]
 *
 * The workers would run as well if this program had threads, or a
 * runtime that cannot fork. Kill one: its successor is whatever the
 * file of this program holds by then, and no connection is refused
 * meanwhile. SIGTERM or Ctrl-C stops all.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 2, BACKLOG = 128 };

static int fail(const char *what) {
    perror(what);
    return EXIT_FAILURE;
}

/* Answers one connection after the other until SIGTERM ends it. */
static int serve(int task_id, int listener) {
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0 && errno != EINTR && errno != ECONNABORTED) {
            return fail("exec: accept");
        }
        char request[4096];
        if (connection >= 0 &&
            read(connection, request, sizeof(request)) > 0) {
            dprintf(
                connection,
                "HTTP/1.0 200 OK\r\n\r\nHello from worker %d, pid %d\n",
                task_id, (int)getpid());
        }
        if (connection >= 0) {
            close(connection);
        }
    }
}

/* Listens on 127.0.0.1 and says where. Only the supervisor does. */
static int listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((in_port_t)port)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 ||
        listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        return -errno;
    }
    printf("http://127.0.0.1:%d/\n", ntohs(address.sin_port));
    return fflush(stdout) == 0 ? fd : -errno;
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

int main(int argc, char **argv) {
    pf_pool *pool = NULL;
    int task_id, result, stop_signal;
    check(pf_pool_new(&pool));
    if (pf_task_id() < 0) { /* not in a worker */
        int listener = listen_on(argc > 1 ? atoi(argv[1]) : 8090);
        check(listener);
        check(pf_pool_add_fd(pool, "http", listener));
        check(pf_pool_set_workers(pool, WORKERS));
        check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));
        check(pf_pool_set_exec(pool, NULL, NULL, NULL));
    }
    result = pf_pool_run(pool, &task_id);
    if (result == 0 && task_id >= 0) { /* in a worker, at once */
        return serve(task_id, pf_worker_fd("http"));
    }
    stop_signal = result == 0 ? pf_pool_stop_signal(pool) : 0;
    pf_pool_free(pool);
    check(result);
    /* So that whoever started this program sees what ended it. */
    return stop_signal == 0 ? 0 : pf_die_of_signal(stop_signal);
}
