/*
 * monitor.c - the socket at which metrics, health and the table of workers can be read by HTTP
 *
 * It answers one request a connection and closes it. A client that sends or reads nothing for
 * some seconds is cut off, and there are never more than a few at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "monitor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "log.h"
#include "options.h"
#include "workers.h"

enum {
    CLIENTS_MAX = MONITOR_FDS_MAX - 1,
    REQUEST_MAX = 4096,
    PATIENCE_MS = 5000,
    PAUSE_MS = 1000,
    BACKLOG = 16,
    LEVEL_ERROR = 3
};

struct client {
    int fd; /* -1: none */
    uint64_t deadline;
    size_t length; /* of the request so far */
    char request[REQUEST_MAX];
    char *answer; /* NULL: the request is not complete */
    size_t answer_length;
    size_t sent;
};

struct monitor {
    const pf_pool *pool;
    const char *name;
    bool have_groups;
    int fd;
    uint64_t paused_until; /* no connection is accepted for want of descriptors or memory */
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* "": not a UNIX socket */
    struct client clients[CLIENTS_MAX];
};

static uint64_t now_ms(void) {
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- Listening ------------------------------------------------------------------------------- */

/* A file that nobody listens at is left from a process that was killed. */
static void remove_stale(const struct sockaddr_un *path) {
    struct stat status;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && lstat(path->sun_path, &status) == 0 && S_ISSOCK(status.st_mode) &&
        connect(fd, (const struct sockaddr *)path, sizeof(*path)) != 0 && errno == ECONNREFUSED) {
        (void)unlink(path->sun_path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Returns the negative errno of the call that failed. */
static int close_failed(int fd) {
    const int error = errno;

    if (fd >= 0) {
        (void)close(fd);
    }
    return -error;
}

void monitor_check(const char *text) {
    const struct address address = address_read(text);
    struct in6_addr any;

    if (address.is_unix) {
        if (strlen(address.host) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
            usage_error("the path of a socket is too long: %s", address.host);
        }
    } else if (address.host[0] != '\0' && inet_pton(AF_INET, address.host, &any) != 1 &&
               inet_pton(AF_INET6, address.host, &any) != 1) {
        usage_error("--metrics needs an IP address, not a name: %s", address.host);
    }
}

static int listen_unix(struct monitor *monitor, const struct address *address) {
    struct sockaddr_un path = {.sun_family = AF_UNIX};

    memcpy(path.sun_path, address->host, strlen(address->host));
    remove_stale(&path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Its mode becomes that of the file: it is for this user, whatever the umask. */
    if (fd < 0 || fchmod(fd, 0600) != 0 ||
        bind(fd, (const struct sockaddr *)&path, sizeof(path)) != 0 || listen(fd, BACKLOG) != 0) {
        return close_failed(fd);
    }
    memcpy(monitor->path, path.sun_path, sizeof(monitor->path));
    return fd;
}

static int listen_tcp(const struct address *address) {
    struct sockaddr_in ip4 = {.sin_family = AF_INET, .sin_port = htons((in_port_t)address->port)};
    struct sockaddr_in6 ip6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons((in_port_t)address->port)};
    const char *host = address->host[0] == '\0' ? "127.0.0.1" : address->host;
    const bool is_ip4 = inet_pton(AF_INET, host, &ip4.sin_addr) == 1;
    int on = 1;

    (void)inet_pton(AF_INET6, host, &ip6.sin6_addr);
    int fd = socket(is_ip4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr *name =
        is_ip4 ? (const struct sockaddr *)&ip4 : (const struct sockaddr *)&ip6;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, name, is_ip4 ? sizeof(ip4) : sizeof(ip6)) != 0 || listen(fd, BACKLOG) != 0) {
        return close_failed(fd);
    }
    return fd;
}

struct monitor *monitor_open(const char *address, const pf_pool *pool, const char *name,
                             bool have_groups) {
    struct monitor *monitor = calloc(1, sizeof(*monitor));
    const struct address where = address_read(address);

    if (monitor == NULL) {
        log_failure("--metrics", -ENOMEM, STATUS_FAILED);
    }
    monitor->pool = pool;
    monitor->name = name;
    monitor->have_groups = have_groups;
    for (int i = 0; i < CLIENTS_MAX; i++) {
        monitor->clients[i].fd = -1;
    }
    monitor->fd = where.is_unix ? listen_unix(monitor, &where) : listen_tcp(&where);
    if (monitor->fd < 0) {
        log_line(LEVEL_ERROR, "%s: %s", address, pf_strerror(monitor->fd));
        free(monitor);
        return NULL;
    }
    return monitor;
}

static void drop(struct client *client) {
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
    free(client->answer);
    *client = (struct client){.fd = -1};
}

void monitor_close(struct monitor *monitor) {
    if (monitor == NULL) {
        return;
    }
    for (int i = 0; i < CLIENTS_MAX; i++) {
        drop(&monitor->clients[i]);
    }
    if (monitor->path[0] != '\0') {
        (void)unlink(monitor->path);
    }
    (void)close(monitor->fd);
    free(monitor);
}

/* ---- Answers --------------------------------------------------------------------------------- */

enum page { PAGE_METRICS, PAGE_HEALTH, PAGE_WORKERS, PAGE_NONE };

static enum page page_of(const char *request) {
    static const char *const lines[] = {"GET /metrics ", "GET /healthz ", "GET /workers "};

    for (int i = 0; i < PAGE_NONE; i++) {
        if (strncmp(request, lines[i], strlen(lines[i])) == 0) {
            return (enum page)i;
        }
    }
    return PAGE_NONE;
}

static void write_workers(FILE *out, const struct monitor *monitor, enum page page) {
    struct worker *workers = NULL;
    int count = workers_list(monitor->pool, monitor->have_groups, &workers);

    if (count >= 0 && page == PAGE_METRICS) {
        workers_write_metrics(out, monitor->pool, monitor->name, workers, count);
    } else if (count >= 0) {
        workers_write_lines(out, monitor->pool, workers, count);
    }
    free(workers);
}

/* Healthy: the pool has a worker that is ready. */
static bool write_body(FILE *out, const struct monitor *monitor, enum page page) {
    if (page == PAGE_METRICS || page == PAGE_WORKERS) {
        write_workers(out, monitor, page);
        return true;
    }
    if (page == PAGE_HEALTH) {
        int ready = (int)pf_pool_counter(monitor->pool, PF_COUNT_READY);
        (void)fprintf(out, "%d of %d workers are ready\n", ready,
                      pf_pool_worker_count(monitor->pool));
        return ready > 0;
    }
    (void)fputs("there are /metrics, /healthz and /workers\n", out);
    return false;
}

static void answer(const struct monitor *monitor, struct client *client) {
    static const char *const types[] = {
        "application/openmetrics-text; version=1.0.0; charset=utf-8", "text/plain", "text/plain",
        "text/plain"};
    const enum page page = page_of(client->request);
    char *body = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&body, &length);
    bool is_good = out != NULL && write_body(out, monitor, page);

    if (out == NULL || fclose(out) != 0) {
        drop(client); /* no memory */
        free(body);
        return;
    }
    const char *status = is_good             ? "200 OK"
                         : page == PAGE_NONE ? "404 Not Found"
                                             : "503 Service Unavailable";
    FILE *whole = open_memstream(&client->answer, &client->answer_length);
    if (whole != NULL) {
        (void)fprintf(whole,
                      "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                      "Connection: close\r\n\r\n",
                      status, types[page], length);
        (void)fwrite(body, 1, length, whole);
        if (fclose(whole) != 0) {
            drop(client);
        }
    }
    free(body);
}

/* ---- Clients --------------------------------------------------------------------------------- */

static void accept_clients(struct monitor *monitor) {
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &monitor->clients[i];
        if (client->fd < 0) {
            int fd = accept4(monitor->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd < 0) {
                if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                    monitor->paused_until = now_ms() + PAUSE_MS;
                }
                return;
            }
            *client = (struct client){.fd = fd, .deadline = now_ms() + PATIENCE_MS};
        }
    }
}

static void read_request(const struct monitor *monitor, struct client *client) {
    ssize_t count = recv(client->fd, client->request + client->length,
                         REQUEST_MAX - 1 - client->length, MSG_DONTWAIT);

    if (count > 0) {
        client->length += (size_t)count;
        client->request[client->length] = '\0';
        if (strstr(client->request, "\r\n\r\n") != NULL ||
            strstr(client->request, "\n\n") != NULL) {
            answer(monitor, client);
        } else if (client->length == REQUEST_MAX - 1) {
            drop(client);
        }
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop(client);
    }
}

static void send_answer(struct client *client) {
    ssize_t count = send(client->fd, client->answer + client->sent,
                         client->answer_length - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (count > 0) {
        client->sent += (size_t)count;
    }
    if (client->sent == client->answer_length || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(client);
    }
}

int monitor_prepare(const struct monitor *monitor, struct pollfd *fds, int *ret_timeout_ms) {
    const uint64_t now = now_ms();
    bool has_room = false;
    int count = 1;

    *ret_timeout_ms = -1;
    for (int i = 0; i < CLIENTS_MAX; i++) {
        const struct client *client = &monitor->clients[i];
        has_room = has_room || client->fd < 0;
        fds[count++] =
            (struct pollfd){.fd = client->fd, .events = client->answer == NULL ? POLLIN : POLLOUT};
        if (client->fd >= 0) {
            int left = client->deadline > now ? (int)(client->deadline - now) : 0;
            *ret_timeout_ms =
                *ret_timeout_ms < 0 || left < *ret_timeout_ms ? left : *ret_timeout_ms;
        }
    }
    if (monitor->paused_until > now && *ret_timeout_ms < 0) {
        *ret_timeout_ms = PAUSE_MS;
    }
    has_room = has_room && monitor->paused_until <= now;
    fds[0] = (struct pollfd){.fd = has_room ? monitor->fd : -1, .events = POLLIN};
    return count;
}

void monitor_handle(struct monitor *monitor, const struct pollfd *fds, int count) {
    const uint64_t now = now_ms();

    for (int i = 1; i < count; i++) {
        struct client *client = &monitor->clients[i - 1];
        if (client->fd < 0) {
            continue;
        }
        if (fds[i].revents != 0 && client->answer == NULL) {
            read_request(monitor, client);
        }
        if (client->fd >= 0 && client->answer != NULL) {
            send_answer(client);
        }
        if (client->fd >= 0 && now >= client->deadline) {
            drop(client);
        }
    }
    if (fds[0].revents != 0) {
        accept_clients(monitor);
    }
}
