/*
 * main.c - prefork(1): runs any program as a supervised pool
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "client.h"
#include "log.h"
#include "monitor.h"
#include "options.h"
#include "upgrade.h"

enum { SOCKETS_MAX = 64, LEVEL_ERROR = 3, LEVEL_INFORMATION = 6 };

/* ---- Before the pool ------------------------------------------------------------------------- */

static bool is_upgrade;

/* A descriptor that is closed would become a socket or the log file, and what is written as output
 * would go there, or nowhere. */
static void open_standard_files(void) {
    int fd = open("/dev/null", O_RDWR);

    while (fd >= 0 && fd <= STDERR_FILENO) {
        fd = open("/dev/null", O_RDWR);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Directories have the same permission, and cannot be executed. */
static bool is_program(const char *path) {
    struct stat status;

    return access(path, X_OK) == 0 && stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* After an upgrade the workers serve, and the next start of one fails. */
static const char *cannot_find(const char *name, int error) {
    if (!is_upgrade) {
        log_failure(name, error, error == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
    }
    log_line(LEVEL_ERROR, "%s: %s", name, pf_strerror(error));
    return name;
}

/* As execvp(3) finds it, so that what is wrong is said at once. */
static const char *find_program(const char *name) {
    static char path[4096];
    const char *directories = getenv("PATH");
    bool exists = false;

    if (strchr(name, '/') != NULL) {
        if (is_program(name)) {
            return name;
        }
        return cannot_find(name, access(name, X_OK) == 0 ? -EACCES : -errno);
    }
    /* An empty part, also the last one, is the current directory. */
    for (const char *rest = directories == NULL ? "/usr/local/bin:/usr/bin:/bin" : directories;
         rest != NULL;) {
        size_t length = strcspn(rest, ":");
        (void)snprintf(path, sizeof(path), "%.*s%s%s", (int)length, rest, length == 0 ? "" : "/",
                       name);
        if (is_program(path)) {
            return path;
        }
        exists = exists || access(path, F_OK) == 0;
        rest = rest[length] == ':' ? rest + length + 1 : NULL;
    }
    return cannot_find(name, exists ? -EACCES : -ENOENT);
}

/* A reader of the log that has gone must not end the supervisor. Unlike an ignored signal, one with
 * a handler has its default action in the workers. */
static void do_nothing(int number) { (void)number; }

static void handle_if_default(int number) {
    const struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
    struct sigaction present;

    if (sigaction(number, NULL, &present) == 0 && present.sa_handler == SIG_DFL) {
        (void)sigaction(number, &action, NULL);
    }
}

/* The kernel has chosen it, the same one for each address of the host. */
static void log_port(const char *text, int fd) {
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);
    char port[8];

    if (getsockname(fd, (struct sockaddr *)&name, &length) == 0 &&
        getnameinfo((struct sockaddr *)&name, length, NULL, 0, port, sizeof(port),
                    NI_NUMERICSERV) == 0) {
        log_line(LEVEL_INFORMATION, "%s has port %s", text, port);
    }
}

/* The workers get the sockets of the service manager as it passed them. The flags belong to all
 * that share a socket: after an upgrade, too, they are what the workers have made of them. */
static void pass_on_listen_fds(const struct options *options) {
    const int first = 3;
    int fds[SOCKETS_MAX], flags[SOCKETS_MAX];

    for (int i = 0; i < SOCKETS_MAX; i++) {
        flags[i] = fcntl(first + i, F_GETFL);
    }
    int count = pf_listen_fds(fds, SOCKETS_MAX);
    if (count < 0) {
        log_failure("LISTEN_FDS", count, STATUS_FAILED);
    }
    for (int i = 0; i < count && !options->native; i++) {
        (void)fcntl(fds[i], F_SETFL, flags[i]);
    }
}

/* As systemd passes sockets: a program that waits in accept(2) would fail otherwise, and one that
 * must not wait sees to that itself. Programs with the library expect what pf_accept() needs. */
static void make_blocking(const int *fds, int count) {
    for (int i = 0; i < count; i++) {
        const int flags = fcntl(fds[i], F_GETFL);
        if (flags < 0 || fcntl(fds[i], F_SETFL, flags & ~O_NONBLOCK) < 0) {
            log_failure("fcntl", -errno, STATUS_FAILED);
        }
    }
}

static void bind_addresses(const struct options *options) {
    int fds[SOCKETS_MAX];

    pass_on_listen_fds(options);
    for (int i = 0; i < options->listen_count; i++) {
        const struct address address = address_read(options->listen[i]);
        int result = address.is_unix
                         ? pf_bind_unix_socket(address.host, 0666, options->backlog)
                         : pf_bind_sockets(address.host[0] == '\0' ? NULL : address.host,
                                           address.port, 0, options->backlog, 0, fds, SOCKETS_MAX);
        if (result < 0) {
            log_failure(options->listen[i], result, STATUS_FAILED);
        }
        if (address.is_unix) {
            fds[0] = result; /* the socket; otherwise how many */
        }
        if (!options->native && !is_upgrade) {
            make_blocking(fds, address.is_unix ? 1 : result);
        }
        if (!address.is_unix && address.port == 0) {
            log_port(options->listen[i], fds[0]);
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
    check(pf_pool_set_parent_death_signal(pool, options->stop_signal == 0 ? SIGKILL
                                                                          : options->stop_signal),
          "--stop-signal");
    check(pf_pool_set_process_groups(pool, options->group), "--group");
    check(pf_pool_set_reload_order(pool, options->reload_order), "--reload-order");
    check(pf_pool_set_replace_width(pool, options->width), "--width");
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD), "signals");
    check(pf_pool_set_manager_notify(pool, 1), "notify");
    if (getpid() == 1) { /* the parent of all orphans of a container */
        check(pf_pool_set_reap_orphans(pool, PF_REAP_ALL), "orphans");
    }
    if (options->name != NULL) {
        check(pf_pool_set_name(pool, options->name), "--name");
    }
    set_limits(pool, options);
    check(pf_pool_set_exec(pool, program, options->program, NULL), program);
    check(pf_pool_set_foreign_workers(pool, options->native ? 0 : 1), "--native");
    check(pf_pool_set_spares(pool, options->spares), "--spares");
    return pool;
}

/* A log file that was renamed is begun anew at a reload, before the new workers start. */
static void log_events(pf_pool *pool, const struct options *options) {
    const pf_event *event = NULL;

    while (pf_pool_next_event(pool, &event) == 1) {
        if (pf_event_type(event) == PF_EVENT_RELOADING && options->log_file != NULL) {
            int result = log_to_file(options->log_file);
            if (result < 0) {
                log_line(LEVEL_ERROR, "%s: %s", options->log_file, pf_strerror(result));
            }
        }
        /* SIGUSR2 has a handler of ours. */
        if (pf_event_type(event) != PF_EVENT_SIGNAL_UNAVAILABLE ||
            pf_event_signal(event) != SIGUSR2) {
            log_event(event);
        }
    }
}

/* Returns what the last dispatch returned. */
static int supervise(pf_pool *pool, const struct options *options, struct monitor *monitor) {
    struct pollfd fds[1 + MONITOR_FDS_MAX];
    int result = 1;

    while (result == 1) {
        upgrade_if_requested();
        int timeout_ms = -1;
        int count = monitor == NULL ? 0 : monitor_prepare(monitor, fds + 1, &timeout_ms);
        fds[0] = (struct pollfd){.fd = pf_pool_fd(pool), .events = POLLIN};
        if (fds[0].fd < 0) {
            timeout_ms = 0; /* where there is no timer, the pool waits itself */
        }
        int ready = poll(fds, 1 + (nfds_t)count, timeout_ms);
        const int error = ready < 0 ? errno : 0;
        result = pf_pool_dispatch(pool, fds[0].fd < 0 ? 100 : 0);
        log_events(pool, options);
        if (ready > 0 || (ready == 0 && monitor != NULL)) {
            if (monitor != NULL) {
                monitor_handle(monitor, fds + 1, count);
            }
        } else if (error != 0 && error != EINTR) {
            log_line(LEVEL_ERROR, "poll: %s", strerror(error));
            (void)pf_pool_stop(pool);
        }
    }
    return result;
}

/* What a shell would end with, where the program cannot be executed. */
static int status_of_failure(int error) {
    switch (error) {
    case -EACCES:
    case -ENOEXEC:
        return STATUS_NOT_EXECUTABLE;
    case -ENOENT: /* also the interpreter of a script */
        return STATUS_NOT_FOUND;
    default:
        return STATUS_FAILED;
    }
}

static int run(const struct options *options, const char *program) {
    pf_pool *pool = make_pool(options, program);
    struct monitor *monitor = NULL;

    upgrade_prepare(pool);
    if (options->metrics != NULL) {
        monitor = monitor_open(options->metrics, pool, options->name == NULL ? "" : options->name,
                               options->group != 0);
        if (monitor == NULL && !is_upgrade) {
            exit(STATUS_FAILED);
        }
    }
    int status = STATUS_FAILED;
    int result = pf_pool_start(pool);
    if (result == 0) {
        result = supervise(pool, options, monitor);
        status = status_of_failure(result);
    }
    int stop_signal = result == 0 ? pf_pool_stop_signal(pool) : 0;
    monitor_close(monitor);
    pf_pool_free(pool);
    if (result < 0) {
        log_failure("the pool has failed", result, status);
    }
    if (stop_signal != 0) {
        return pf_die_of_signal(stop_signal) < 0 ? STATUS_FAILED : 0;
    }
    return 0;
}

/* Before there is a daemon, so that the command that launches it ends with that status. */
static void check_arguments(const struct options *options, const char *program) {
    for (int i = 0; i < options->listen_count; i++) {
        (void)address_read(options->listen[i]);
    }
    if (options->metrics != NULL) {
        monitor_check(options->metrics);
    }
    pf_pool_free(make_pool(options, program));
}

static void become_daemon(const struct options *options) {
    int result = pf_daemonize(options->pid_file);

    if (result == -EEXIST) {
        log_line(LEVEL_ERROR, "%s: a daemon that runs has this pid file", options->pid_file);
        exit(STATUS_FAILED);
    }
    if (result < 0) {
        log_failure(options->pid_file == NULL ? "--daemon" : options->pid_file, result,
                    STATUS_FAILED);
    }
}

int main(int argc, char **argv) {
    struct options options;

    if (argc >= 2 && (strcmp(argv[1], "status") == 0 || strcmp(argv[1], "top") == 0)) {
        if (argc != 3) {
            usage_error("%s needs one SOCKET", argv[1]);
        }
        return client_show(argv[2], argv[1][0] == 't');
    }
    options_read(&options, argc, argv);
    open_standard_files();
    log_open(options.json);
    is_upgrade = upgrade_is_done();
    const char *program = find_program(options.program[0]);
    check_arguments(&options, program);
    handle_if_default(SIGPIPE);
    handle_if_default(SIGXFSZ);
    if (options.daemon) {
        become_daemon(&options);
    }
    /* After that, as pf_daemonize() leaves alone what was opened in place of stdio. */
    if (options.log_file != NULL) {
        int result = log_to_file(options.log_file);
        if (result < 0 && !is_upgrade) {
            log_failure(options.log_file, result, STATUS_FAILED);
        }
        if (result < 0) { /* the one from before stays open, and the workers serve */
            log_line(LEVEL_ERROR, "%s: %s", options.log_file, pf_strerror(result));
        }
    }
    bind_addresses(&options);
    return run(&options, program);
}
