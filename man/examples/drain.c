/*
 * drain.c - an echo server that finishes its connections when it stops
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <poll.h>
#include <prefork.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 2, IDLE_MS = 5000, STOP_MS = 10000 };

/* Until the client has closed its side, or sends nothing for a while. */
static void echo(int connection) {
    char text[4096];
    ssize_t size;
    struct pollfd input = {connection, POLLIN, 0};
    while (poll(&input, 1, IDLE_MS) == 1 &&
           (size = read(connection, text, sizeof text)) > 0 &&
           send(connection, text, (size_t)size, MSG_NOSIGNAL) == size) {
    }
    close(connection);
}

static int serve(int task_id, void *listener) {
    struct pollfd both[2] = {{*(int *)listener, POLLIN, 0},
                             {pf_worker_stop_fd(), POLLIN, 0}};
    (void)task_id;
    while (poll(both, 2, -1) > 0 && both[1].revents == 0) {
        int connection = pf_accept(both[0].fd);
        if (connection >= 0) {
            echo(connection); /* to its end, also during a stop */
        }
    }
    return EXIT_SUCCESS;
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

int main(int argc, char **argv) {
    pf_pool *pool = NULL;
    int listener, task_id, port = argc > 1 ? atoi(argv[1]) : 8090;
    check(
        pf_bind_sockets("127.0.0.1", port, AF_INET, 0, 0, &listener, 1));
    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, WORKERS));
    check(pf_pool_set_worker_fn(pool, serve, &listener, NULL));
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));
    check(pf_pool_set_stop(pool, 0, STOP_MS)); /* longer than IDLE_MS */
    check(pf_pool_run(pool, &task_id));
    pf_pool_free(pool);
    return EXIT_SUCCESS;
}
