/*
 * upgrade.c - how long nobody supervises 100 workers while their supervisor is upgraded
 *
 *   upgrade [quick]
 *
 * A supervisor executes its own program again and again. Measured is the time from just before
 * pf_upgrade() to the end of the first pf_pool_dispatch() of the new program, which has adopted all
 * workers then. The start of the program itself, from execve() to the first line of main, is
 * measured by a process that does nothing else, and subtracted.
 *
 * Prints a table. The status is 0 also where the goal was not met: the report is for people.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <prefork.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "series.h"

enum { WORKERS = 100, ROUNDS = 50, ROUNDS_QUICK = 10 };
static const double goal_ms = 5;

static void answer(uint64_t ns) {
    if (write(STDOUT_FILENO, &ns, sizeof(ns)) != (ssize_t)sizeof(ns)) {
        fail("write");
    }
}

static int work(int task_id, void *user) {
    (void)task_id;
    (void)user;
    for (;;) {
        (void)pause();
    }
    return 0;
}

static void take_events(pf_pool *pool, int *ret_started, int *ret_adopted) {
    const pf_event *event = NULL;
    while (pf_pool_next_event(pool, &event) == 1) {
        *ret_started += pf_event_type(event) == PF_EVENT_STARTED;
        if (pf_event_type(event) == PF_EVENT_ADOPTED) {
            *ret_adopted = pf_event_worker_count(event);
        }
    }
}

/* upgrade supervise LEFT BEGUN: that many upgrades are left; this one has begun then. */
static int supervise(int left, uint64_t begun_ns) {
    pf_pool *pool = NULL;
    int started = 0, adopted = 0;
    char texts[2][32];
    const char *const arguments[] = {"upgrade", "supervise", texts[0], texts[1], NULL};
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, WORKERS), "pf_pool_set_workers");
    check(pf_pool_set_worker_fn(pool, work, NULL, NULL), "pf_pool_set_worker_fn");
    check(pf_pool_start(pool), "pf_pool_start");
    check(pf_pool_dispatch(pool, 0), "pf_pool_dispatch");
    uint64_t end_ns = now_ns();
    take_events(pool, &started, &adopted);
    while (begun_ns == 0 && started < WORKERS) {
        check(pf_pool_dispatch(pool, 100), "pf_pool_dispatch");
        take_events(pool, &started, &adopted);
    }
    if (begun_ns != 0) {
        if (adopted != WORKERS || started != 0) {
            (void)fprintf(stderr, "upgrade: %d workers adopted\n", adopted);
            return EXIT_FAILURE;
        }
        answer(end_ns - begun_ns);
    }
    if (left > 0) {
        (void)snprintf(texts[0], sizeof(texts[0]), "%d", left - 1);
        (void)snprintf(texts[1], sizeof(texts[1]), "%llu", (unsigned long long)now_ns());
        check(pf_upgrade(NULL, arguments, NULL), "pf_upgrade");
    }
    (void)pf_pool_free(pool);
    return EXIT_SUCCESS;
}

/* Starts this program and reads its answers. */
static void run(const char *mode, const char *number, int answers, struct series *ret_ms) {
    char begun[32];
    int pipes[2];
    if (pipe(pipes) != 0) {
        fail("pipe");
    }
    pid_t pid = fork();
    if (pid < 0) {
        fail("fork");
    }
    if (pid == 0) {
        if (dup2(pipes[1], STDOUT_FILENO) < 0 || close(pipes[0]) != 0 || close(pipes[1]) != 0) {
            _exit(EXIT_FAILURE);
        }
        int is_start = strcmp(mode, "start") == 0;
        (void)snprintf(begun, sizeof(begun), "%llu",
                       is_start ? (unsigned long long)now_ns() : 0ULL);
        execl("/proc/self/exe", "upgrade", mode, number, begun, (char *)NULL);
        _exit(EXIT_FAILURE);
    }
    (void)close(pipes[1]);
    for (int i = 0; i < answers; i++) {
        uint64_t ns = 0;
        if (read(pipes[0], &ns, sizeof(ns)) != (ssize_t)sizeof(ns)) {
            fail("the program has ended");
        }
        series_add(ret_ms, (double)ns / 1e6);
    }
    (void)close(pipes[0]);
    if (waitpid(pid, NULL, 0) < 0) {
        fail("waitpid");
    }
}

static void print_row(const char *what, const struct series *series) {
    printf("| %s | %.2f ms (%.2f, %.2f), at most %.2f |", what, series_quantile(series, 0.5),
           series_quantile(series, 0.25), series_quantile(series, 0.75),
           series_quantile(series, 1));
}

int main(int argc, char **argv) {
    uint64_t main_ns = now_ns();
    if (argc == 4 && strcmp(argv[1], "start") == 0) {
        answer(main_ns - strtoull(argv[3], NULL, 10));
        return EXIT_SUCCESS;
    }
    if (argc == 4 && strcmp(argv[1], "supervise") == 0) {
        return supervise(atoi(argv[2]), strtoull(argv[3], NULL, 10));
    }
    int rounds = argc > 1 && strcmp(argv[1], "quick") == 0 ? ROUNDS_QUICK : ROUNDS;
    struct series upgrades = {.count = 0}, starts = {.count = 0};
    char number[16];
    (void)snprintf(number, sizeof(number), "%d", rounds);
    run("supervise", number, rounds, &upgrades);
    for (int round = 0; round < rounds; round++) {
        run("start", "0", 1, &starts);
    }
    double gap = series_quantile(&upgrades, 0.5) - series_quantile(&starts, 0.5);
    printf("\n| an upgrade with %d workers | median (quartiles) | goal | |\n|---|---|---|---|\n",
           WORKERS);
    print_row("nobody supervises for", &upgrades);
    printf(" | |\n");
    print_row("the program's own start", &starts);
    printf(" | |\n| the difference | %.2f ms | <= %.2f ms | %s |\n", gap, goal_ms,
           gap <= goal_ms ? "met" : "**not met**");
    return EXIT_SUCCESS;
}
