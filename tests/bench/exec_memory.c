/*
 * exec_memory.c - what the memory of the supervisor has to do with the start of a worker
 *
 *   exec_memory [quick]
 *
 * Two supervisors live side by side, one with 10 MiB of memory and one with 1 GiB, all of it
 * touched and in pages of the smallest size. In each round each of them starts some workers, by
 * exec and by fork, one at a time; the order changes from round to round. Of each round counts the
 * median. Measured is the time from just before the dispatch that starts the worker
 *   - to the return of that dispatch: how long the supervisor is busy with it;
 *   - to the first line of the worker's main, or of its function.
 * Prints a table, whose last column tells whether the goal of workers by exec was met. The status
 * is 0 also where it was not: the report is for people.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <prefork.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "series.h"

enum { SMALL_MIB = 10, LARGE_MIB = 1024, ROUNDS = 25, ROUNDS_QUICK = 9, STARTS = 15 };
static const double goal = 1.2;

enum { BY_EXEC, BY_FORK, WAYS };
enum { BUSY, BEGUN, TIMES };
enum { SMALL, LARGE, SIZES };

/* What a supervisor answers: the medians of one round, in microseconds. */
struct answer {
    double us[TIMES];
};

struct supervisor {
    pid_t pid;
    int requests;
    int answers;
};

/* Shared by a supervisor and its workers, whichever way they are made. */
static volatile uint64_t *begun_ns;
static int begun_fd;

static void map_begun(int fd) {
    void *memory = mmap(NULL, sizeof(*begun_ns), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        fail("mmap");
    }
    begun_ns = memory;
}

static int forked_worker(int task_id, void *user) {
    (void)task_id;
    (void)user;
    *begun_ns = now_ns();
    return 0;
}

/* Starts one worker and waits for its end. */
static void start_one(int way, double us[TIMES]) {
    static const char *const arguments[] = {"exec_memory", "worker", NULL};
    pf_pool *pool = NULL;
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, 1), "pf_pool_set_workers");
    check(pf_pool_add_fd(pool, "begun", begun_fd), "pf_pool_add_fd");
    check(way == BY_EXEC ? pf_pool_set_exec(pool, NULL, arguments, NULL)
                         : pf_pool_set_worker_fn(pool, forked_worker, NULL, NULL),
          "way");
    check(pf_pool_start(pool), "pf_pool_start");
    *begun_ns = 0;
    uint64_t start_ns = now_ns();
    int result = pf_pool_dispatch(pool, 0);
    uint64_t end_ns = now_ns();
    while (result == 1) {
        const pf_event *event = NULL;
        while (pf_pool_next_event(pool, &event) == 1) {
        }
        result = pf_pool_dispatch(pool, -1);
    }
    check(result, "pf_pool_dispatch");
    (void)pf_pool_free(pool);
    if (*begun_ns == 0) {
        (void)fprintf(stderr, "exec_memory: the worker did not begin\n");
        exit(EXIT_FAILURE);
    }
    us[BUSY] = (double)(end_ns - start_ns) / 1e3;
    us[BEGUN] = (double)(*begun_ns - start_ns) / 1e3;
}

static struct answer measure(int way) {
    struct series series[TIMES] = {{.count = 0}};
    struct answer answer;
    for (int i = 0; i < STARTS; i++) {
        double us[TIMES];
        start_one(way, us);
        for (int time = 0; time < TIMES; time++) {
            series_add(&series[time], us[time]);
        }
    }
    for (int time = 0; time < TIMES; time++) {
        answer.us[time] = series_quantile(&series[time], 0.5);
    }
    return answer;
}

/* Memory as a heap has it that has grown for a while: every small page is there by itself. */
static void take_memory(size_t mib) {
    size_t size = mib << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fail("mmap");
    }
    (void)madvise(memory, size,
                  MADV_NOHUGEPAGE); /* a kernel without large pages has no such call */
    for (size_t place = 0; place < size; place += 4096) {
        memory[place] = 1;
    }
}

/* Measures one way for each byte it reads. */
static void supervise(size_t mib, int requests, int answers) {
    unsigned char way = 0;
    take_memory(mib);
    begun_fd = memfd_create("begun", MFD_CLOEXEC);
    if (begun_fd < 0 || ftruncate(begun_fd, sizeof(*begun_ns)) != 0) {
        fail("memfd");
    }
    map_begun(begun_fd);
    while (read(requests, &way, 1) == 1) {
        struct answer answer = measure(way);
        if (write(answers, &answer, sizeof(answer)) != (ssize_t)sizeof(answer)) {
            fail("write");
        }
    }
    _exit(EXIT_SUCCESS);
}

static struct supervisor start_supervisor(size_t mib) {
    struct supervisor supervisor;
    int requests[2], answers[2];
    if (pipe2(requests, O_CLOEXEC) != 0 || pipe2(answers, O_CLOEXEC) != 0) {
        fail("pipe");
    }
    supervisor.pid = fork();
    if (supervisor.pid < 0) {
        fail("fork");
    }
    if (supervisor.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, 9L, 0L, 0L, 0L); /* only matters where this is killed */
        (void)close(requests[1]);                      /* its end tells of the end */
        supervise(mib, requests[0], answers[1]);
    }
    (void)close(requests[0]); /* both are the supervisor's */
    (void)close(answers[1]);
    supervisor.requests = requests[1];
    supervisor.answers = answers[0];
    return supervisor;
}

static struct answer ask(const struct supervisor *supervisor, int way) {
    unsigned char request = (unsigned char)way;
    struct answer answer = {.us = {0}};
    if (write(supervisor->requests, &request, 1) != 1 ||
        read(supervisor->answers, &answer, sizeof(answer)) != (ssize_t)sizeof(answer)) {
        fail("a supervisor has ended");
    }
    return answer;
}

static struct series results[WAYS][TIMES][SIZES];

static void report_results(void) {
    static const char *const ways[WAYS] = {"exec", "fork"};
    static const char *const times[TIMES] = {"supervisor busy", "worker begins"};
    printf("\n| a start by, us | %d MiB | %d MiB | ratio (quartiles) | goal | |\n", SMALL_MIB,
           LARGE_MIB);
    printf("|---|---:|---:|---:|---|---|\n");
    for (int way = 0; way < WAYS; way++) {
        for (int time = 0; time < TIMES; time++) {
            const struct series *series = results[way][time];
            struct series ratios = series_ratios(&series[LARGE], &series[SMALL]);
            double ratio = series_quantile(&ratios, 0.5);
            printf("| %s, %s | %.0f | %.0f | %.2f (%.2f, %.2f) |", ways[way], times[time],
                   series_quantile(&series[SMALL], 0.5), series_quantile(&series[LARGE], 0.5),
                   ratio, series_quantile(&ratios, 0.25), series_quantile(&ratios, 0.75));
            if (way == BY_EXEC) {
                printf(" <= %.2f | %s |\n", goal, ratio <= goal ? "met" : "**not met**");
            } else {
                printf(" | |\n");
            }
        }
    }
}

int main(int argc, char **argv) {
    if (pf_task_id() >= 0) {
        uint64_t begun = now_ns();
        map_begun(pf_worker_fd("begun"));
        *begun_ns = begun;
        return EXIT_SUCCESS;
    }
    int rounds = argc > 1 && strcmp(argv[1], "quick") == 0 ? ROUNDS_QUICK : ROUNDS;
    struct supervisor supervisors[SIZES] = {start_supervisor(SMALL_MIB),
                                            start_supervisor(LARGE_MIB)};
    for (int round = -1; round < rounds; round++) { /* the first one warms up */
        for (int way = 0; way < WAYS; way++) {
            for (int turn = 0; turn < SIZES; turn++) {
                int size = round % 2 == 0 ? turn : SIZES - 1 - turn;
                struct answer answer = ask(&supervisors[size], way);
                for (int time = 0; round >= 0 && time < TIMES; time++) {
                    series_add(&results[way][time][size], answer.us[time]);
                }
            }
        }
    }
    for (int size = 0; size < SIZES; size++) {
        (void)close(supervisors[size].requests); /* the second one has a copy of the first's */
    }
    for (int size = 0; size < SIZES; size++) {
        if (waitpid(supervisors[size].pid, NULL, 0) < 0) {
            fail("waitpid");
        }
    }
    report_results();
    return EXIT_SUCCESS;
}
