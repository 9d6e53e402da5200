/*
 * main.c - prefork(1): runs any program as a supervised pool
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "client.h"
#include "log.h"
#include "monitor.h"
#include "options.h"

enum { SOCKETS_MAX = 64, LEVEL_ERROR = 3, LEVEL_NOTICE = 5 };

/* ---- Before the pool ------------------------------------------------------------------------- */

static bool is_program(const char *path) { return access(path, X_OK) == 0; }

/* As execvp(3) finds it, so that what is wrong is said at once. */
static const char *find_program(const char *name) {
    static char path[4096];
    const char *directories = getenv("PATH");
    bool exists = false;

    if (strchr(name, '/') != NULL) {
        if (is_program(name)) {
            return name;
        }
        log_failure(name, -errno, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
    }
    for (const char *rest = directories == NULL ? "/usr/local/bin:/usr/bin:/bin" : directories;
         *rest != '\0';) {
        size_t length = strcspn(rest, ":");
        (void)snprintf(path, sizeof(path), "%.*s%s%s", (int)length, rest, length == 0 ? "" : "/",
                       name);
        if (is_program(path)) {
            return path;
        }
        exists = exists || access(path, F_OK) == 0;
        rest += length + (rest[length] == ':');
    }
    log_failure(name, exists ? -EACCES : -ENOENT,
                exists ? STATUS_NOT_EXECUTABLE : STATUS_NOT_FOUND);
}

/* What the workers write goes there as well. */
static void open_log_file(const char *path) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) {
        log_failure(path, -errno, STATUS_FAILED);
    }
    (void)close(fd);
}

static void bind_addresses(const struct options *options) {
    int fds[SOCKETS_MAX];

    for (int i = 0; i < options->listen_count; i++) {
        const struct address address = address_read(options->listen[i]);
        int result = address.is_unix
                         ? pf_bind_unix_socket(address.host, 0666, options->backlog)
                         : pf_bind_sockets(address.host[0] == '\0' ? NULL : address.host,
                                           address.port, 0, options->backlog, 0, fds, SOCKETS_MAX);
        if (result < 0) {
            log_failure(options->listen[i], result, STATUS_FAILED);
        }
    }
}

/* ---- The pool -------------------------------------------------------------------------------- */

static void check(int result, const char *what) {
    if (result < 0) {
        log_failure(what, result, STATUS_USAGE);
    }
}

static void set_limits(pf_pool *pool, const struct options *options) {
    check(pf_pool_set_restart_policy(pool, options->restart), "--restart");
    check(pf_pool_set_max_restarts(pool, options->max_restarts), "--max-restarts");
    check(pf_pool_set_restart_window(pool, options->window_max, options->window_ms),
          "--restart-window");
    check(pf_pool_set_backoff(pool, options->backoff_first_ms, options->backoff_max_ms),
          "--backoff");
    check(pf_pool_set_boot_limit(pool, options->boot_limit), "--boot-limit");
    check(pf_pool_set_lifetime(pool, options->lifetime_ms, options->lifetime_jitter_ms),
          "--lifetime");
    check(pf_pool_set_min_uptime(pool, options->uptime_ms), "--min-uptime");
    check(pf_pool_set_ready_timeout(pool, options->ready_ms), "--ready-timeout");
    check(pf_pool_set_heartbeat_timeout(pool, options->heartbeat_ms), "--heartbeat-timeout");
}

static pf_pool *make_pool(const struct options *options, const char *program) {
    pf_pool *pool = NULL;

    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, options->workers), "--workers");
    check(pf_pool_set_stop(pool, options->stop_signal, options->stop_ms), "--stop-signal");
    check(pf_pool_set_process_groups(pool, options->group), "--group");
    check(pf_pool_set_reload_order(pool, options->reload_order), "--reload-order");
    check(pf_pool_set_replace_width(pool, options->width), "--width");
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD), "signals");
    check(pf_pool_set_manager_notify(pool, 1), "notify");
    if (options->name != NULL) {
        check(pf_pool_set_name(pool, options->name), "--name");
    }
    set_limits(pool, options);
    check(pf_pool_set_exec(pool, program, options->program, NULL), program);
    check(pf_pool_set_foreign_workers(pool, options->native ? 0 : 1), "--native");
    return pool;
}

static void log_events(pf_pool *pool) {
    const pf_event *event = NULL;

    while (pf_pool_next_event(pool, &event) == 1) {
        log_event(event);
    }
}

/* Returns what the last dispatch returned. */
static int supervise(pf_pool *pool, struct monitor *monitor) {
    struct pollfd fds[1 + MONITOR_FDS_MAX];
    int result = 1;

    while (result == 1) {
        int timeout_ms = -1;
        int count = monitor == NULL ? 0 : monitor_prepare(monitor, fds + 1, &timeout_ms);
        fds[0] = (struct pollfd){.fd = pf_pool_fd(pool), .events = POLLIN};
        if (fds[0].fd < 0) {
            timeout_ms = 0; /* where there is no timer, the pool waits itself */
        }
        int ready = poll(fds, 1 + (nfds_t)count, timeout_ms);
        result = pf_pool_dispatch(pool, fds[0].fd < 0 ? 100 : 0);
        log_events(pool);
        if (ready > 0 || (ready == 0 && monitor != NULL)) {
            if (monitor != NULL) {
                monitor_handle(monitor, fds + 1, count);
            }
        } else if (ready < 0 && errno != EINTR) {
            log_line(LEVEL_ERROR, "poll: %s", strerror(errno));
            (void)pf_pool_stop(pool);
        }
    }
    return result;
}

static int run(const struct options *options, const char *program) {
    pf_pool *pool = make_pool(options, program);
    struct monitor *monitor = NULL;

    if (options->metrics != NULL) {
        monitor = monitor_open(options->metrics, pool, options->name == NULL ? "" : options->name,
                               options->group != 0);
    }
    int result = pf_pool_start(pool);
    if (result == 0) {
        result = supervise(pool, monitor);
    }
    int stop_signal = result == 0 ? pf_pool_stop_signal(pool) : 0;
    monitor_close(monitor);
    pf_pool_free(pool);
    if (result < 0) {
        log_failure("the pool has failed", result, STATUS_FAILED);
    }
    if (stop_signal != 0) {
        return pf_die_of_signal(stop_signal) < 0 ? STATUS_FAILED : 0;
    }
    return 0;
}

int main(int argc, char **argv) {
    struct options options;

    if (argc == 3 && (strcmp(argv[1], "status") == 0 || strcmp(argv[1], "top") == 0)) {
        return client_show(argv[2], argv[1][0] == 't');
    }
    options_read(&options, argc, argv);
    log_open(options.json);
    const char *program = find_program(options.program[0]);
    if (options.log_file != NULL) {
        open_log_file(options.log_file);
    }
    if (options.daemon) {
        int result = pf_daemonize(options.pid_file);
        if (result < 0) {
            log_failure(options.pid_file == NULL ? "--daemon" : options.pid_file, result,
                        STATUS_FAILED);
        }
    }
    bind_addresses(&options);
    return run(&options, program);
}
