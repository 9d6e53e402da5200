// A small HTTP server with kept connections; see http.h.
//
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "http.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 64, HEAD_MAX = 4096, LINGER_MS = 1000, LISTENER = CLIENTS, STOP };

static struct pollfd polled[CLIENTS + 2];
static char heads[CLIENTS][HEAD_MAX];
static size_t lengths[CLIENTS];
static pid_t foreign;
static char *ballast;

int number_of(const char *name) {
    const char *text = getenv(name);
    return text != NULL ? atoi(text) : 0;
}

static void sleep_ms(int ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

int listen_on_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    const int yes = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address.sin_port = htons((uint16_t)number_of("PORT"));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) {
        err(1, "listen");
    }
    return fd;
}

// The status of the child, as the program gets it a second later.
static void write_status(int number) {
    (void)number;
    int status = 0;
    FILE *file = fopen(getenv("FOREIGN"), "w");
    if (file == NULL) {
        return;
    }
    if (waitpid(foreign, &status, 0) != foreign) {
        fprintf(file, "%s\n", strerror(errno));
    } else {
        fprintf(file, "%d\n", WEXITSTATUS(status));
    }
    fclose(file);
}

void prepare_supervisor(void) {
    const size_t size = (size_t)number_of("BALLAST_MIB") << 20;
    ballast = size > 0 ? malloc(size) : NULL;
    if (ballast != NULL) {
        memset(ballast, 1, size);
    }
    if (getenv("FOREIGN") != NULL) {
        foreign = fork();
        if (foreign == 0) {
            sleep_ms(100);
            _exit(7);
        }
        const struct sigaction action = {.sa_handler = write_status, .sa_flags = SA_RESTART};
        sigaction(SIGALRM, &action, NULL);
        alarm(1);
    }
}

void prepare_worker(void) {
    if (number_of("FAIL") != 0) {
        _exit(1);
    }
    sleep_ms(number_of("START_MS"));
}

static void disconnect(int i) {
    close(polled[i].fd);
    polled[i].fd = -1;
}

static int count_clients(void) {
    int count = 0;
    for (int i = 0; i < CLIENTS; i++) {
        count += polled[i].fd >= 0;
    }
    return count;
}

static void accept_client(int listener) {
    for (int i = 0; i < CLIENTS; i++) {
        if (polled[i].fd < 0) {
            polled[i] = (struct pollfd){accept4(listener, NULL, NULL, SOCK_CLOEXEC), POLLIN, 0};
            lengths[i] = 0;
            return;
        }
    }
}

static void answer(int i, int task, int is_last) {
    char body[64], reply[256];
    const int size = snprintf(body, sizeof body, "hello from pid %d, task %d\n", getpid(), task);
    const int length =
        snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s", size,
                 is_last ? "Connection: close\r\n" : "", body);
    if (send(polled[i].fd, reply, (size_t)length, MSG_NOSIGNAL) != length) {
        disconnect(i);
    } else if (is_last) {
        shutdown(polled[i].fd, SHUT_WR); // the client closes first, so that it gets the answer
    }
}

static void read_client(int i, int task, int is_stopping) {
    char *head = heads[i], *end;
    const ssize_t size = recv(polled[i].fd, head + lengths[i], HEAD_MAX - 1 - lengths[i], 0);
    if (size <= 0) {
        disconnect(i);
        return;
    }
    lengths[i] += (size_t)size;
    head[lengths[i]] = '\0';
    while (polled[i].fd >= 0 && (end = strstr(head, "\r\n\r\n")) != NULL) {
        *end = '\0';
        answer(i, task, is_stopping || strcasestr(head, "\nConnection: close") != NULL);
        lengths[i] -= (size_t)(end + 4 - head);
        memmove(head, end + 4, lengths[i] + 1);
    }
}

void serve(int listener, int stop_fd, int task) {
    int is_stopping = 0;
    for (int i = 0; i < CLIENTS; i++) {
        polled[i].fd = -1;
    }
    polled[LISTENER] = (struct pollfd){listener, POLLIN, 0};
    polled[STOP] = (struct pollfd){stop_fd, POLLIN, 0};
    while (!is_stopping || count_clients() > 0) {
        const int count = poll(polled, CLIENTS + 2, is_stopping ? LINGER_MS : -1);
        if (count == 0) {
            return;
        }
        if (count < 0) {
            continue;
        }
        if (polled[STOP].revents != 0) {
            is_stopping = 1;
            polled[STOP].fd = polled[LISTENER].fd = -1;
            polled[STOP].revents = polled[LISTENER].revents = 0;
        }
        for (int i = 0; i < CLIENTS; i++) {
            if (polled[i].fd >= 0 && polled[i].revents != 0) {
                read_client(i, task, is_stopping);
            }
        }
        if (polled[LISTENER].revents != 0) {
            accept_client(listener);
        }
    }
}
