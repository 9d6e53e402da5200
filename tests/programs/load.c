// A client that asks an HTTP server on this machine again and again, and counts each request
// exactly: load PORT CONNECTIONS kept|new
//
// Each connection asks for / as soon as it has the answer to its last request. With "kept" it asks
// on until an answer says "Connection: close" or is of HTTP/1.0, with "new" it asks to close each
// time. INT or TERM ends it: nothing more is asked, what is under way is waited for, and one line
// is printed:
//
//   answered A lost L refused R late T
//
// where lost is what was cut off or not answered with 200, refused is what could not be connected,
// and late what was not answered 10 s after the signal.
//
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, ANSWER_MAX = 8192, PATIENCE_S = 10 };

struct connection {
    size_t length;
    char answer[ANSWER_MAX];
};

static struct connection connections[CONNECTIONS_MAX];
static struct pollfd fds[CONNECTIONS_MAX];
static struct sockaddr_in address;
static int count, keeps;
static unsigned long answered, lost, refused, late;
static volatile sig_atomic_t is_over;

static void finish(int number) {
    (void)number;
    is_over = 1;
}

static void disconnect(int i) {
    close(fds[i].fd);
    fds[i].fd = -1;
}

// Connects first where there is no connection. On this machine that succeeds or fails at once.
static void ask(int i) {
    const char *request = keeps ? "GET / HTTP/1.1\r\nHost: load\r\n\r\n"
                                : "GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n";
    const ssize_t length = (ssize_t)strlen(request);
    connections[i].length = 0;
    if (fds[i].fd < 0) {
        const int yes = 1;
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0) {
            err(2, "socket");
        }
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
            if (errno == EINTR) { // the signal that ends it all
                close(fd);
                return;
            }
            warn("connect");
            refused++;
            close(fd);
            return;
        }
        fds[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    if (send(fds[i].fd, request, (size_t)length, MSG_NOSIGNAL) != length) {
        lost++;
        disconnect(i);
    }
}

// The bytes of the whole answer; more than there can be while its head is not complete; -1 if it is
// none.
static ssize_t measure(const char *answer) {
    const char *end = strstr(answer, "\r\n\r\n");
    const char *length = strcasestr(answer, "\nContent-Length:");
    if (end == NULL) {
        return ANSWER_MAX;
    }
    const int is_good =
        strncmp(answer, "HTTP/1.1 200 ", 13) == 0 || strncmp(answer, "HTTP/1.0 200 ", 13) == 0;
    if (!is_good || length == NULL || length > end) {
        return -1;
    }
    return end + 4 - answer + atoi(length + strlen("\nContent-Length:"));
}

static int closes(const char *answer) {
    const char *word = strcasestr(answer, "\nConnection: close");
    return strncmp(answer, "HTTP/1.0", 8) == 0 ||
           (word != NULL && word < strstr(answer, "\r\n\r\n"));
}

// Takes what has come; asks for the next when the answer is complete.
static void take(int i) {
    struct connection *one = &connections[i];
    const ssize_t size =
        recv(fds[i].fd, one->answer + one->length, ANSWER_MAX - 1 - one->length, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    one->length += size > 0 ? (size_t)size : 0;
    one->answer[one->length] = '\0';
    const ssize_t whole = measure(one->answer);
    if (size > 0 && (ssize_t)one->length < whole) {
        return;
    }
    const int is_good = size > 0 && (ssize_t)one->length == whole;
    answered += (unsigned long)is_good;
    lost += (unsigned long)!is_good;
    if (!is_good || !keeps || closes(one->answer)) {
        disconnect(i);
    }
    if (!is_over) {
        ask(i);
    } else if (fds[i].fd >= 0) {
        disconnect(i);
    }
}

static int is_waiting(void) {
    for (int i = 0; i < count; i++) {
        if (fds[i].fd >= 0) {
            return 1;
        }
    }
    return 0;
}

static void run(void) {
    struct timespec now, end = {0};
    while (!is_over || is_waiting()) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (is_over && end.tv_sec == 0) {
            end.tv_sec = now.tv_sec + PATIENCE_S;
        }
        if (is_over && now.tv_sec >= end.tv_sec) {
            break;
        }
        // A signal just before it delays the end by a tenth of a second.
        if (poll(fds, (nfds_t)count, 100) < 0) {
            continue;
        }
        for (int i = 0; i < count; i++) {
            if (fds[i].fd >= 0 && fds[i].revents != 0) {
                take(i);
            } else if (fds[i].fd < 0 && !is_over) {
                ask(i); // refused before
            }
        }
    }
    for (int i = 0; i < count; i++) {
        late += fds[i].fd >= 0;
    }
}

int main(int argc, char **argv) {
    if (argc != 4 || (strcmp(argv[3], "kept") != 0 && strcmp(argv[3], "new") != 0) ||
        atoi(argv[2]) < 1 || atoi(argv[2]) > CONNECTIONS_MAX) {
        errx(2, "usage: load PORT CONNECTIONS kept|new");
    }
    const struct sigaction action = {.sa_handler = finish};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    count = atoi(argv[2]);
    keeps = strcmp(argv[3], "kept") == 0;
    for (int i = 0; i < count; i++) {
        fds[i].fd = -1;
        ask(i);
    }
    run();
    printf("answered %lu lost %lu refused %lu late %lu\n", answered, lost, refused, late);
    return 0;
}
