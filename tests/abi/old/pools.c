/*
 * pools.c - pools whose workers are forked
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* How many workers a slot has had; the workers share it. */
static volatile int *lives;

static void share_lives(void) {
    void *pages = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        exit(3);
    }
    lives = (volatile int *)pages;
}

/* The worker of slot 0 fails, dies, and finishes; the other one finishes. */
static int fail_twice(int task_id, void *user) {
    (void)user;
    const int life = task_id == 0 ? ++lives[0] : 3;
    if (life == 2) {
        (void)raise(SIGKILL);
    }
    return life == 1 ? 7 : pf_task_id() != task_id;
}

static pf_pool *make_failing_pool(const char *name, int workers) {
    pf_pool *pool = make_pool(name, workers);
    lives[0] = 0;
    pf_pool_set_worker_fn(pool, fail_twice, NULL, NULL);
    pf_pool_set_event_callback(pool, print_event, NULL, NULL);
    return pool;
}

int play_fork(void) {
    int task_id = 9;
    share_lives();
    pf_pool *pool = make_failing_pool("fork", 2);
    print_number(-1, "run", pf_pool_run(pool, &task_id));
    print_number(-1, "task", task_id);
    print_number(-1, "run again", pf_pool_run(pool, &task_id));
    pf_pool_free(pool);

    /* A limit, and a status that is fatal. */
    pool = make_failing_pool("limit", 1);
    pf_pool_set_max_restarts(pool, 1);
    print_number(-1, "run", pf_pool_run(pool, &task_id));
    pf_pool_free(pool);
    pool = make_failing_pool("fatal", 1);
    pf_pool_set_exit_action(pool, 7, PF_EXIT_FATAL);
    print_number(-1, "run", pf_pool_run(pool, &task_id));
    pf_pool_free(pool);
    return 0;
}

int play_once(void) {
    share_lives();
    pf_set_event_callback(print_event, NULL);
    const int task_id = pf_fork_processes(2, 5);
    if (task_id < 0) {
        return 4;
    }
    _exit(fail_twice(task_id, NULL));
}

static volatile sig_atomic_t is_asked;

static void note(int signal) { is_asked = signal; }

/* A server without requests. It retires when it gets SIGUSR1. */
static int serve(int task_id, void *user) {
    struct sigaction action;
    struct pollfd stop = {pf_worker_stop_fd(), POLLIN, 0};
    memset(&action, 0, sizeof(action));
    action.sa_handler = note;
    if (sigaction(SIGUSR1, &action, NULL) != 0 || pf_worker_fd("input") < 0 ||
        strcmp(pf_worker_pool_name(), (const char *)user) != 0 || pf_task_id() != task_id ||
        pf_worker_ready() != 0) {
        return 5;
    }
    while (poll(&stop, 1, 50) <= 0) {
        if (pf_worker_heartbeat() != 0 || (is_asked && pf_worker_retire() != 0)) {
            return 6;
        }
    }
    return 0;
}

static void print_states(const pf_pool *pool) {
    for (int task_id = 0; task_id < pf_pool_worker_count(pool); task_id++) {
        print_number(task_id, "has a process", pf_pool_worker_pid(pool, task_id) > 0);
        print_number(task_id, "state", pf_pool_worker_state(pool, task_id));
        print_number(task_id, "restarts", pf_pool_worker_restarts(pool, task_id));
        print_number(task_id, "uptime", pf_pool_worker_uptime_ms(pool, task_id) < 60000);
    }
    print_number(-1, "alive", pf_pool_alive_count(pool));
    for (int which = PF_COUNT_STARTED; which <= PF_COUNT_SPARES; which++) {
        printf("-1 counter %d is %d\n", which, (int)pf_pool_counter(pool, which));
    }
}

static pf_pool *make_server(const char *name, char *user) {
    pf_pool *pool = make_pool(name, 2);
    pf_pool_set_worker_fn(pool, serve, user, NULL);
    pf_pool_add_fd(pool, "input", STDIN_FILENO);
    pf_pool_set_ready_timeout(pool, 30000);
    pf_pool_set_heartbeat_timeout(pool, 30000);
    pf_pool_set_min_uptime(pool, 0);
    pf_pool_set_stop(pool, 0, 30000);
    return pool;
}

/* All that follows a start comes in one order only when nobody starts any more. */
static void print_until_ready(pf_pool *pool, unsigned count) {
    while (pf_pool_counter(pool, PF_COUNT_READY) < count && pf_pool_dispatch(pool, -1) == 1) {
        print_pending(pool);
    }
}

int play_loop(void) {
    char name[] = "loop";
    pf_pool *pool = make_server(name, name);
    print_number(-1, "start", pf_pool_start(pool));
    print_until_ready(pool, 2);
    print_number(-1, "resize", pf_pool_resize(pool, 3));
    print_until(pool, PF_EVENT_READY, 2);
    print_number(-1, "replace", pf_pool_replace_worker(pool, 2));
    print_until(pool, PF_EVENT_EXITED, 2);
    print_number(-1, "stop one", pf_pool_stop_worker(pool, 2));
    print_until(pool, PF_EVENT_EXITED, 2);
    print_number(-1, "reload", pf_pool_reload(pool));
    print_until(pool, PF_EVENT_EXITED, 1);
    print_number(-1, "signal", pf_pool_send_signal(pool, 1, SIGUSR1));
    print_until(pool, PF_EVENT_EXITED, 1);
    print_states(pool);
    print_number(-1, "wake", pf_pool_wake(pool));
    print_number(-1, "woken", pf_pool_dispatch(pool, -1));
    print_number(-1, "handle", pf_pool_handle_signal(pool, SIGTERM));
    print_to_end(pool);
    print_number(-1, "stopped by", pf_pool_stop_signal(pool));
    pf_pool_free(pool);
    return 0;
}

/* The host forks for two slots and a spare, and its workers are killed. */
static void fork_worker(pf_pool *pool, int task_id) {
    if (pf_pool_fork_prepare(pool, task_id) != 0) {
        return;
    }
    const int32_t pid = fork();
    if (pid == 0) {
        char name[] = "host";
        const int result = pf_pool_fork_child(pool, task_id);
        _exit(result < 0 ? 1 : serve(pf_task_id(), name));
    }
    print_number(task_id, "fork", pf_pool_fork_parent(pool, task_id, pid));
}

int play_host(void) {
    const pf_event *event = NULL;
    int starts = 0;
    char name[] = "host";
    pf_pool *pool = make_server(name, name);
    pf_pool_set_host_fork(pool, 1);
    pf_pool_set_spares(pool, 1);
    print_number(-1, "start", pf_pool_start(pool));
    while (starts < 3 && pf_pool_dispatch(pool, -1) == 1) {
        while (pf_pool_next_event(pool, &event) == 1) {
            print_event(event, NULL);
            starts += pf_event_type(event) == PF_EVENT_READY;
            starts += pf_event_type(event) == PF_EVENT_SPARE_STARTED;
            if (pf_event_type(event) == PF_EVENT_FORK_WANTED) {
                fork_worker(pool, pf_event_task_id(event));
            }
        }
    }
    print_number(-1, "kill", pf_pool_kill(pool));
    print_to_end(pool);
    pf_pool_free(pool);
    return 0;
}

int play_upgrade(const char *program) {
    char name[] = "upgrade";
    const char *const arguments[] = {program, "upgraded", NULL};
    pf_pool *pool = make_server(name, name);
    pf_pool_set_workers(pool, 1);
    print_number(-1, "start", pf_pool_start(pool));
    print_until(pool, PF_EVENT_READY, 0);
    (void)fflush(stdout);
    return -pf_upgrade(NULL, arguments, NULL);
}

int play_upgraded(void) {
    char name[] = "upgrade";
    pf_pool *pool = make_server(name, name);
    pf_pool_set_workers(pool, 1);
    print_number(-1, "start", pf_pool_start(pool));
    print_until(pool, PF_EVENT_ADOPTED, -1);
    print_number(-1, "stop", pf_pool_stop(pool));
    print_to_end(pool);
    pf_pool_free(pool);
    return 0;
}
