/*
 * microhttpd.c - workers with libmicrohttpd, which lose no request
 *
 * SPDX-License-Identifier: MIT
 *
 * HUP reloads the text, TERM ends the program. A worker that stops
 * accepts no more, says "Connection: close" in each answer, and ends
 * when the clients have closed their connections.
 */
#include <err.h>
#include <microhttpd.h>
#include <poll.h>
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
    int is_stopping;
};

static enum MHD_Result answer(void *user, struct MHD_Connection *client,
                              const char *url, const char *method,
                              const char *version, const char *body,
                              size_t *body_size, void **state) {
    struct server *server = user;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(server->text), server->text, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_NO;
    (void)url, (void)method, (void)version, (void)body, (void)state;
    *body_size = 0;
    if (response != NULL) {
        if (server->is_stopping) {
            MHD_add_response_header(response, "Connection", "close");
        }
        result = MHD_queue_response(client, MHD_HTTP_OK, response);
        MHD_destroy_response(response);
    }
    return result;
}

static const union MHD_DaemonInfo *
get_info(struct MHD_Daemon *http, enum MHD_DaemonInfoType what) {
    return MHD_get_daemon_info(http, what);
}

/* Until the worker should stop, and the last client has closed. One that
 * asks nothing more is left after IDLE_S. */
static void run(struct MHD_Daemon *http, struct server *server) {
    struct pollfd both[2] = {
        {get_info(http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, POLLIN, 0},
        {pf_worker_stop_fd(), POLLIN, 0}};
    while (!server->is_stopping ||
           get_info(http, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
                   ->num_connections > 0) {
        MHD_UNSIGNED_LONG_LONG wait_ms = 1000;
        if (MHD_get_timeout(http, &wait_ms) != MHD_YES ||
            wait_ms > 1000) {
            wait_ms = 1000;
        }
        if (poll(both, 2, (int)wait_ms) > 0 && both[1].revents != 0) {
            both[1].fd = -1; /* it stays readable */
            server->is_stopping = 1;
            /* The other workers accept what waits in the socket. */
            MHD_quiesce_daemon(http);
        }
        MHD_run(http);
    }
}

static int serve(int task_id, void *user) {
    struct server *server = user;
    FILE *file = fopen(server->file, "r");
    (void)task_id;
    /* A terminal sends these to every process of the program. */
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    if (file == NULL || pf_worker_stop_fd() < 0) {
        return EXIT_FAILURE;
    }
    server->text[fread(server->text, 1, sizeof server->text - 1, file)] =
        '\0';
    fclose(file);
    struct MHD_Daemon *http = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, answer, server,
        MHD_OPTION_LISTEN_SOCKET, server->listener,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
    if (http == NULL || pf_worker_ready() < 0) {
        return EXIT_FAILURE;
    }
    run(http, server);
    MHD_stop_daemon(http);
    return EXIT_SUCCESS;
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
        errx(2, "usage: microhttpd PORT FILE [WORKERS]");
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
