/*
 * listen_fds.c - a server with sockets from systemd, or one of its own
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <poll.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKETS_MAX = 8, PORT = 8090 };

static void check(int result, const char *what) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s: %s", what, pf_strerror(result));
    }
}

static int get_sockets(int *fds) {
    int count = pf_listen_fds(fds, SOCKETS_MAX);
    check(count, "sockets from systemd");
    if (count == 0) {
        count = pf_bind_sockets("127.0.0.1", PORT, AF_INET, 0, 0, fds,
                                SOCKETS_MAX);
        check(count, "127.0.0.1 port 8090");
    }
    return count;
}

int main(void) {
    int fds[SOCKETS_MAX];
    struct pollfd sockets[SOCKETS_MAX];
    int count = get_sockets(fds);
    check(pf_fork_processes(2, 100), "pf_fork_processes");
    for (int i = 0; i < count; i++) {
        sockets[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    while (poll(sockets, (nfds_t)count, -1) >= 0) {
        for (int i = 0; i < count; i++) {
            int connection =
                sockets[i].revents != 0 ? pf_accept(fds[i]) : -1;
            if (connection >= 0) {
                dprintf(connection, "socket %d of %d\n", i + 1, count);
                close(connection);
            }
        }
    }
    perror("listen_fds: poll");
    return EXIT_FAILURE; /* the supervisor starts another worker */
}
