/*
 * exec_worker.c - a program that a pool executes: it takes step after step and reports
 *
 *   exec_worker STEP...
 *
 *   run:POOL        pf_pool_run() of a pool with that name
 *   start:POOL      pf_pool_start()
 *   fork            pf_fork_processes()
 *   own:POOL        the same, and the workers of the pool are this program
 *   inner:POOL      a pool of one worker by exec, which runs that pool and ends
 *   supervise:POOL  the pool has a worker function of its own, and is run to its end
 *   twin            the same two, in a child that was forked before
 *   child           executes this program with the step env in a child
 *   ready           pf_worker_ready()
 *   retire          pf_worker_retire()
 *   upgrade         pf_upgrade() to this program
 *   beat:N          so many signs of life, 5 ms apart
 *   daemonize       pf_daemonize()
 *   stderr          where it leads
 *   told            waits for the stop descriptor, which nothing else tells it
 *   mute            tries to say something from a child of its own
 *   listen          pf_listen_fds()
 *   bind:PORT       pf_bind_sockets() for 127.0.0.1
 *   unix:PATH       pf_bind_unix_socket()
 *   shut:FD         closes it, in the supervisor alone
 *   fd:NAME fds env signals args   what this process has
 *   exit:N wait term               the end
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prefork.h"
#include "process.h"
#include "report.h"

static char **arguments_of_main;

static const char *name_or_none(const char *name) { return name == NULL ? "none" : name; }

static void tell_descriptors(void) {
    char list[1024] = "";
    size_t length = 0;
    int read_ends = 0, write_ends = 0; /* of pipes that are close-on-exec */

    for (int fd = 0; fd < 1024; fd++) {
        char path[64];
        char target[32] = "";
        int flags = fcntl(fd, F_GETFD);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (flags >= 0 && length < sizeof(list) - 64) {
            bool named = readlink(path, target, sizeof(target) - 1) > 0;
            bool pidfd = named && strstr(target, "pidfd") != NULL;
            if (named && strncmp(target, "pipe:", 5) == 0 && (flags & FD_CLOEXEC) != 0) {
                bool writes = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
                write_ends += writes ? 1 : 0;
                read_ends += writes ? 0 : 1;
                continue;
            }
            length += (size_t)snprintf(list + length, sizeof(list) - length, " %d%s%s", fd,
                                       (flags & FD_CLOEXEC) != 0 ? "c" : "", pidfd ? "p" : "");
        }
    }
    report("fds%s, pipes %d %d.", list, read_ends, write_ends);
}

static int works(int task_id, void *user) {
    report("function task=%d pool=%s of %s", task_id, name_or_none(pf_worker_pool_name()),
           (const char *)user);
    tell_descriptors();
    return 5;
}

static void release(void *user) { report("released %s", (const char *)user); }

static pf_pool *make_pool(const char *name) {
    pf_pool *pool = NULL;

    if (pf_pool_new(&pool) != 0 || pf_pool_set_name(pool, name) != 0 ||
        pf_pool_set_workers(pool, 1) != 0 || pf_pool_set_max_restarts(pool, 0) != 0) {
        report("no pool");
        exit(92);
    }
    return pool;
}

static void run(const char *name) {
    pf_pool *pool = make_pool(name);
    int task_id = -2;

    int result = pf_pool_run(pool, &task_id);
    report("run %s result=%d task=%d", name, result, task_id);
    if (result == 0) {
        report("afterwards %d %d", pf_pool_run(pool, &task_id), pf_pool_set_workers(pool, 2));
    }
    (void)pf_pool_free(pool);
}

static void execute_own(const char *name) {
    pf_pool *pool = make_pool(name);
    int task_id = -2;
    int result = pf_pool_set_exec(pool, NULL, NULL, NULL);

    result = result < 0 ? result : pf_pool_run(pool, &task_id);
    report("own %s result=%d task=%d", name, result, task_id);
    (void)pf_pool_free(pool);
}

static void ignore_event(const pf_event *event, void *user) {
    (void)event;
    (void)user;
}

/* Whatever goes wrong, the worker makes no pool by exec. */
static void execute_inner(const char *name) {
    char step[80];
    (void)snprintf(step, sizeof(step), "run:%s", name);
    const char *const arguments[] = {"exec_worker", step, "exit:3", NULL};
    pf_pool *pool = make_pool(name);
    int task_id = -2;
    int result = pf_pool_set_exec(pool, NULL, arguments, NULL);

    result = result < 0 ? result : pf_pool_set_event_callback(pool, ignore_event, NULL, NULL);
    result = result < 0 ? result : pf_pool_run(pool, &task_id);
    report("inner %s result=%d task=%d", name, result, task_id);
    report("inner %s started=%d", name, pf_pool_start(pool));
    (void)pf_pool_free(pool);
}

static void start(const char *name) {
    pf_pool *pool = make_pool(name);
    int result = pf_pool_set_worker_fn(pool, works, NULL, NULL);

    result = result < 0 ? result : pf_pool_start(pool);
    report("start %s result=%d", name, result);
    (void)pf_pool_free(pool);
}

static void supervise(char *name) {
    pf_pool *pool = make_pool(name);
    int task_id = -2;
    int result = pf_pool_set_worker_fn(pool, works, name, release);

    result = result < 0 ? result : pf_pool_set_event_callback(pool, ignore_event, NULL, NULL);
    result = result < 0 ? result : pf_pool_set_restart_policy(pool, PF_RESTART_NEVER);
    result = result < 0 ? result : pf_pool_run(pool, &task_id);
    report("supervise %s result=%d task=%d", name, result, task_id);
    (void)pf_pool_free(pool);
}

/* Runs in a child, and tells how it ended if not by status 0. */
static void in_child(void (*what)(void)) {
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        what();
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        report("child status=%d", status);
    }
}

static void be_twin(void) {
    report("twin");
    run("");
    start("");
    report("twin fork result=%d", pf_fork_processes(1, 0));
}

static void execute_again(void) {
    execl("/proc/self/exe", "exec_worker", "env", "supervise:child", "fds", (char *)NULL);
    _exit(91);
}

static void tell_descriptor(const char *name) {
    char content[64] = "";
    int fd = pf_worker_fd(name);
    ssize_t length = fd < 0 ? 0 : pread(fd, content, sizeof(content) - 1, 0);

    content[length < 0 ? 0 : length] = '\0';
    report("fd %s=%d flags=%d content=%s", name, fd, fd < 0 ? -1 : fcntl(fd, F_GETFD), content);
}

/* For each the number, the inode and the flags: c close-on-exec, n non-blocking. */
static void tell_sockets(const char *what, const char *of, const int *sockets, int count) {
    char list[256] = "";

    for (int i = 0; i < count; i++) {
        struct stat status = {0};
        (void)fstat(sockets[i], &status); /* then its inode is 0 */
        (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), " %d=%lu%s%s", sockets[i],
                       (unsigned long)status.st_ino,
                       (fcntl(sockets[i], F_GETFD) & FD_CLOEXEC) != 0 ? "c" : "",
                       (fcntl(sockets[i], F_GETFL) & O_NONBLOCK) != 0 ? "n" : "");
    }
    report("%s %s: %d%s.", what, of, count, list);
}

static void take_passed(void) {
    int sockets[8];
    tell_sockets("listen", "fds", sockets, pf_listen_fds(sockets, 8));
}

static void bind_port(const char *port) {
    int sockets[8];
    tell_sockets("bind", port, sockets,
                 pf_bind_sockets("127.0.0.1", atoi(port), AF_INET, 0, 0, sockets, 8));
}

static void bind_path(const char *path) {
    int socket = pf_bind_unix_socket(path, 0600, 0);
    tell_sockets("unix", path, &socket, socket < 0 ? socket : 1);
}

/* The tests themselves are told of directories. */
static bool is_of_interest(const char *variable) {
    return (strncmp(variable, "PF_", 3) == 0 && strstr(variable, "_DIR=") == NULL) ||
           strncmp(variable, "LISTEN_", 7) == 0 || strncmp(variable, "TEST_", 5) == 0 ||
           strncmp(variable, "NOTIFY_", 7) == 0;
}

static void tell_environment(void) {
    unsigned count = 0;

    for (char **variable = environ; *variable != NULL; variable++) {
        count++;
        if (is_of_interest(*variable)) {
            report("env %s.", *variable);
        }
    }
    const char *listener = getenv("LISTEN_PID");
    report("variables=%u listens=%d", count,
           listener != NULL && strtol(listener, NULL, 10) == (long)getpid());
}

static void tell_stderr(void) {
    char target[256] = "";

    (void)!readlink("/proc/self/fd/2", target, sizeof(target) - 1);
    report("stderr %s.", target);
}

/* Without the two that the C library has for itself. */
static unsigned long long signals(const char *name) {
    return (unsigned long long)process_signals(getpid(), name) & ~(3ULL << 31);
}

static void tell_signals(void) {
    int death_signal = -1;

    if (prctl(PR_GET_PDEATHSIG, &death_signal) != 0) {
        death_signal = -2;
    }
    report("signals blocked=%llx ignored=%llx caught=%llx death=%d leads=%d", signals("SigBlk"),
           signals("SigIgn"), signals("SigCgt"), death_signal, getpgrp() == getpid());
}

static void tell_arguments(void) {
    char list[1024] = "";
    char name[17] = "";

    for (char **argument = arguments_of_main; *argument != NULL; argument++) {
        (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "[%s]", *argument);
    }
    report("args %s name=%s", list, prctl(PR_GET_NAME, name) == 0 ? name : "unknown");
}

static void beat(int count) {
    report("beats result=%d", pf_worker_heartbeat());
    while (count-- > 0) {
        pause_ms(5);
        (void)pf_worker_heartbeat(); /* the first one has told how it goes */
    }
    report("has beaten");
}

static void wait_until_told(void) {
    struct pollfd told = {.fd = pf_worker_stop_fd(), .events = POLLIN};

    if (signal(SIGTERM, SIG_IGN) == SIG_ERR) {
        _exit(90);
    }
    report("waits fd=%d readable=%d", told.fd > STDERR_FILENO, poll(&told, 1, 0));
    while (poll(&told, 1, -1) != 1) {
    }
    report("told %d", (told.revents & POLLIN) != 0 && poll(&told, 1, 0) == 1);
}

static void be_mute(void) {
    report("mute ready=%d beat=%d stop=%d", pf_worker_ready(), pf_worker_heartbeat(),
           pf_worker_stop_fd());
}

static void end_normally(int number) {
    (void)number;
    _exit(0);
}

static void end(const char *how) {
    if (strcmp(how, "term") == 0) {
        if (signal(SIGTERM, end_normally) == SIG_ERR) {
            _exit(90);
        }
    }
    report("ready");
    wait_for_ever();
}

static void take_step(char *step) {
    static char nothing[] = "";
    char *value = strchr(step, ':');

    if (value == NULL) {
        value = nothing;
    } else {
        *value++ = '\0';
    }
    if (strcmp(step, "run") == 0) {
        run(value);
    } else if (strcmp(step, "start") == 0) {
        start(value);
    } else if (strcmp(step, "fork") == 0) {
        report("fork result=%d", pf_fork_processes(1, 0));
    } else if (strcmp(step, "own") == 0) {
        execute_own(value);
    } else if (strcmp(step, "inner") == 0) {
        execute_inner(value);
    } else if (strcmp(step, "shut") == 0) {
        if (pf_task_id() < 0 && close(atoi(value)) != 0) {
            report("cannot shut %s", value);
        }
    } else if (strcmp(step, "listen") == 0) {
        take_passed();
    } else if (strcmp(step, "bind") == 0) {
        bind_port(value);
    } else if (strcmp(step, "unix") == 0) {
        bind_path(value);
    } else if (strcmp(step, "supervise") == 0) {
        supervise(value);
    } else if (strcmp(step, "twin") == 0) {
        in_child(be_twin);
    } else if (strcmp(step, "child") == 0) {
        in_child(execute_again);
    } else if (strcmp(step, "ready") == 0) {
        report("is ready result=%d", pf_worker_ready());
    } else if (strcmp(step, "retire") == 0) {
        report("retires result=%d", pf_worker_retire());
    } else if (strcmp(step, "upgrade") == 0) {
        report("upgrade result=%d", pf_upgrade(NULL, NULL, NULL));
    } else if (strcmp(step, "daemonize") == 0) {
        report("daemonize result=%d ready=%d", pf_daemonize(NULL), pf_daemon_ready());
    } else if (strcmp(step, "stderr") == 0) {
        tell_stderr();
    } else if (strcmp(step, "beat") == 0) {
        beat(atoi(value));
    } else if (strcmp(step, "told") == 0) {
        wait_until_told();
    } else if (strcmp(step, "mute") == 0) {
        in_child(be_mute);
    } else if (strcmp(step, "fd") == 0) {
        tell_descriptor(value);
    } else if (strcmp(step, "fds") == 0) {
        tell_descriptors();
    } else if (strcmp(step, "env") == 0) {
        tell_environment();
    } else if (strcmp(step, "signals") == 0) {
        tell_signals();
    } else if (strcmp(step, "args") == 0) {
        tell_arguments();
    } else if (strcmp(step, "exit") == 0) {
        _exit(atoi(value)); /* whoever is stopped in an exit by a checker of leaks leaves a child */
    } else {
        end(step);
    }
}

int main(int argc, char **argv) {
    arguments_of_main = argv;
    report("loaded pid=%d pool=%s report=%d", (int)getpid(), name_or_none(pf_worker_pool_name()),
           pf_worker_fd("nothing"));
    for (int i = 1; i < argc; i++) {
        take_step(argv[i]);
    }
    return 0;
}
