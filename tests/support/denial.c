/*
 * denial.c - scenarios in which a system call is denied to all processes
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "denial.h"

#include <errno.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SETTLED_STARTS = 2 }; /* so many failed starts in a row are enough */

/* ---- Workers --------------------------------------------------------------------------- */

static int serve(int task_id, void *user) {
    (void)task_id;
    (void)user;
    return denial_wait();
}

static int serve_and_report(int task_id, void *user) {
    (void)task_id;
    (void)user;
    if (pf_worker_ready() < 0) {
        return 9;
    }
    (void)pf_worker_heartbeat();
    return pf_worker_stop_fd() < 0 ? 9 : denial_wait();
}

/* ---- The life of a pool ---------------------------------------------------------------- */

/* The first worker is killed once all have started. After its restart the pool is reloaded, if it
 * is to be, and stopped. */
struct story {
    struct denial *denial;
    pf_pool *pool;
    int started;
    bool reports; /* workers report that they are ready */
    bool reloads;
    bool upgrades; /* before the first worker is killed */
    bool stops;
};

static int stop(struct story *story) {
    if (story->stops) {
        return 0;
    }
    story->stops = true;
    return pf_pool_stop(story->pool);
}

static int fork_for(struct story *story, int task_id) {
    int result = pf_pool_fork_prepare(story->pool, task_id);

    if (result < 0) {
        return result;
    }
    pid_t pid = fork();
    if (pid == 0) {
        _exit(pf_pool_fork_child(story->pool, task_id) < 0 || pf_worker_ready() < 0
                  ? 9
                  : denial_wait());
    }
    return pf_pool_fork_parent(story->pool, task_id, pid < 0 ? -errno : pid);
}

/* Executes another program once both workers run. If it cannot, the pool goes on. */
static void upgrade(struct story *story) {
    static const char *const argv[] = {"deny", "upgraded", NULL};
    int error = pf_upgrade(NULL, argv, NULL);

    if (error != -EAGAIN) {
        story->upgrades = false;
        story->denial->upgrade_error = -error;
        story->denial->victim = pf_pool_worker_pid(story->pool, 0);
    }
}

static int react_to(struct story *story, const pf_event *event) {
    struct denial *denial = story->denial;

    switch (pf_event_type(event)) {
    case PF_EVENT_FORK_WANTED:
        return fork_for(story, pf_event_task_id(event));
    case PF_EVENT_START_FAILED:
        denial->error = -pf_event_error(event);
        return ++denial->failed_starts == SETTLED_STARTS ? stop(story) : 0;
    case PF_EVENT_EXITED:
        if (story->stops || denial->restarted) {
            return 0;
        }
        if (story->started < DENIAL_WORKERS || pf_event_signal(event) != SIGKILL) {
            denial->failures++;
            return stop(story);
        }
        denial->reported = true;
        return 0;
    case PF_EVENT_RELOADED:
    case PF_EVENT_RELOAD_FAILED:
        denial->reloaded = pf_event_type(event) == PF_EVENT_RELOADED;
        return stop(story);
    case PF_EVENT_ADOPTED:
        denial->adopted = pf_event_worker_count(event);
        story->started = denial->adopted;
        denial->victim = pf_pool_worker_pid(story->pool, 0);
        return 0;
    case PF_EVENT_STARTED:
    case PF_EVENT_READY:
        denial->started = true;
        if (story->reports != (pf_event_type(event) == PF_EVENT_READY)) {
            return 0;
        }
        story->started++;
        if (story->started == DENIAL_WORKERS) {
            denial->victim = story->upgrades ? 0 : pf_event_pid(event);
        } else if (story->started == DENIAL_WORKERS + 1) {
            denial->restarted = true;
            return story->reloads ? pf_pool_reload(story->pool) : stop(story);
        }
        return 0;
    default:
        return 0;
    }
}

static int supervise(struct story *story) {
    const pf_event *event = NULL;
    int result = pf_pool_start(story->pool);

    result = result < 0 ? result : 1;
    while (result == 1) {
        result = pf_pool_dispatch(story->pool, 1000);
        while (result >= 0 && pf_pool_next_event(story->pool, &event) > 0) {
            int reaction = react_to(story, event);
            result = reaction < 0 ? reaction : result;
        }
        if (result == 1 && story->upgrades && story->started == DENIAL_WORKERS) {
            upgrade(story);
        }
    }
    return result;
}

typedef int (*settings_fn)(struct story *story);

/* A pool of workers with a function, unless the settings say otherwise. */
static int play_pool(struct denial *denial, settings_fn set) {
    struct story story = {.denial = denial};
    int error = pf_pool_new(&story.pool);

    if (error < 0) {
        return error;
    }
    error = pf_pool_set_workers(story.pool, DENIAL_WORKERS);
    if (error == 0) {
        error = pf_pool_set_max_restarts(story.pool, 5);
    }
    if (error == 0) {
        error = pf_pool_set_stop(story.pool, SIGTERM, 1000);
    }
    if (error == 0) {
        error = pf_pool_set_worker_fn(story.pool, serve, NULL, NULL);
    }
    if (error == 0) {
        error = set(&story);
    }
    if (error == 0) {
        error = supervise(&story);
    }
    pf_pool_free(story.pool);
    denial->done = error == 0;
    return error;
}

/* ---- Scenarios ------------------------------------------------------------------------- */

static int set_fork(struct story *story) {
    return pf_pool_set_signals(story->pool, PF_SIGNALS_STANDARD);
}

static int play_fork(struct denial *denial) { return play_pool(denial, set_fork); }

static int set_exec(struct story *story) {
    static const char *const argv[] = {"deny", "worker", NULL};
    int error = pf_pool_set_name(story->pool, denial_pool_name);

    story->reports = true;
    if (error == 0) {
        error = pf_pool_set_ready_timeout(story->pool, 5000);
    }
    return error < 0 ? error : pf_pool_set_exec(story->pool, NULL, argv, NULL);
}

static int play_exec(struct denial *denial) { return play_pool(denial, set_exec); }

static int set_host_fork(struct story *story) {
    int error = pf_pool_set_host_fork(story->pool, 1);

    story->reports = true;
    return error < 0 ? error : pf_pool_set_ready_timeout(story->pool, 5000);
}

static int play_host_fork(struct denial *denial) { return play_pool(denial, set_host_fork); }

static int set_sigchld(struct story *story) {
    return pf_pool_set_backend(story->pool, PF_BACKEND_SIGCHLD);
}

static int play_sigchld(struct denial *denial) { return play_pool(denial, set_sigchld); }

static int set_groups(struct story *story) {
    int error = pf_pool_set_process_groups(story->pool, PF_GROUP_SIGNALS);

    return error < 0 ? error : pf_pool_set_reap_orphans(story->pool, PF_REAP_ADOPTED);
}

static int play_groups(struct denial *denial) { return play_pool(denial, set_groups); }

static int set_reload(struct story *story) {
    int error = pf_pool_set_worker_fn(story->pool, serve_and_report, NULL, NULL);

    story->reports = true;
    story->reloads = true;
    if (error == 0) {
        error = pf_pool_set_ready_timeout(story->pool, 5000);
    }
    if (error == 0) {
        error = pf_pool_set_heartbeat_timeout(story->pool, 5000);
    }
    return error < 0 ? error : pf_pool_set_manager_notify(story->pool, 1);
}

static int play_reload(struct denial *denial) { return play_pool(denial, set_reload); }

/* A spare takes the slot of the worker that is killed. */
static int set_spares(struct story *story) { return pf_pool_set_spares(story->pool, 1); }

static int play_spares(struct denial *denial) { return play_pool(denial, set_spares); }

/* The program reports as services do. */
static int set_foreign(struct story *story) {
    static const char *const argv[] = {"deny", "foreign", NULL};
    int error = pf_pool_set_foreign_workers(story->pool, 1);

    story->reports = true;
    if (error == 0) {
        error = pf_pool_set_ready_timeout(story->pool, 5000);
    }
    return error < 0 ? error : pf_pool_set_exec(story->pool, NULL, argv, NULL);
}

static int play_foreign(struct denial *denial) { return play_pool(denial, set_foreign); }

/* Afterwards the new program plays the rest. */
static int set_upgrade(struct story *story) {
    story->upgrades = true;
    return pf_pool_set_name(story->pool, denial_pool_name);
}

static int play_upgrade(struct denial *denial) { return play_pool(denial, set_upgrade); }

static int set_upgraded(struct story *story) {
    return pf_pool_set_name(story->pool, denial_pool_name);
}

/* The first worker crashes, without a call. The reports go to standard error. */
static int play_processes(struct denial *denial) {
    int task_id = pf_fork_processes(DENIAL_WORKERS, 5);

    if (task_id < 0) {
        return task_id;
    }
    denial->started = true;
    int run = atomic_fetch_add(&denial->runs, 1);
    if (run == 0) {
        __builtin_trap();
    }
    if (run == DENIAL_WORKERS) {
        denial->restarted = true;
        denial->reported = true; /* the driver has read it */
        denial->end_it = true;
    }
    return denial_wait();
}

static int play_as_daemon(struct denial *denial, settings_fn set) {
    char path[sizeof(denial->directory) + 8];

    (void)snprintf(path, sizeof(path), "%s/pid", denial->directory);
    int error = pf_daemonize(path);
    if (error < 0) {
        return error;
    }
    denial->daemon = getpid();
    error = play_pool(denial, set);
    if (error == 0) {
        exit(0); /* which removes the file */
    }
    return error;
}

static int play_daemon(struct denial *denial) { return play_as_daemon(denial, set_fork); }

/* Both programs want the same socket. */
static int bind_for(struct story *story, settings_fn set) {
    int fd = -1;
    int count = pf_bind_sockets("127.0.0.1", 0, AF_INET, 0, 0, &fd, 1);

    return count < 0 ? count : set(story);
}

static int set_upgrade_of_daemon(struct story *story) { return bind_for(story, set_upgrade); }
static int set_upgraded_daemon(struct story *story) { return bind_for(story, set_upgraded); }

static int play_upgrade_of_daemon(struct denial *denial) {
    return play_as_daemon(denial, set_upgrade_of_daemon);
}

int denial_upgraded(struct denial *denial) {
    denial->upgraded = true;
    return denial->daemon != 0 ? play_as_daemon(denial, set_upgraded_daemon)
                               : play_pool(denial, set_upgraded);
}

const struct denial_scenario denial_scenarios[] = {
    {"fork", play_fork, true, false, false},
    {"exec", play_exec, true, false, false},
    {"processes", play_processes, true, true, false},
    {"host_fork", play_host_fork, true, false, false},
    {"sigchld", play_sigchld, true, false, false},
    {"groups", play_groups, true, false, false},
    {"reload", play_reload, true, false, false},
    {"spares", play_spares, true, false, false},
    {"foreign", play_foreign, true, false, false},
    {"upgrade", play_upgrade, true, false, false},
    {"upgrade_daemon", play_upgrade_of_daemon, true, false, true},
    {"daemon", play_daemon, true, false, true},
    {"tcp", denial_tcp, false, false, false},
    {"unix", denial_unix, false, false, false},
    {"cpus", denial_cpus, false, false, false},
    {NULL, NULL, false, false, false},
};

const struct denial_scenario *denial_scenario_named(const char *name) {
    const struct denial_scenario *one = denial_scenarios;

    while (one->name != NULL && strcmp(one->name, name) != 0) {
        one++;
    }
    return one->name == NULL ? NULL : one;
}

void denial_remove_files(const struct denial *denial) {
    static const char *const names[] = {"socket", "pid"};
    char path[sizeof(denial->directory) + 16];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", denial->directory, names[i]);
        (void)unlink(path);
    }
}
