/*
 * accept.c - workers take turns at one socket and greet who connects
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void watch(int epoll_fd, int operation, int fd) {
    /* EPOLLEXCLUSIVE: a connection wakes one worker, not all. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    if (epoll_ctl(epoll_fd, operation, fd, &event) != 0) {
        perror("accept: epoll_ctl");
        exit(EXIT_FAILURE); /* the supervisor restarts it */
    }
}

static void run_worker(int listener, int task_id) {
    struct epoll_event event;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC); /* for this worker */
    watch(epoll_fd, EPOLL_CTL_ADD, listener);
    for (;;) {
        if (epoll_wait(epoll_fd, &event, 1, -1) != 1) {
            continue; /* a signal */
        }
        int connection = pf_accept(listener);
        if (connection == -EAGAIN) {
            continue; /* a sibling took it */
        }
        if (connection < 0) { /* too few descriptors, for instance */
            fprintf(stderr, "accept: %s\n", pf_strerror(connection));
            sleep(1);
            continue;
        }
        /* One connection at a time, and then to the end of the queue, so
         * that the others, who wait there too, get the next ones. */
        watch(epoll_fd, EPOLL_CTL_DEL, listener);
        watch(epoll_fd, EPOLL_CTL_ADD, listener);
        dprintf(connection, "hello from worker %d\n", task_id);
        close(connection);
    }
}

int main(int argc, char **argv) {
    int listener;
    int port = argc > 1 ? atoi(argv[1]) : 8090;
    int count =
        pf_bind_sockets("127.0.0.1", port, AF_INET, 0, 0, &listener, 1);
    if (count < 0) {
        fprintf(stderr, "accept: port %d: %s\n", port,
                pf_strerror(count));
        return EXIT_FAILURE;
    }
    int task_id = pf_fork_processes(4, 100);
    if (task_id < 0) {
        fprintf(stderr, "accept: %s\n", pf_strerror(task_id));
        return EXIT_FAILURE;
    }
    run_worker(listener, task_id);
    return EXIT_FAILURE; /* it does not return */
}
