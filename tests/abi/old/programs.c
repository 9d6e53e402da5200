/*
 * programs.c - workers that are executed, their sockets, and a daemon
 *
 * SPDX-License-Identifier: MIT
 */
#include "program.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Answers one connection of each socket with one byte. */
static int answer(const int *fds) {
    int failed = pf_worker_ready() != 0 || pf_worker_fd("input") < 3;
    for (int i = 0; i < 2; i++) {
        struct pollfd wait = {fds[i], POLLIN, 0};
        (void)poll(&wait, 1, -1);
        const int connection = pf_accept(fds[i]);
        failed += connection < 0 || write(connection, i == 0 ? "t" : "u", 1) != 1;
        failed += pf_accept(fds[i]) >= 0;
    }
    return failed;
}

static void ask(const void *address, socklen_t length) {
    char byte = '?';
    const struct sockaddr *name = (const struct sockaddr *)address;
    const int fd = socket(name->sa_family, SOCK_STREAM, 0);
    print_number(-1, "connect", connect(fd, name, length));
    print_number(-1, "read", read(fd, &byte, 1));
    print_number(-1, "answer", byte);
    (void)close(fd);
}

/* The supervisor and its worker both begin here. */
int play_exec(const char *path) {
    struct sockaddr_in tcp;
    struct sockaddr_un local;
    socklen_t length = sizeof(tcp);
    int fds[2];
    int task_id = -1;
    const int bound = pf_bind_sockets("127.0.0.1", 0, AF_INET, 8, PF_BIND_REUSEPORT, fds, 1);
    fds[1] = pf_bind_unix_socket(path, 0600, 8);
    pf_pool *pool = make_pool("exec", 1);
    pf_pool_set_exec(pool, NULL, NULL, NULL);
    pf_pool_set_ready_timeout(pool, 30000);
    if (pf_task_id() >= 0) {
        const int result = pf_pool_run(pool, &task_id);
        pf_pool_free(pool);
        return result != 0 || task_id != 0 || bound != 1 || answer(fds);
    }
    memset(&local, 0, sizeof(local));
    local.sun_family = AF_UNIX;
    (void)snprintf(local.sun_path, sizeof(local.sun_path), "%s", path);
    print_number(-1, "sockets", bound);
    pf_pool_add_fd(pool, "input", STDIN_FILENO);
    print_number(-1, "start", pf_pool_start(pool));
    print_until(pool, PF_EVENT_READY, 0);
    (void)getsockname(fds[0], (struct sockaddr *)&tcp, &length);
    ask(&tcp, length);
    ask(&local, sizeof(local));
    print_to_end(pool);
    pf_pool_free(pool);
    return unlink(path);
}

int play_foreign(void) {
    const char *const arguments[] = {"sh", "-c", "test -z \"$PF_SUPERVISOR\" && exit 9", NULL};
    int task_id = 0;
    pf_pool *pool = make_pool("foreign", 1);
    pf_pool_set_exec(pool, "/bin/sh", arguments, NULL);
    pf_pool_set_foreign_workers(pool, 1);
    pf_pool_set_exit_action(pool, 9, PF_EXIT_DONE);
    pf_pool_set_event_callback(pool, print_event, NULL, NULL);
    print_number(-1, "run", pf_pool_run(pool, &task_id));
    pf_pool_free(pool);
    return 0;
}

int play_daemon(const char *path) {
    const int result = pf_daemonize(path);
    print_number(-1, "daemon", result);
    (void)fflush(stdout);
    return result != 0 || pf_daemon_ready() != 0;
}
