/*
 * upgrade_beside.c - a program that upgrades itself while a second thread uses the library
 *
 *     upgrade_beside CASE GENERATION
 *
 * The functions of libc below stop each thread where the case wants the other one to go on. Exits
 * with 0 if all was as it should be, otherwise it says what was not.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "prefork.h"
#include "process.h"

enum { TURN_MS = 5, LAST_MASK = 3 };

static int generation;
static const char *next_arguments[4];
static pf_pool *first;
static pf_pool *second;

/* What the threads have come to. */
static atomic_bool is_main_held;  /* in an upgrade, before the system call */
static atomic_bool is_other_held; /* in its call, or it waits there for the upgrade */
static atomic_bool is_other_free;
static atomic_bool has_other_returned; /* from its call */

static atomic_bool holds_main;         /* in the next upgrade */
static __thread bool is_in_call;       /* this is the second thread */
static __thread bool is_held_in_close; /* where it closes a descriptor for the first time */

static void check(bool is_good, const char *what) {
    if (!is_good) {
        (void)fprintf(stderr, "generation %d: %s\n", generation, what);
        exit(1);
    }
}

static int sleep_for(const struct timespec *span) {
    return (int)syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, span, NULL);
}

static void await(atomic_bool *one, atomic_bool *other) {
    const struct timespec moment = {0, 1000000};
    uint64_t end = now_ms() + PATIENCE_MS;

    while (!atomic_load(one) && !(other != NULL && atomic_load(other))) {
        check(now_ms() < end, "the other thread does not come");
        (void)sleep_for(&moment);
    }
}

/* ---- In place of those of libc ------------------------------------------------------------ */

/* The second thread waits for the upgrade, or has not waited for it. */
int execve(const char *path, char *const *argv, char *const *envp) {
    if (atomic_exchange(&holds_main, false)) {
        atomic_store(&is_main_held, true);
        await(&is_other_held, &has_other_returned);
    }
    return (int)syscall(SYS_execve, path, argv, envp);
}

int nanosleep(const struct timespec *span, struct timespec *left) {
    (void)left;
    if (is_in_call) {
        atomic_store(&is_other_held, true);
    }
    return sleep_for(span);
}

int close(int descriptor) {
    if (is_held_in_close) {
        is_held_in_close = false;
        atomic_store(&is_other_held, true);
        await(&is_other_free, NULL);
    }
    return (int)syscall(SYS_close, descriptor);
}

/* ---- What both threads do ----------------------------------------------------------------- */

static int work(int task_id, void *user) {
    (void)task_id;
    (void)user;
    wait_for_ever();
    return 0;
}

static pf_pool *new_pool(const char *name) {
    pf_pool *pool = NULL;

    check(pf_pool_new(&pool) == 0, "no pool");
    (void)pf_pool_set_name(pool, name);
    (void)pf_pool_set_workers(pool, 1);
    (void)pf_pool_set_worker_fn(pool, work, NULL, NULL);
    (void)pf_pool_set_thread_policy(pool, PF_THREADS_ALLOW);
    (void)pf_pool_set_signals(pool, PF_SIGNALS_STOP_ONLY);
    return pool;
}

/* Whether a pool has begun in this way, and its worker runs. */
static void begins(pf_pool *pool, int way) {
    const pf_event *event = NULL;
    uint64_t end = now_ms() + PATIENCE_MS;
    bool has_begun = false;

    while (!has_begun || pf_pool_alive_count(pool) != 1) {
        check(now_ms() < end, "a pool does not begin as it should");
        check(pf_pool_dispatch(pool, TURN_MS) == 1, "no dispatch");
        while (pf_pool_next_event(pool, &event) == 1) {
            has_begun = has_begun || pf_event_type(event) == way;
        }
    }
    while (pf_pool_next_event(pool, &event) == 1) {
    }
}

static void start(pf_pool **ret_pool, const char *name) {
    *ret_pool = new_pool(name);
    check(pf_pool_start(*ret_pool) == 0, "no start");
}

/* Before the first one waits, as the pools of the former program are claimed until then. */
static void start_both(void) {
    start(&first, "first");
    start(&second, "second");
    begins(first, generation == 0 ? PF_EVENT_STARTING : PF_EVENT_ADOPTED);
    begins(second, generation == 0 ? PF_EVENT_STARTING : PF_EVENT_ADOPTED);
}

static int upgrade(const char *path) {
    return pf_upgrade(path, (const char *const *)next_arguments, NULL);
}

/* Beside a call of the second thread that begins during it. */
static int upgrade_amid_call(const char *path) {
    atomic_store(&is_other_held, false);
    atomic_store(&has_other_returned, false);
    atomic_store(&holds_main, true);
    return upgrade(path);
}

static void begin_call(void) {
    await(&is_main_held, NULL);
    is_in_call = true;
}

static void end_call(void) {
    is_in_call = false;
    atomic_store(&has_other_returned, true);
    atomic_store(&is_main_held, false);
}

static void begin_thread(pthread_t *ret_thread, void *(*body)(void *), void *argument) {
    check(pthread_create(ret_thread, NULL, body, argument) == 0, "no thread");
}

static void end_thread(pthread_t thread) { check(pthread_join(thread, NULL) == 0, "no join"); }

static void fails_amid_call(void *(*body)(void *)) {
    pthread_t thread;

    begin_thread(&thread, body, NULL);
    check(upgrade_amid_call("./missing") == -ENOENT, "the upgrade does not fail as it should");
    end_thread(thread);
}

static void free_all(void) {
    check(pf_pool_free(first) == NULL && pf_pool_free(second) == NULL, "a pool is not freed");
    check(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "a worker is left without a pool");
}

/* ---- The cases ---------------------------------------------------------------------------- */

static void *start_amid_upgrade(void *nothing) {
    second = new_pool(generation == 0 ? "second" : "third");
    begin_call();
    int result = pf_pool_start(second);
    end_call();
    check(result == 0, "no start beside an upgrade");
    begins(second, PF_EVENT_STARTING);
    return nothing;
}

/* The pool of a start during the upgrade that succeeds has no workers yet. */
static void upgrade_beside_start(void) {
    pthread_t thread;

    if (generation == 0) {
        start(&first, "first");
        begins(first, PF_EVENT_STARTING);
        fails_amid_call(start_amid_upgrade);
        check(false, pf_strerror(upgrade(NULL)));
    }
    start_both();
    if (generation == 1) {
        begin_thread(&thread, start_amid_upgrade, NULL);
        check(false, pf_strerror(upgrade_amid_call(NULL)));
    }
    free_all();
}

static void *dispatch_amid_upgrade(void *nothing) {
    begin_call();
    int result = pf_pool_dispatch(second, 0);
    end_call();
    check(result == 1, "no dispatch beside an upgrade");
    return nothing;
}

static void upgrade_beside_dispatch(void) {
    start_both();
    fails_amid_call(dispatch_amid_upgrade);
    free_all();
}

static void *free_amid_upgrade(void *nothing) {
    begin_call();
    pf_pool *left = pf_pool_free(second);
    end_call();
    check(left == NULL, "a pool is not freed beside an upgrade");
    second = NULL;
    return nothing;
}

static void upgrade_beside_free(void) {
    start_both();
    fails_amid_call(free_amid_upgrade);
    free_all();
}

static void *free_slowly(void *nothing) {
    is_held_in_close = true;
    check(pf_pool_free(second) == NULL, "a pool is not freed");
    second = NULL;
    return nothing;
}

/* What is left of the pool is not for the next program. */
static void upgrade_amid_free(void) {
    pthread_t thread;

    start_both();
    begin_thread(&thread, free_slowly, NULL);
    await(&is_other_held, NULL);
    check(upgrade("./missing") == -EBUSY, "an upgrade amid the end of a pool is not refused");
    atomic_store(&is_other_free, true);
    end_thread(thread);
    free_all();
}

/* A process that is made during the upgrade has none under way. */
static void *fork_amid_upgrade(void *nothing) {
    int status = -1;

    await(&is_main_held, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(PATIENCE_MS / 1000);
        check(pf_pool_free(second) == NULL, "the child cannot free its copy");
        first = NULL;
        start(&second, "second");
        begins(second, PF_EVENT_STARTING);
        check(upgrade("./missing") == -ENOENT, "no upgrade in a child");
        free_all();
        _exit(0);
    }
    check(waitpid(pid, &status, 0) == pid && status == 0, "the child has failed");
    atomic_store(&has_other_returned, true);
    return nothing;
}

static void upgrade_beside_fork(void) {
    start_both();
    fails_amid_call(fork_amid_upgrade);
    free_all();
}

static bool is_blocked(int signal) {
    sigset_t mask;

    check(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0, "no mask");
    return sigismember(&mask, signal) == 1;
}

/* The first pool of a thread brings the mask of the first program. */
static void start_first_of_thread(pf_pool **ret_pool, const char *name) {
    check(is_blocked(SIGTERM) == (generation > 0), "a thread begins with another mask");
    start(ret_pool, name);
    check(!is_blocked(SIGTERM) && is_blocked(SIGUSR1), "another mask than that of the program");
}

static void *start_with_mask(void *nothing) {
    sigset_t own;

    start_first_of_thread(&first, "first");
    (void)sigemptyset(&own);
    (void)sigaddset(&own, SIGUSR2);
    check(pthread_sigmask(SIG_BLOCK, &own, NULL) == 0, "no own mask");
    start(&second, "second");
    check(is_blocked(SIGUSR2), "a later pool changes the mask");
    return nothing;
}

static void *start_another(void *pool) {
    start_first_of_thread(pool, "third");
    return NULL;
}

static void stop_by_signal(void) {
    uint64_t end = now_ms() + PATIENCE_MS;
    int result = 1;

    check(kill(getpid(), SIGTERM) == 0, "no signal");
    while (result == 1 && now_ms() < end) {
        result = pf_pool_dispatch(first, TURN_MS);
    }
    check(result == 0, "a pool does not handle the signal");
}

static void upgrade_without_pool_of_main_thread(void) {
    int way = generation == 0 ? PF_EVENT_STARTING : PF_EVENT_ADOPTED;
    pf_pool *third = NULL;
    pf_pool *last = NULL;
    sigset_t own;
    pthread_t thread;

    (void)sigemptyset(&own);
    (void)sigaddset(&own, SIGUSR1);
    if (generation == 0) {
        check(pthread_sigmask(SIG_SETMASK, &own, NULL) == 0, "no first mask");
    }
    begin_thread(&thread, start_with_mask, NULL);
    end_thread(thread);
    begin_thread(&thread, start_another, &third);
    end_thread(thread);
    check(is_blocked(SIGTERM) == (generation > 0), "the main thread has another mask");
    begins(first, way);
    begins(second, way);
    begins(third, way);
    if (generation < LAST_MASK) {
        check(false, pf_strerror(upgrade(NULL)));
    }
    start(&last, "last");
    check(!is_blocked(SIGTERM) && is_blocked(SIGUSR1), "the main thread does not get its mask");
    stop_by_signal();
    check(pf_pool_free(third) == NULL && pf_pool_free(last) == NULL, "a pool is not freed");
    free_all();
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*play)(void);
    } cases[] = {
        {"start", upgrade_beside_start}, {"dispatch", upgrade_beside_dispatch},
        {"free", upgrade_beside_free},   {"amid_free", upgrade_amid_free},
        {"fork", upgrade_beside_fork},   {"mask", upgrade_without_pool_of_main_thread},
    };
    char next[16];

    if (argc != 3) {
        return 2;
    }
    generation = (int)strtol(argv[2], NULL, 10);
    (void)snprintf(next, sizeof(next), "%d", generation + 1);
    next_arguments[0] = argv[0];
    next_arguments[1] = argv[1];
    next_arguments[2] = next;
    for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
        if (strcmp(argv[1], cases[index].name) == 0) {
            cases[index].play();
            return 0;
        }
    }
    return 2;
}
