/*
 * hello.c - a pre-forked HTTP/1.1 server: sockets first, then workers that share them
 *
 * SPDX-License-Identifier: MIT
 *
 *   hello [-p PORT] [-b ADDRESS]... [-n WORKERS] [-r MAX_RESTARTS]
 *
 *   GET /             says hello, with the pid and the task id of the worker that answers
 *   GET /?sleep=S     the same after S seconds, during which that worker does nothing else
 *   GET /?exit=N      the same, and then the worker exits with status N
 *   GET /?signal=N    the same, and then the worker raises signal N
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LISTENERS_MAX = 8,
    CONNECTIONS_MAX = 512, /* of one worker; for one more the longest quiet one is closed */
    EVENTS_MAX = 64,
    HEAD_BYTES_MAX = 8192,
    ANSWER_BYTES_MAX = 512,
    SLEEP_SECONDS_MAX = 30
};

struct request {
    int keep_alive;
    int without_body; /* of the answer: HEAD */
    int end_status;   /* the worker exits with it after the answer; -1: it stays */
    int end_signal;   /* the worker raises it after the answer; 0: none */
    double sleep_seconds;
};

struct connection {
    TAILQ_ENTRY(connection) link;
    int fd;
    uint32_t events; /* for a request, or for room to send an answer: EPOLLIN or EPOLLOUT */
    struct request request;
    size_t in_length;
    size_t out_length;
    size_t out_sent;
    char in[HEAD_BYTES_MAX];
    char out[ANSWER_BYTES_MAX];
};

/* Shared: opened once, before the workers are forked. */
static int listeners[LISTENERS_MAX];
static int listener_count;

/* Each worker's own: opened after the fork. */
static int epoll_fd, stop_fd;
static int stopping, connection_count;
static TAILQ_HEAD(, connection) connections = TAILQ_HEAD_INITIALIZER(connections); /* by age */

static void say(const char *what, double number) {
    printf("[worker %d] task %d %s %g\n", getpid(), pf_task_id(), what, number);
}

static const char ok[] = "200 OK", bad_request[] = "400 Bad Request";

/* Both return the status of the answer, and cut the text that they read into pieces. */
static const char *parse_target(char *target, struct request *request) {
    const char *path = strsep(&target, "?");
    if (strcmp(path, "/") != 0) {
        return path[0] == '/' ? "404 Not Found" : bad_request;
    }
    for (const char *field; (field = strsep(&target, "&")) != NULL;) {
        char rest;
        if (sscanf(field, "sleep=%lf%c", &request->sleep_seconds, &rest) != 1 &&
            sscanf(field, "exit=%4d%c", &request->end_status, &rest) != 1 &&
            sscanf(field, "signal=%4d%c", &request->end_signal, &rest) != 1) {
            return bad_request;
        }
    }
    int good = request->sleep_seconds >= 0 && request->sleep_seconds <= SLEEP_SECONDS_MAX &&
               request->end_status >= -1 && request->end_status <= 255 &&
               request->end_signal >= 0 && request->end_signal <= SIGRTMAX;
    return good ? ok : bad_request;
}

static const char *parse_head(char *head, struct request *request) {
    int hosts = 0;
    char *version = strsep(&head, "\r");
    const char *method = strsep(&version, " ");
    char *target = strsep(&version, " ");
    if (version == NULL || *head != '\n' ||
        (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)) {
        return bad_request;
    }
    request->keep_alive = version[7] == '1';
    request->without_body = strcmp(method, "HEAD") == 0;
    while (*++head != '\0') {
        char *value = strsep(&head, "\r");
        const char *name = strsep(&value, ":");
        if (value == NULL || *head != '\n' || name[0] == '\0' || strpbrk(name, " \t") != NULL) {
            return bad_request;
        }
        if (strcasecmp(name, "Host") == 0) {
            hosts++;
        } else if (strcasecmp(name, "Connection") == 0) {
            for (const char *word; (word = strsep(&value, ", \t")) != NULL;) {
                request->keep_alive &= strcasecmp(word, "close") != 0;
            }
        } else if (strcasecmp(name, "Transfer-Encoding") == 0 ||
                   strcasecmp(name, "Content-Length") == 0) {
            request->keep_alive = 0; /* a body is not read, so that no request can follow it */
        }
    }
    if (hosts > 1 || (hosts == 0 && version[7] == '1')) {
        return bad_request;
    }
    if (!request->without_body && strcmp(method, "GET") != 0) {
        return "405 Method Not Allowed";
    }
    return parse_target(target, request);
}

static void write_answer(struct connection *connection, const char *status) {
    char body[80], date[40];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    snprintf(body, sizeof body, "%s from pid %d, task %d\n", status == ok ? "Hello, world" : status,
             getpid(), pf_task_id());
    connection->out_length = (size_t)snprintf(
        connection->out, sizeof connection->out,
        "HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
        "Connection: %s\r\nAllow: GET, HEAD\r\n\r\n%s",
        status, date, strlen(body), connection->request.keep_alive ? "keep-alive" : "close",
        connection->request.without_body ? "" : body);
}

/* Answers the next request in `in`; 0 if it is not complete yet. */
static int answer_next(struct connection *connection) {
    struct request *request = &connection->request;
    char *in = connection->in;
    char *end = memmem(in, connection->in_length, "\r\n\r\n", 4);
    const char *status = "431 Request Header Fields Too Large";
    if (end == NULL && connection->in_length < sizeof connection->in) {
        return 0;
    }
    *request = (struct request){.end_status = -1};
    if (end != NULL) {
        size_t length = (size_t)(end - in) + 4;
        end[2] = '\0'; /* after the last line of the head; there should be no other */
        status = strlen(in) == length - 2 ? parse_head(in, request) : bad_request;
        connection->in_length -= length;
        memmove(in, in + length, connection->in_length);
    }
    if (status == bad_request) { /* who knows what would be next in such input: close */
        *request = (struct request){.without_body = request->without_body, .end_status = -1};
    }
    if (request->sleep_seconds > 0) {
        say("sleeps, in seconds:", request->sleep_seconds);
        usleep((useconds_t)(request->sleep_seconds * 1e6));
    }
    if (stopping || request->end_status >= 0 || request->end_signal > 0) {
        request->keep_alive = 0;
    }
    write_answer(connection, status);
    return 1;
}

static void watch(int operation, int fd, uint32_t events, void *what) {
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(epoll_fd, operation, fd, &event) != 0) {
        err(1, "epoll_ctl"); /* then the supervisor starts another worker */
    }
}

static void close_connection(struct connection *connection) {
    TAILQ_REMOVE(&connections, connection, link);
    connection_count--;
    close(connection->fd); /* which takes it out of epoll, too */
    free(connection);
}

static void add_connection(int fd) {
    if (connection_count == CONNECTIONS_MAX) {
        close_connection(TAILQ_FIRST(&connections));
    }
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        err(1, "calloc");
    }
    connection->fd = fd;
    connection->events = EPOLLIN;
    connection->request.keep_alive = 1;
    connection_count++;
    TAILQ_INSERT_TAIL(&connections, connection, link);
    watch(EPOLL_CTL_ADD, fd, EPOLLIN, connection);
}

/* EPOLLEXCLUSIVE: a connection wakes one of the workers that wait, not all. */
static void watch_listener(int operation, int *listener) {
    watch(operation, *listener, EPOLLIN | EPOLLEXCLUSIVE, listener);
}

/* Takes one connection and goes to the end of the queue of those who wait, so that the next one
 * is for a sibling. */
static void accept_connection(int *listener) {
    int fd = pf_accept(*listener);
    if (fd >= 0) {
        add_connection(fd);
        watch_listener(EPOLL_CTL_DEL, listener);
        watch_listener(EPOLL_CTL_ADD, listener);
    } else if (fd != -EAGAIN) { /* else a sibling took it */
        usleep(10000);          /* short of descriptors, say: no reason to spin, nor to end */
    }
}

/* Ends the worker if the request that was answered last asked for that. */
static void end_worker(const struct request *request) {
    if (request->end_status >= 0) {
        say("exits with status", request->end_status);
        exit(request->end_status);
    }
    if (request->end_signal > 0) {
        say("raises signal", request->end_signal);
        signal(request->end_signal, SIG_DFL);
        raise(request->end_signal); /* SIGTERM is blocked, and so a request to finish as ever */
    }
}

/* Reads once, as much as there is room for; 0 if the connection has ended. */
static int receive(struct connection *connection) {
    ssize_t length = recv(connection->fd, connection->in + connection->in_length,
                          sizeof connection->in - connection->in_length, 0);
    if (length > 0 && connection->request.keep_alive) {
        connection->in_length += (size_t)length;
    }
    return length > 0 || (length < 0 && errno == EAGAIN);
}

/* 1 if the whole answer is sent, 0 if there is no room now, -1 if the connection has ended. */
static int send_answer(struct connection *connection) {
    while (connection->out_sent < connection->out_length) {
        ssize_t sent = send(connection->fd, connection->out + connection->out_sent,
                            connection->out_length - connection->out_sent, 0);
        if (sent < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        connection->out_sent += (size_t)sent;
    }
    if (connection->out_length > 0 && !connection->request.keep_alive) {
        /* The client closes first: a close with input unread could take the answer with it. */
        shutdown(connection->fd, SHUT_WR);
        connection->in_length = 0;
        end_worker(&connection->request);
    }
    connection->out_length = connection->out_sent = 0;
    return 1;
}

static void serve_connection(struct connection *connection) {
    int open = connection->out_length > 0 || receive(connection);
    int sent = 1;
    TAILQ_REMOVE(&connections, connection, link);
    TAILQ_INSERT_TAIL(&connections, connection, link);
    while (open && (sent = send_answer(connection)) > 0 && answer_next(connection)) {
    }
    uint32_t events = sent > 0 ? EPOLLIN : EPOLLOUT;
    if (!open || sent < 0 || (stopping && sent > 0)) {
        close_connection(connection);
    } else if (events != connection->events) {
        connection->events = events;
        watch(EPOLL_CTL_MOD, connection->fd, events, connection);
    }
}

/*
 * Opened after the fork: with one epoll descriptor the workers would get each other's events.
 * SIGTERM, which asks a worker to finish, comes as an event. A terminal's signals go to the whole
 * group, but what follows from them is for the supervisor to say.
 */
static void open_loop(void) {
    sigset_t term;
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    stop_fd = signalfd(-1, &term, SFD_CLOEXEC);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(EPOLL_CTL_ADD, stop_fd, EPOLLIN, &stop_fd);
    for (int i = 0; i < listener_count; i++) {
        watch_listener(EPOLL_CTL_ADD, &listeners[i]);
    }
}

/* No more connections; what has arrived is answered; who has asked nothing is left. */
static void begin_stop(void) {
    say("stops, open connections:", connection_count);
    stopping = 1;
    close(stop_fd);
    for (int i = 0; i < listener_count; i++) {
        for (int fd; (fd = pf_accept(listeners[i])) >= 0;) {
            add_connection(fd);
        }
        /* Closing alone leaves it in epoll while the supervisor has it open. */
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, listeners[i], NULL);
        close(listeners[i]);
    }
    for (int left = connection_count; left > 0; left--) {
        serve_connection(TAILQ_FIRST(&connections)); /* it goes, or becomes the last */
    }
}

static int run_worker(void) {
    struct epoll_event events[EVENTS_MAX];
    open_loop();
    while (!stopping || connection_count > 0) {
        int *ready[LISTENERS_MAX], ready_count = 0, stop_asked = 0;
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            int *what = events[i].data.ptr;
            if (what == &stop_fd) {
                stop_asked = 1;
            } else if (what >= listeners && what < listeners + listener_count) {
                ready[ready_count++] = what;
            } else {
                serve_connection(events[i].data.ptr);
            }
        }
        /* New ones come last: to make room for one may close another that is in events[]. */
        for (int i = 0; i < ready_count; i++) {
            accept_connection(ready[i]);
        }
        if (stop_asked) {
            begin_stop();
        }
    }
    return 0;
}

/* Adds listening sockets, or ends the program: to start without an address helps nobody. */
static void add_listeners(const char *address, int port) {
    int on = 1;
    int count = pf_bind_sockets(address, port, AF_UNSPEC, SOMAXCONN, 0, listeners + listener_count,
                                LISTENERS_MAX - listener_count);
    if (listener_count > 0 && (count == -EAFNOSUPPORT || count == -EADDRNOTAVAIL)) {
        return; /* the kernel is without IPv6, or has it switched off */
    }
    if (count < 0) {
        errx(1, "%s port %d: %s", address, port, pf_strerror(count));
    }
    printf("listening on %s port %d\n", address, port);
    for (; count > 0; count--) { /* what is accepted inherits it */
        setsockopt(listeners[listener_count++], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
}

static void print_event(const pf_event *event, void *user) {
    (void)user;
    printf("[supervisor %d] %s\n", getpid(), pf_event_message(event));
}

int main(int argc, char **argv) {
    const char *addresses[LISTENERS_MAX] = {"127.0.0.1", "::1"};
    int port = 8090, address_count = 0;
    int workers = 0, max_restarts = -1;    /* one for each processor; the library's default */
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* whole lines, whichever process writes them */
    for (int option; (option = getopt(argc, argv, "p:b:n:r:")) != -1;) {
        if (option == 'p' && atoi(optarg) > 0 && atoi(optarg) <= 65535) {
            port = atoi(optarg);
        } else if (option == 'b' && address_count < LISTENERS_MAX) {
            addresses[address_count++] = optarg;
        } else if (option == 'n') {
            workers = atoi(optarg);
        } else if (option == 'r') {
            max_restarts = atoi(optarg);
        } else {
            errx(2, "usage: hello [-p PORT] [-b ADDRESS]... [-n WORKERS] [-r MAX_RESTARTS]");
        }
    }
    signal(SIGPIPE, SIG_IGN); /* in the workers too: a client that is gone is no reason to die */
    for (int i = 0; i < (address_count > 0 ? address_count : 2); i++) {
        add_listeners(addresses[i], port);
    }
    pf_set_event_callback(print_event, NULL);
    int task = pf_fork_processes(workers, max_restarts);
    if (task < 0) {
        errx(1, "pf_fork_processes: %s", pf_strerror(task));
    }
    return run_worker();
}
