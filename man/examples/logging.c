/*
 * logging.c - a daemon that logs events to syslog and requests to a file
 *
 * SPDX-License-Identifier: MIT
 *
 *   logging PORT PID_FILE LOG_FILE
 *
 * To rotate the log file, rename it and send the daemon SIGUSR1:
 *
 *   mv LOG_FILE LOG_FILE.1 && kill -USR1 $(cat PID_FILE)
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

struct server {
    int listener;
    const char *log_file;
};

static volatile sig_atomic_t must_open = 1;

static void request_open(int number) {
    (void)number;
    must_open = 1;
}

/* Opens the log file, again after each SIGUSR1. Keeps the old one if
 * that fails. */
static int open_log(int log, const char *file) {
    must_open = 0;
    int fresh =
        open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fresh < 0) {
        syslog(LOG_ERR, "%s: %s", file, strerror(errno));
        return log;
    }
    if (log >= 0) {
        close(log);
    }
    return fresh;
}

static int serve(int task_id, void *user) {
    const struct server *server = user;
    struct pollfd listener = {.fd = server->listener, .events = POLLIN};
    int log = -1;
    sigset_t usr1, others;

    /* SIGUSR1 is unblocked only while the worker waits. */
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &usr1, &others) != 0 ||
        signal(SIGUSR1, request_open) == SIG_ERR ||
        (log = open_log(log, server->log_file)) < 0 ||
        pf_worker_ready() < 0) {
        return EXIT_FAILURE;
    }
    for (;;) {
        int count = ppoll(&listener, 1, NULL, &others);
        if (must_open) {
            log = open_log(log, server->log_file);
        }
        int connection = count == 1 ? pf_accept(listener.fd) : -EAGAIN;
        if (connection >= 0) {
            dprintf(log, "task %d, pid %d: hello\n", task_id, getpid());
            (void)send(connection, "hello\n", 6, MSG_NOSIGNAL);
            close(connection);
        } else if (connection != -EAGAIN) {
            syslog(LOG_ERR, "pf_accept: %s", pf_strerror(connection));
            return EXIT_FAILURE; /* the supervisor restarts it */
        }
    }
}

/* The levels of events are those of syslog(3). */
static void log_event(const pf_event *event, void *user) {
    (void)user;
    syslog(pf_event_level(event), "%s", pf_event_message(event));
}

/* Until the daemon is ready, the command that launched it shows what it
 * writes to standard error. Later only syslog can tell. */
static void check(int result, const char *what) {
    if (result < 0) {
        syslog(LOG_ERR, "%s: %s", what, pf_strerror(result));
        errx(EXIT_FAILURE, "%s: %s", what, pf_strerror(result));
    }
}

int main(int argc, char **argv) {
    struct server server;
    pf_pool *pool;
    int task_id, result;
    if (argc != 4) {
        errx(2, "usage: logging PORT PID_FILE LOG_FILE");
    }
    server.log_file = argv[3];
    openlog("logging", LOG_PID, LOG_DAEMON);
    check(pf_daemonize(argv[2]), argv[2]);
    result = pf_bind_sockets("127.0.0.1", atoi(argv[1]), AF_INET,
                             SOMAXCONN, 0, &server.listener, 1);
    check(result, argv[1]);
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, 2), "pf_pool_set_workers");
    check(pf_pool_set_worker_fn(pool, serve, &server, NULL),
          "pf_pool_set_worker_fn");
    check(pf_pool_set_event_callback(pool, log_event, NULL, NULL),
          "pf_pool_set_event_callback");
    /* These pass SIGUSR1 to workers that are ready. */
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD),
          "pf_pool_set_signals");
    check(pf_pool_set_ready_timeout(pool, 10000),
          "pf_pool_set_ready_timeout");
    check(pf_pool_set_backoff(pool, 100, 5000), "pf_pool_set_backoff");
    result = pf_pool_run(pool, &task_id);
    pf_pool_free(pool);
    check(result, "pf_pool_run");
    return EXIT_SUCCESS; /* this removes the pid file */
}
