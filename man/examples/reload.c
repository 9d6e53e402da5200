/*
 * reload.c - a server of one text: SIGHUP makes it read the file again
 *
 * SPDX-License-Identifier: MIT
 *
 * reload [-x] PORT FILE [WORKERS]. Connections are kept alive. A worker
 * that is told to end takes no more of them; its next answer on each
 * that it has is the last one there, and says so. With -x the workers
 * execute the program anew: a reload then puts a new release of it to
 * work, too.
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

enum {
    CONNECTIONS = 64,
    REQUEST_MAX = 4096,
    TEXT_MAX = 1024,
    LINGER_MS = 2000
};

struct server {
    int listener;
    const char *file;
};

struct connection {
    /* The last answer is on its way; the client closes first. */
    int is_done;
    size_t length;
    char request[REQUEST_MAX];
};

static struct connection connections[CONNECTIONS];
/* Of the connections, the listener, and the stop. */
static struct pollfd fds[CONNECTIONS + 2];
static char text[TEXT_MAX];
static const char release[] = "release 0000";

static void close_connection(int number) {
    close(fds[number].fd);
    fds[number].fd = -1; /* poll() leaves it out */
}

/* Returns the number of a place that has a connection, or that has none;
 * -1: there is no such. */
static int find_place(int is_taken) {
    int number = 0;
    while (number < CONNECTIONS && (fds[number].fd >= 0) != is_taken) {
        number++;
    }
    return number < CONNECTIONS ? number : -1;
}

static int answer(int number, int is_last) {
    char reply[TEXT_MAX + 256];
    int length = snprintf(
        reply, sizeof reply,
        "HTTP/1.1 200 OK\r\nServer: %s\r\nContent-Type: text/plain\r\n"
        "Content-Length: %zu\r\n%s\r\n%s",
        release, strlen(text), is_last ? "Connection: close\r\n" : "",
        text);
    if (send(fds[number].fd, reply, (size_t)length, MSG_NOSIGNAL) !=
        length) {
        return -1; /* gone, or it does not read what it asked for */
    }
    /* Closed with something unread, the answer could get lost: so the
     * client closes first. */
    return is_last ? shutdown(fds[number].fd, SHUT_WR) : 0;
}

/* Reads what has come, and answers each request that is complete. */
static void serve_connection(int number, int is_last) {
    struct connection *one = &connections[number];
    char *end = NULL;
    ssize_t size = recv(fds[number].fd, one->request + one->length,
                        REQUEST_MAX - 1 - one->length, 0);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN) {
            close_connection(number);
        }
        return;
    }
    one->length += (size_t)size;
    one->request[one->length] = '\0';
    while (!one->is_done &&
           (end = strstr(one->request, "\r\n\r\n")) != NULL) {
        *end = '\0';
        one->is_done =
            is_last ||
            strcasestr(one->request, "\nConnection: close") != NULL;
        if (answer(number, one->is_done) != 0) {
            close_connection(number);
            return;
        }
        one->length -= (size_t)(end + 4 - one->request);
        memmove(one->request, end + 4, one->length + 1);
    }
    if (one->is_done) {
        one->length = 0;
    } else if (one->length == REQUEST_MAX - 1) {
        close_connection(number); /* too long for this server */
    }
}

static void accept_into(int number, int listener) {
    int fd = pf_accept(listener);
    if (fd >= 0) { /* otherwise another worker took it */
        fds[number] = (struct pollfd){.fd = fd, .events = POLLIN};
        connections[number].is_done = 0;
        connections[number].length = 0;
    }
}

static int read_text(const char *file) {
    FILE *stream = fopen(file, "r");
    if (stream == NULL) {
        return -1;
    }
    text[fread(text, 1, sizeof text - 1, stream)] = '\0';
    return fclose(stream);
}

static int serve(const struct server *server) {
    struct pollfd *listener = &fds[CONNECTIONS],
                  *stop = &fds[CONNECTIONS + 1];
    int all[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM}, is_stopping = 0;
    for (int i = 0; i < 4; i++) {
        /* What follows from them, the stop descriptor tells. */
        signal(all[i], SIG_IGN);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i].fd = -1;
    }
    *stop = (struct pollfd){.fd = pf_worker_stop_fd(), .events = POLLIN};
    /* A worker that fails before it is ready ends a reload, and the old
     * ones go on. */
    if (stop->fd < 0 || read_text(server->file) != 0 ||
        pf_worker_ready() != 0) {
        return EXIT_FAILURE;
    }
    while (!is_stopping || find_place(1) >= 0) {
        int place = is_stopping ? -1 : find_place(0);
        *listener = (struct pollfd){
            .fd = place < 0 ? -1 : server->listener, .events = POLLIN};
        if (poll(fds, CONNECTIONS + 2, is_stopping ? LINGER_MS : -1) ==
            0) {
            break; /* those that are left ask for nothing */
        }
        if (stop->fd >= 0 && stop->revents != 0) {
            is_stopping = 1;
            stop->fd = -1;
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            if (fds[i].fd >= 0 && fds[i].revents != 0) {
                serve_connection(i, is_stopping);
            }
        }
        if (!is_stopping && listener->revents != 0) {
            accept_into(place, server->listener);
        }
    }
    return EXIT_SUCCESS;
}

static void print_event(const pf_event *event, void *user) {
    (void)user;
    printf("%s\n", pf_event_message(event));
}

static void check(int result, const char *what) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s: %s", what, pf_strerror(result));
    }
}

int main(int argc, char **argv) {
    struct server server;
    int task_id, result;
    int executes = argc > 1 && strcmp(argv[1], "-x") == 0;
    pf_pool *pool;
    argc -= executes;
    argv += executes;
    if (argc < 3) {
        errx(2, "usage: reload [-x] PORT FILE [WORKERS]");
    }
    server.file = argv[2];
    /* One socket for all workers, past and to come: what waits in it
     * belongs to none of them. */
    result = pf_bind_sockets("127.0.0.1", atoi(argv[1]), AF_INET,
                             SOMAXCONN, 0, &server.listener, 1);
    check(result, argv[1]);
    setvbuf(stdout, NULL, _IOLBF, 0);

    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, argc > 3 ? atoi(argv[3]) : 4),
          "pf_pool_set_workers");
    if (executes) {
        check(pf_pool_set_exec(pool, NULL, NULL, NULL),
              "pf_pool_set_exec");
    }
    check(pf_pool_set_event_callback(pool, print_event, NULL, NULL),
          "pf_pool_set_event_callback");
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD),
          "pf_pool_set_signals");
    check(pf_pool_set_ready_timeout(pool, 10000),
          "pf_pool_set_ready_timeout");
    check(pf_pool_set_restart_window(pool, 1000, 10000),
          "pf_pool_set_restart_window");
    check(pf_pool_set_max_restarts(pool, PF_UNLIMITED),
          "pf_pool_set_max_restarts");
    result = pf_pool_run(pool, &task_id);
    pf_pool_free(pool);
    check(result, "pf_pool_run");
    return task_id >= 0 ? serve(&server) : EXIT_SUCCESS;
}
