/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void play_sockets(struct scene *s) {
    s->lasting_blocks = 2; /* what was bound last, and one whose end could not be seen */
    int fds[8];
    const int count = pf_bind_sockets("127.0.0.1", 0, AF_INET, 0, PF_BIND_REUSEPORT, fds, 8);
    if (!scene_failed(s, "pf_bind_sockets", count)) {
        struct sockaddr_in name;
        socklen_t length = sizeof(name);
        const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (getsockname(fds[0], (struct sockaddr *)&name, &length) < 0 ||
            connect(client, (struct sockaddr *)&name, length) < 0) {
            scene_broken("the socket does not listen: %s", strerror(errno));
        }
        const int accepted = pf_accept(fds[0]);
        if (!scene_failed(s, "pf_accept", accepted)) {
            close(accepted);
        }
        close(client);
    }
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    for (int i = 0; i < 2; i++) { /* the second one replaces the file of the first */
        const int fd = pf_bind_unix_socket("socket", 0600, 0);
        struct stat file;
        if (scene_failed(s, "pf_bind_unix_socket", fd)) {
            continue;
        }
        if (stat("socket", &file) < 0 || (file.st_mode & 0777) != 0600) {
            scene_broken("the socket's file is not there, or has mode %o", (unsigned)file.st_mode);
        }
        close(fd);
    }
    unlink("socket");
    if (pf_cpu_count() < 1) {
        scene_broken("no processors");
    }
}

void play_listen_fds(struct scene *s) {
    int fds[4];
    const int count = pf_listen_fds(fds, 4);
    if (!scene_failed(s, "pf_listen_fds", count) && count != 1) {
        scene_broken("%d descriptors were passed instead of 1", count);
    }
}

/* The first looks at the file find nobody who listens, and then its owner does: a standing failure
 * of connect(). */
void play_raced_socket(struct scene *s) {
    s->lasting_blocks = 1;
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    const int owner = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(owner, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(owner, 8) < 0) {
        scene_broken("the test cannot bind: %s", strerror(errno));
    }
    const int fd = pf_bind_unix_socket("socket", 0600, 0);
    if (fd >= 0) {
        close(fd);
    } else if (fd != -EADDRINUSE) {
        scene_failed(s, "pf_bind_unix_socket", fd);
    }
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->error == 0 && (fd >= 0 || connect(client, (struct sockaddr *)&name, sizeof(name)) < 0)) {
        scene_broken("the owner has lost its socket: %d, %s", fd, strerror(errno));
    }
    close(client);
    close(owner);
    unlink("socket");
}
