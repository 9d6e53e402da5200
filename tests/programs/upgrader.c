/*
 * upgrader.c - a server that executes another program in its place when it gets SIGUSR1
 *
 *     upgrader GENERATION [OPTION=VALUE...]
 *
 * It reports what happens (report.h). The lines of the file "next" in the working directory, if
 * there is one, are the options of the next program.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filter.h"
#include "lack.h"
#include "prefork.h"
#include "process.h"
#include "report.h"

enum { OPTIONS_MAX = 32, POOLS_MAX = 4, LINE_SIZE = 256 };

static int generation;
static char **options;
static volatile sig_atomic_t asked; /* for an upgrade */
static pf_pool *pools[POOLS_MAX];
static int pool_count;
static int listener = -1;

static const char *option(const char *name, const char *otherwise) {
    size_t length = strlen(name);

    for (char **one = options; *one != NULL; one++) {
        if (strncmp(*one, name, length) == 0 && (*one)[length] == '=') {
            return *one + length + 1;
        }
    }
    return otherwise;
}

static int number(const char *name, int otherwise) {
    const char *text = option(name, NULL);

    return text == NULL ? otherwise : (int)strtol(text, NULL, 10);
}

static void ask(int signal) {
    (void)signal;
    asked = 1;
    for (int index = 0; index < pool_count; index++) {
        (void)pf_pool_wake(pools[index]);
    }
}

/* ---- Workers ---------------------------------------------------------------------------- */

/* A connection wakes one of the workers: a hundred that wake for each leave no processor to the
 * supervisor. */
static int watch(int stop) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = listener};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0 || (listener >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)) {
        return -1;
    }
    event = (struct epoll_event){.events = EPOLLIN, .data.fd = stop};
    return stop < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, stop, &event) == 0 ? epoll : -1;
}

static void answer(void) {
    char line[64];
    int connection = pf_accept(listener);

    if (connection >= 0) {
        int size = snprintf(line, sizeof(line), "%d %d\n", (int)getpid(), generation);
        ssize_t sent = send(connection, line, (size_t)size, MSG_NOSIGNAL);
        (void)sent; /* the client counts */
        (void)close(connection);
    }
}

static int work(int task_id, void *user) {
    int stop = pf_worker_stop_fd();
    int epoll = watch(stop);
    (void)task_id;
    (void)user;

    if (epoll < 0) {
        return 1;
    }
    if (number("silent", 0) == 0) {
        (void)pf_worker_ready();
    }
    for (;;) {
        struct epoll_event event;
        (void)pf_worker_heartbeat();
        int count = epoll_wait(epoll, &event, 1, 500);
        if (count < 0 && errno != EINTR) {
            return 1;
        }
        if (count > 0 && event.data.fd == stop) {
            return 0;
        }
        if (count > 0) {
            answer();
        }
    }
}

/* ---- The supervisor --------------------------------------------------------------------- */

static void report_event(pf_pool *pool, const pf_event *event) {
    int id = pf_event_task_id(event);

    switch (pf_event_type(event)) {
    case PF_EVENT_ADOPTED:
        report("generation %d adopted %d.", generation, pf_event_worker_count(event));
        break;
    case PF_EVENT_STARTING:
        report("generation %d starting %d.", generation, pf_event_worker_count(event));
        break;
    case PF_EVENT_EXITED:
        report("generation %d exited slot %d pid %d status %d signal %d.", generation, id,
               pf_event_pid(event), pf_event_exit_code(event), pf_event_signal(event));
        break;
    case PF_EVENT_STARTED:
        report("generation %d started slot %d pid %d.", generation, id, pf_event_pid(event));
        break;
    case PF_EVENT_FORK_WANTED: {
        if (pf_pool_fork_prepare(pool, id) != 0) {
            break;
        }
        pid_t pid = fork();
        if (pid == 0) {
            exit(pf_pool_fork_child(pool, id) >= 0 ? work(pf_task_id(), NULL) : 1);
        }
        (void)pf_pool_fork_parent(pool, id, pid < 0 ? -errno : pid);
        break;
    }
    default:
        report("generation %d event %s slot %d pid %d error %d.", generation,
               pf_event_type_name(pf_event_type(event)), id, pf_event_pid(event),
               pf_event_error(event));
        break;
    }
}

static bool take_events(void) {
    bool any = false;

    for (int index = 0; index < pool_count; index++) {
        const pf_event *event = NULL;
        while (pf_pool_next_event(pools[index], &event) == 1) {
            report_event(pools[index], event);
            any = true;
        }
    }
    return any;
}

/* The arguments of the next program. */
static char **next_arguments(void) {
    static char *arguments[OPTIONS_MAX + 3];
    static char lines[OPTIONS_MAX][LINE_SIZE];
    static char next[32];
    int count = 0;
    FILE *file = fopen("next", "re");

    (void)snprintf(next, sizeof(next), "%d", generation + 1);
    arguments[count++] = (char *)"upgrader";
    arguments[count++] = next;
    if (file == NULL) {
        for (char **one = options; *one != NULL && count < OPTIONS_MAX; one++) {
            arguments[count++] = *one;
        }
    } else {
        for (int line = 0; line < OPTIONS_MAX && fgets(lines[line], LINE_SIZE, file) != NULL;
             line++) {
            lines[line][strcspn(lines[line], "\n")] = '\0';
            arguments[count++] = lines[line];
        }
        (void)fclose(file);
    }
    arguments[count] = NULL;
    return arguments;
}

static void *upgrade_in_thread(void *result) {
    *(int *)result = pf_upgrade(NULL, NULL, NULL);
    return NULL;
}

static void *read_stream(void *stream) {
    (void)fgetc(stream);
    return NULL;
}

/* A thread has the lock of a stream for as long as nobody writes. */
static void read_for_ever(void) {
    int ends[2];
    pthread_t thread;
    FILE *stream = pipe2(ends, O_CLOEXEC) == 0 ? fdopen(ends[0], "re") : NULL;

    if (stream == NULL || pthread_create(&thread, NULL, read_stream, stream) != 0) {
        report("no reader.");
        return;
    }
    while (ftrylockfile(stream) == 0) {
        funlockfile(stream);
        pause_ms(1);
    }
}

/* Descriptors that are close-on-exec stay so. */
static void forbid_inheritance(void) {
#ifdef SYS_fcntl64
    bool is_forbidden = filter_forbid_value(SYS_fcntl64, 1, F_SETFD, EPERM);
#else
    bool is_forbidden = filter_forbid_value(SYS_fcntl, 1, F_SETFD, EPERM);
#endif
    report("inheritance is forbidden: %d.", (int)is_forbidden);
}

/* Files may grow to this size and no further. The one of reports is longer already. */
static void limit_files(const struct rlimit *limit) {
    if (number("file_size", -1) >= 0) {
        (void)setrlimit(RLIMIT_FSIZE, limit);
    }
}

static void upgrade(void) {
    int result = 0;
    const char *program = option("program", NULL);
    struct rlimit before;

    (void)getrlimit(RLIMIT_FSIZE, &before);
    const struct rlimit limit = {(rlim_t)number("file_size", 0), before.rlim_max};
    if (number("uninherited", 0) != 0) {
        forbid_inheritance();
    }
    if (number("reader", 0) != 0) {
        read_for_ever();
    }
    if (number("thread", 0) != 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, upgrade_in_thread, &result) == 0) {
            (void)pthread_join(thread, NULL);
        }
    } else {
        limit_files(&limit);
        result = pf_upgrade(program, (const char *const *)next_arguments(), NULL);
        limit_files(&before);
    }
    if (result == -EAGAIN) {
        asked = 1; /* once the events are taken */
    } else {
        report("generation %d upgrade %d.", generation, result);
    }
}

/* As a host does that tries again. */
static int start(pf_pool *pool) {
    const char *what = option("lacks", NULL);
    int result = what == NULL ? pf_pool_start(pool) : -EAGAIN;

    for (unsigned nth = 1; what != NULL && result < 0 && nth <= LACKS_MAX; nth++) {
        result = start_without(pool, what, nth);
        report("generation %d lacks %s %d.", generation, what, result);
    }
    return result;
}

static int open_pool(const char *name) {
    pf_pool *pool = NULL;
    const char *way = option("way", "fork");

    if (pf_pool_new(&pool) != 0) {
        return -ENOMEM;
    }
    (void)pf_pool_set_name(pool, name);
    (void)pf_pool_set_workers(pool, number("workers", 2));
    (void)pf_pool_set_spares(pool, number("spares", 0));
    (void)pf_pool_set_signals(pool, PF_SIGNALS_STOP_ONLY);
    (void)pf_pool_set_backend(pool, number("backend", PF_BACKEND_AUTO));
    (void)pf_pool_set_ready_timeout(pool, (uint64_t)number("ready_ms", 0));
    (void)pf_pool_set_heartbeat_timeout(pool, (uint64_t)number("heartbeat_ms", 0));
    if (strcmp(way, "exec") == 0) {
        const char *const arguments[] = {"upgrader", option("worker", "0"), "way=exec", NULL};
        (void)pf_pool_set_exec(pool, NULL, arguments, NULL);
    } else if (strcmp(way, "foreign") == 0) {
        const char *service = option("service", NULL);
        const char *const silent[] = {"sleep", "1000", NULL};
        const char *const arguments[] = {"service", option("first", "say:READY=1"),
                                         option("second", "wait"), NULL};
        (void)pf_pool_set_exec(pool, service == NULL ? "/bin/sleep" : service,
                               service == NULL ? silent : arguments, NULL);
        (void)pf_pool_set_foreign_workers(pool, 1);
    } else if (strcmp(way, "host") == 0) {
        (void)pf_pool_set_host_fork(pool, 1);
    } else {
        (void)pf_pool_set_worker_fn(pool, work, NULL, NULL);
    }
    pools[pool_count++] = pool;
    return start(pool);
}

static int supervise(void) {
    const char *names[] = {option("name", "web"), "second", "third", "fourth"};
    struct sigaction action = {.sa_handler = ask};
    int result = 0;

    (void)sigaction(SIGUSR1, &action, NULL);
    for (int index = 0; index < number("pools", 1); index++) {
        result = open_pool(names[index]);
        if (result < 0) {
            report("generation %d start %d.", generation, result);
            return 1;
        }
    }
    result = 1;
    while (result == 1) {
        (void)take_events();
        if (asked != 0) {
            asked = 0;
            upgrade();
        }
        for (int index = 0; result == 1 && index < pool_count; index++) {
            result = pf_pool_dispatch(pools[index], pool_count > 1 ? 10 : 1000);
        }
    }
    (void)take_events();
    report("generation %d ends %d.", generation, result);
    while (pool_count > 0) {
        pool_count--;
        pools[pool_count] = pf_pool_free(pools[pool_count]);
    }
    return result == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        return 2;
    }
    generation = (int)strtol(argv[1], NULL, 10);
    options = argv + 2;
    if (option("exit", NULL) != NULL) {
        return number("exit", 0);
    }
    if (number("hang", 0) != 0) {
        report("generation %d hangs.", generation);
        wait_for_ever();
    }
    if (option("daemon", NULL) != NULL && pf_worker_pool_name() == NULL) {
        int result = pf_daemonize(option("daemon", NULL));
        report("generation %d daemonize %d.", generation, result);
        if (result < 0) {
            return 1;
        }
    }
    if (number("unbound", 0) == 0 &&
        pf_bind_sockets("127.0.0.1", 0, AF_INET, 1024, 0, &listener, 1) != 1) {
        report("generation %d cannot bind.", generation);
        return 1;
    }
    if (pf_worker_pool_name() != NULL) { /* executed as a worker */
        pf_pool *pool = NULL;
        int task_id = -1;
        if (pf_pool_new(&pool) != 0 || pf_pool_set_name(pool, pf_worker_pool_name()) != 0 ||
            pf_pool_run(pool, &task_id) != 0) {
            return 1;
        }
        return work(task_id, NULL);
    }
    report("generation %d begins pid %d.", generation, (int)getpid());
    pause_ms((unsigned)number("slow_ms", 0));
    if (number("early", -1) == generation || number("late", 0) > generation) {
        upgrade(); /* before there is a pool */
    }
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    if (listener >= 0 && getsockname(listener, (struct sockaddr *)&address, &size) == 0) {
        unsigned char *port = (unsigned char *)&address + 2; /* the same place in both families */
        report("generation %d port %d.", generation, port[0] * 256 + port[1]);
    }
    return supervise();
}
