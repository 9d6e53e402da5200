/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "scene.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { max_fds = 64, step_ms = 6000, stop_ms = 9000, free_ms = 5500, slice_ms = 50 };

void inject_be_supervisor(void) __attribute__((weak));
int inject_balance(int of_mappings) __attribute__((weak));

struct scene scene = {.workers = 2};

static char fds_before[max_fds][128], fds_after[max_fds][128];
static sigset_t mask_before;
static struct sigaction child_before;
static int memory_before[2];

static int memory_of_library(int of_mappings) {
    return inject_balance == NULL ? 0 : inject_balance(of_mappings);
}

static long long now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

void scene_broken(const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length > 0) {
        printf("broken: %s\n", text);
        fflush(stdout);
    }
}

static void list_fds(char (*fds)[128]) {
    for (int fd = 0; fd < max_fds; fd++) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        const ssize_t length = readlink(path, fds[fd], sizeof(fds[fd]) - 1);
        fds[fd][length < 0 ? 0 : length] = 0;
    }
}

void scene_begin(void) {
    list_fds(fds_before);
    pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
    sigaction(SIGCHLD, NULL, &child_before);
    memory_before[0] = memory_of_library(0);
    memory_before[1] = memory_of_library(1);
}

void scene_begin_upgraded(void) {
    scene_begin();
    for (int fd = 0; fd < max_fds; fd++) {
        const char *name = strrchr(fds_before[fd], '/');
        if (name == NULL || strcmp(name, "/pid") != 0) { /* a daemon keeps it */
            fds_before[fd][0] = 0;
        }
    }
    sigemptyset(&mask_before);
    memset(memory_before, 0, sizeof(memory_before));
}

void scene_end(void) {
    list_fds(fds_after);
    for (int fd = 3; fd < max_fds; fd++) {
        if (fds_after[fd][0] != 0 && strcmp(fds_before[fd], fds_after[fd]) != 0) {
            scene_broken("descriptor %d was \"%s\", is \"%s\"", fd, fds_before[fd], fds_after[fd]);
        }
    }
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int i = 1; i < SIGRTMIN; i++) {
        if (sigismember(&mask, i) != sigismember(&mask_before, i)) {
            scene_broken("signal %d: its mask has changed", i);
        }
    }
    for (int i = 0; i < 2; i++) {
        const int left = memory_of_library(i) - memory_before[i];
        /* The page that marks this process is there to its end. */
        if (left < 0 || left > (i == 0 ? scene.lasting_blocks : 1)) {
            scene_broken("%d %s of the library are left", left, i == 0 ? "blocks" : "mappings");
        }
    }
    struct sigaction child;
    sigaction(SIGCHLD, NULL, &child);
    if (child.sa_handler != child_before.sa_handler) {
        scene_broken("the handler of SIGCHLD has changed");
    }
    const pid_t left = waitpid(-1, NULL, WNOHANG);
    if (left >= 0 || errno != ECHILD) {
        scene_broken("a child is left: %d", (int)left);
    }
}

int scene_failed(struct scene *s, const char *call, int result) {
    if (result >= 0) {
        return 0;
    }
    printf("note: %s: %s\n", call, pf_strerror(result));
    if (s->error == 0) {
        s->error = result;
    }
    return 1;
}

static int find_worker(struct scene *s, int32_t pid) {
    for (int i = s->started - 1; i >= 0; i--) {
        if (s->processes[i].pid == pid && s->processes[i].exits == 0) {
            return i;
        }
    }
    return -1;
}

static void fork_for(struct scene *s, int task_id) {
    if (scene_failed(s, "pf_pool_fork_prepare", pf_pool_fork_prepare(s->pool, task_id))) {
        return;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        if (pf_pool_fork_child(s->pool, task_id) < 0) {
            _exit(9);
        }
        scene_serve(task_id, NULL);
    }
    scene_failed(s, "pf_pool_fork_parent", pf_pool_fork_parent(s->pool, task_id, pid));
}

void scene_event(const pf_event *event, void *user) {
    struct scene *s = user;
    const int type = pf_event_type(event);
    if (getenv("INJECT_VERBOSE") != NULL) {
        printf("event: %s: %s\n", pf_event_type_name(type), pf_event_message(event));
    }
    s->events[type < scene_event_types ? type : 0]++;
    if (pf_event_level(event) <= 4 || pf_event_error(event) != 0) {
        s->reported++;
    }
    if (type == PF_EVENT_SPARE_STARTED) {
        s->spare = pf_event_pid(event);
    } else if (s->spare == pf_event_pid(event)) {
        s->spare = 0; /* it has a slot, or has ended */
    }
    if (type == PF_EVENT_SPARE_EXITED) {
        const int handed_over = find_worker(s, pf_event_pid(event));
        if (handed_over >= 0) {
            s->processes[handed_over].exits = 1;
        }
    }
    if (type == PF_EVENT_FORK_WANTED) {
        fork_for(s, pf_event_task_id(event));
    }
    if (type == PF_EVENT_STARTED && s->started < scene_max_workers) {
        s->processes[s->started++].pid = pf_event_pid(event);
    }
    if (type == PF_EVENT_EXITED) {
        const int worker = find_worker(s, pf_event_pid(event));
        if (worker < 0) {
            scene_broken("the end of %d is reported, which was not started or ended before",
                         (int)pf_event_pid(event));
        } else {
            s->processes[worker].exits = 1;
        }
    }
}

int scene_dispatch(struct scene *s, int timeout_ms) {
    const int result = pf_pool_dispatch(s->pool, timeout_ms);
    const pf_event *event;
    while (pf_pool_next_event(s->pool, &event) > 0) {
        scene_event(event, s);
    }
    return result;
}

/* More time on a machine that is slow or has other work. */
static long long scaled(long long ms) {
    const char *scale = getenv("TEST_TIME_SCALE");
    return scale == NULL || atoi(scale) < 1 ? ms : ms * atoi(scale);
}

int scene_until(struct scene *s, const char *what, int (*holds)(struct scene *)) {
    const long long began = now_ms();
    const int reported = s->reported;
    while (!holds(s)) {
        const int result = scene_dispatch(s, slice_ms);
        if (scene_failed(s, "pf_pool_dispatch", result)) {
            return 0;
        }
        if (result == 0 && !holds(s)) {
            if (s->reported == reported && s->error == 0) {
                scene_broken("%s: the pool is done without a reason", what);
            }
            return 0;
        }
        const int is_told = s->reported != reported || s->error != 0;
        if (now_ms() >= began + (is_told ? step_ms : scaled(step_ms))) {
            if (!is_told) {
                scene_broken("%s: not within %lld ms, and nothing is reported", what,
                             scaled(step_ms));
            }
            return 0;
        }
    }
    return 1;
}

void scene_finish(struct scene *s, int (*stop)(pf_pool *)) {
    long long deadline = now_ms() + scaled(stop_ms);
    int result = 1;
    if (s->pool != NULL && pf_pool_fd(s->pool) >= 0) {
        scene_failed(s, "pf_pool_stop", stop(s->pool));
        while ((result = scene_dispatch(s, slice_ms)) > 0 && now_ms() < deadline) {
        }
        scene_failed(s, "pf_pool_dispatch at the end", result);
        if (result > 0) {
            scene_broken("the stop did not end within %lld ms", scaled(stop_ms));
        }
        if (result == 0 && pf_pool_alive_count(s->pool) != 0) {
            scene_broken("%d are alive after the end", pf_pool_alive_count(s->pool));
        }
    }
    deadline = now_ms();
    pf_pool_free(s->pool);
    if (now_ms() > deadline + scaled(free_ms)) {
        scene_broken("pf_pool_free() needed %lld ms", now_ms() - deadline);
    }
    for (int i = 0; i < s->started && result != 1; i++) {
        if (s->processes[i].exits != 1) {
            scene_broken("the end of worker %d is not reported", (int)s->processes[i].pid);
        }
    }
}

int scene_serve(int task_id, void *user) {
    (void)task_id;
    (void)user;
    for (;;) {
        pause();
    }
}

int scene_all_ready(struct scene *s) {
    for (int i = 0; i < s->workers; i++) {
        if (pf_pool_worker_state(s->pool, i) != PF_WORKER_READY) {
            return 0;
        }
    }
    return 1;
}

int scene_make_pool(int (*fn)(int, void *)) {
    return TRY(pf_pool_new(&scene.pool)) && TRY(pf_pool_set_workers(scene.pool, scene.workers)) &&
           TRY(pf_pool_set_stop(scene.pool, SIGTERM, 1000)) &&
           TRY(pf_pool_set_min_uptime(scene.pool, 20)) &&
           TRY(pf_pool_set_worker_fn(scene.pool, fn, NULL, NULL));
}

int scene_start(void) {
    return TRY(pf_pool_start(scene.pool)) && scene_until(&scene, "start", scene_all_ready);
}

void scene_be_supervisor(void) {
    if (inject_be_supervisor != NULL) {
        inject_be_supervisor();
    }
    scene_begin();
}

int scene_try(const char *call, int result) { return !scene_failed(&scene, call, result); }
