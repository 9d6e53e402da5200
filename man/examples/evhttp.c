/*
 * evhttp.c - workers with the HTTP server of libevent, which lose no
 * request
 *
 * SPDX-License-Identifier: MIT
 *
 * HUP reloads the text, TERM ends the program. A worker that stops
 * accepts no more, says "Connection: close" in each answer, and ends
 * when the clients have closed their connections.
 */
#include <err.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { IDLE_S = 5, STOP_MS = 15000 };

struct server {
    int listener;
    const char *file; /* what it answers with */
    char text[1024];
    struct evhttp *http;
    struct evhttp_bound_socket *socket; /* NULL: the worker stops */
};

static void answer(struct evhttp_request *request, void *user) {
    struct server *server = user;
    struct evbuffer *body = evbuffer_new();
    if (server->socket == NULL) {
        evhttp_add_header(evhttp_request_get_output_headers(request),
                          "Connection", "close");
    }
    if (body != NULL) {
        evbuffer_add(body, server->text, strlen(server->text));
        evhttp_send_reply(request, HTTP_OK, "OK", body);
        evbuffer_free(body);
    } else {
        evhttp_send_error(request, HTTP_INTERNAL, NULL);
    }
}

/* The other workers accept what waits in the socket. The loop ends when
 * the last connection is closed: nothing else is left in it. */
static void stop(evutil_socket_t fd, short what, void *user) {
    struct server *server = user;
    (void)fd, (void)what;
    evhttp_del_accept_socket(server->http, server->socket);
    server->socket = NULL;
}

static int serve(int task_id, void *user) {
    struct server *server = user;
    FILE *file = fopen(server->file, "r");
    (void)task_id;
    /* A terminal sends these to every process of the program. */
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    struct event_base *base = event_base_new();
    if (file == NULL || base == NULL) {
        return EXIT_FAILURE;
    }
    server->text[fread(server->text, 1, sizeof server->text - 1, file)] =
        '\0';
    fclose(file);
    server->http = evhttp_new(base);
    if (server->http == NULL) {
        return EXIT_FAILURE;
    }
    evhttp_set_timeout(server->http, IDLE_S);
    evhttp_set_gencb(server->http, answer, server);
    server->socket =
        evhttp_accept_socket_with_handle(server->http, server->listener);
    if (server->socket == NULL ||
        event_base_once(base, pf_worker_stop_fd(), EV_READ, stop, server,
                        NULL) != 0 ||
        pf_worker_ready() < 0) {
        return EXIT_FAILURE;
    }
    return event_base_dispatch(base) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void print_event(const pf_event *event, void *user) {
    (void)user;
    printf("%s\n", pf_event_message(event));
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

int main(int argc, char **argv) {
    struct server server = {0};
    pf_pool *pool = NULL;
    int task_id, result;
    if (argc < 3) {
        errx(2, "usage: evhttp PORT FILE [WORKERS]");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    server.file = argv[2];
    check(pf_bind_sockets("127.0.0.1", atoi(argv[1]), AF_INET, SOMAXCONN,
                          0, &server.listener, 1));
    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, argc > 3 ? atoi(argv[3]) : 2));
    check(pf_pool_set_worker_fn(pool, serve, &server, NULL));
    check(pf_pool_set_event_callback(pool, print_event, NULL, NULL));
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));
    check(pf_pool_set_ready_timeout(pool, 10000));
    check(pf_pool_set_max_restarts(pool, PF_UNLIMITED));
    /* No stop signal: the workers poll their stop descriptors. */
    check(pf_pool_set_stop(pool, 0, STOP_MS)); /* longer than IDLE_S */
    result = pf_pool_run(pool, &task_id);
    pf_pool_free(pool);
    check(result);
    return EXIT_SUCCESS;
}
