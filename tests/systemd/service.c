// A service for a real systemd: service [OPTION]...
//
//   -b PATH    make a UNIX socket there; else the sockets come from systemd
//   -d MS      what a worker needs until it is ready
//   -r MS      how long a worker may need until it is ready
//   -x PATH    a worker that finds this file ends with status 1
//   -s         workers ignore SIGTERM
//   -u         SIGHUP is a request to upgrade the supervisor
//
// Two workers answer each connection with "TASK PID SUPERVISOR", as HTTP.
//
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 2, SOCKETS_MAX = 4, BACKLOG = 1024, STOP_MS = 1000, REQUEST_MS = 1000 };

struct service {
    int sockets[SOCKETS_MAX], count;
    long delay_ms;
    const char *obstacle;
    int is_stubborn;
};

static int check(int result, const char *what) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s: %s", what, pf_strerror(result));
    }
    return result;
}

static void answer(int connection, int task_id) {
    char request[1024];
    struct pollfd asked = {.fd = connection, .events = POLLIN};
    if (poll(&asked, 1, REQUEST_MS) == 1 && read(connection, request, sizeof request) > 0) {
        char body[64], text[192];
        const int size =
            snprintf(body, sizeof body, "%d %d %d\n", task_id, (int)getpid(), (int)getppid());
        const int length = snprintf(text, sizeof text,
                                    "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
                                    "Connection: close\r\n\r\n%s",
                                    size, body);
        (void)send(connection, text, (size_t)length, MSG_NOSIGNAL);
    }
    close(connection);
}

static int serve(int task_id, void *user) {
    const struct service *service = user;
    struct pollfd fds[SOCKETS_MAX];
    const struct timespec delay = {.tv_sec = service->delay_ms / 1000,
                                   .tv_nsec = service->delay_ms % 1000 * 1000000};
    if (service->is_stubborn && signal(SIGTERM, SIG_IGN) == SIG_ERR) {
        return EXIT_FAILURE;
    }
    nanosleep(&delay, NULL);
    if (service->obstacle != NULL && access(service->obstacle, F_OK) == 0) {
        return EXIT_FAILURE;
    }
    if (pf_worker_ready() < 0) {
        return EXIT_FAILURE;
    }
    // SIGTERM ends a worker while it waits, and never in the middle of an answer.
    sigset_t stop, others;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, &others);
    for (int i = 0; i < service->count; i++) {
        fds[i] = (struct pollfd){.fd = service->sockets[i], .events = POLLIN};
    }
    while (ppoll(fds, (nfds_t)service->count, NULL, &others) >= 0) {
        for (int i = 0; i < service->count; i++) {
            const int connection = fds[i].revents != 0 ? pf_accept(fds[i].fd) : -1;
            if (connection >= 0) {
                answer(connection, task_id);
            }
        }
    }
    return EXIT_FAILURE;
}

// ---- Upgrades of the supervisor -----------------------------------------------------------

static pf_pool *upgraded;
static volatile sig_atomic_t is_upgrade_wanted;

static void want_upgrade(int signal_number) {
    (void)signal_number; // HUP is the only one
    is_upgrade_wanted = 1;
    (void)pf_pool_wake(upgraded);
}

static void handle_hup(void) {
    struct sigaction action = {.sa_handler = want_upgrade, .sa_flags = SA_RESTART};
    if (sigaction(SIGHUP, &action, NULL) != 0) {
        err(EXIT_FAILURE, "sigaction");
    }
}

// Returns what the pool has come to.
static int run_with_upgrades(pf_pool *pool) {
    int result = check(pf_pool_start(pool), "pf_pool_start") == 0;
    while (result == 1) {
        const pf_event *event = NULL;
        while (pf_pool_next_event(pool, &event) == 1) {
            (void)fprintf(stderr, "%s\n", pf_event_message(event));
        }
        if (is_upgrade_wanted != 0) {
            is_upgrade_wanted = 0;
            const int error = pf_upgrade(NULL, NULL, NULL);
            is_upgrade_wanted = error == -EAGAIN;
            (void)fprintf(stderr, "pf_upgrade: %s\n", pf_strerror(error));
        }
        result = pf_pool_dispatch(pool, -1);
    }
    return result;
}

int main(int argc, char **argv) {
    static struct service service;
    pf_pool *pool = NULL;
    const char *path = NULL;
    long ready_ms = 0;
    int option, task_id, has_upgrades = 0;
    while ((option = getopt(argc, argv, "b:d:r:x:su")) != -1) {
        switch (option) {
        case 'b':
            path = optarg;
            break;
        case 'd':
            service.delay_ms = atol(optarg);
            break;
        case 'r':
            ready_ms = atol(optarg);
            break;
        case 'x':
            service.obstacle = optarg;
            break;
        case 's':
            service.is_stubborn = 1;
            break;
        case 'u':
            has_upgrades = 1;
            break;
        default:
            return 2;
        }
    }
    if (path != NULL) {
        service.sockets[0] = check(pf_bind_unix_socket(path, 0600, BACKLOG), path);
        service.count = 1;
    } else {
        service.count = check(pf_listen_fds(service.sockets, SOCKETS_MAX), "pf_listen_fds");
    }
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, WORKERS), "workers");
    check(pf_pool_set_worker_fn(pool, serve, &service, NULL), "worker_fn");
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD), "signals");
    check(pf_pool_set_stop(pool, SIGTERM, STOP_MS), "stop");
    check(pf_pool_set_ready_timeout(pool, ready_ms > 0 ? (uint64_t)ready_ms : 10000), "ready");
    check(pf_pool_set_boot_limit(pool, 3), "boot_limit");
    check(pf_pool_set_manager_notify(pool, 1), "manager_notify");
    if (has_upgrades) {
        upgraded = pool;
        handle_hup(); // before the pool chooses its signals
    }
    const int result = has_upgrades ? run_with_upgrades(pool) : pf_pool_run(pool, &task_id);
    pf_pool_free(pool);
    if (path != NULL) {
        (void)unlink(path); // the library leaves it to the host
    }
    return check(result, "pf_pool_run") < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
