/*
 * denial_sockets.c - scenarios without a pool in which a system call is denied
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <prefork.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "denial.h"

int denial_tcp(struct denial *denial) {
    struct sockaddr_in name;
    socklen_t size = sizeof(name);
    int fds[4];
    int count = pf_bind_sockets("127.0.0.1", 0, AF_INET, 0, PF_BIND_REUSEPORT, fds, 4);

    if (count < 0) {
        return count;
    }
    denial->started = true;
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (getsockname(fds[0], (struct sockaddr *)&name, &size) == 0 &&
        connect(client, (struct sockaddr *)&name, size) == 0) {
        int accepted = pf_accept(fds[0]);
        if (accepted < 0) {
            return accepted;
        }
    }
    denial->done = true;
    return 0;
}

/* The second one replaces the file of the first. */
int denial_unix(struct denial *denial) {
    char path[sizeof(denial->directory) + 8];

    (void)snprintf(path, sizeof(path), "%s/socket", denial->directory);
    for (int i = 0; i < 2; i++) {
        int fd = pf_bind_unix_socket(path, 0600, 0);
        if (fd < 0) {
            return fd;
        }
        (void)close(fd);
    }
    denial->done = true;
    return 0;
}

int denial_cpus(struct denial *denial) {
    denial->done = pf_cpu_count() >= 1;
    return denial->done ? 0 : -ERANGE;
}
