/*
 * bind_sockets.c - listen at all addresses of a host and at a path
 *
 * SPDX-License-Identifier: MIT
 *
 *   bind_sockets [PATH [HOST]]
 */
#define _GNU_SOURCE
#include <netdb.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { FDS_MAX = 8, ANY_PORT = 0, DEFAULT_BACKLOG = 0, NO_FLAGS = 0 };

static void tell(int fd) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[64], port[16];
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host,
                    port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        printf("%s port %s\n", host, port);
    }
}

int main(int argc, char **argv) {
    int fds[FDS_MAX];
    const char *path = argc > 1 ? argv[1] : "bind_sockets.socket";
    const char *host = argc > 2 ? argv[2] : "localhost";
    int count = pf_bind_sockets(host, ANY_PORT, AF_UNSPEC,
                                DEFAULT_BACKLOG, NO_FLAGS, fds, FDS_MAX);
    if (count < 0) {
        fprintf(stderr, "bind_sockets: %s: %s\n", host,
                pf_strerror(count));
        return EXIT_FAILURE;
    }
    for (int i = 0; i < count; i++) {
        tell(fds[i]); /* all have the same port */
    }
    int fd = pf_bind_unix_socket(path, 0660, DEFAULT_BACKLOG);
    if (fd < 0) {
        fprintf(stderr, "bind_sockets: %s: %s\n", path, pf_strerror(fd));
        return EXIT_FAILURE;
    }
    printf("%s\n", path);
    /* A server calls pf_fork_processes() here. */
    return EXIT_SUCCESS;
}
