/*
 * spares.c - what a spare saves
 *
 *   spares [quick]
 *
 * - A program that needs 300 ms to start: from just before kill(KILL) of the worker that answers to
 *   the next answer, which is its successor's. One supervisor has no spare, and one has one; both
 *   live all the time, and rounds alternate.
 * - The same program, four workers: from the request for a reload to its end, with 0, 1 and 4
 *   spares.
 * - A parent of 1 GiB that forks: from just before the kill to the first line of the successor. The
 *   floor is kill, waitpid and fork in the same process; a ratio is that of two neighbours.
 *
 * Prints a table. The status is 0 also where a goal was not met: the report is for people.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <prefork.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "series.h"

enum { START_US = 300000, FEW = 1, SOME = 4, BACKLOG = 128, MEMORY_MIB = 1024 };
enum { KILLS = 15, KILLS_QUICK = 5, RELOADS = 3, RELOADS_QUICK = 1, FORKS = 31, FORKS_QUICK = 9 };
static const double goal_ms = 5;
static const double goal_ratio = 0.65;

static double now_ms(void) { return (double)now_ns() / 1e6; }

static void pause_us(unsigned us) {
    const struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};
    (void)nanosleep(&time, NULL); /* no signal is handled */
}

static void print_row(const char *what, const char *unit, const struct series *series) {
    printf("| %s | %.2f %s (%.2f, %.2f) |", what, series_quantile(series, 0.5), unit,
           series_quantile(series, 0.25), series_quantile(series, 0.75));
}

static void print_goal(double value, double goal) {
    printf(" <= %.2f | %s |\n", goal, value <= goal ? "met" : "**not met**");
}

/* ---- A program that starts slowly ------------------------------------------------------- */

/* Answers each connection with its process id. */
static void serve(int listener) {
    check(pf_worker_ready(), "pf_worker_ready");
    for (;;) {
        int32_t pid = (int32_t)getpid();
        int client = accept(listener, NULL, NULL);
        if (client >= 0) {
            (void)send(client, &pid, sizeof(pid), MSG_NOSIGNAL); /* the client counts */
            (void)close(client);
        }
    }
}

/* spares program PORT WORKERS SPARES, as a supervisor and as its workers. */
static int run_program(char **argv) {
    pf_pool *pool = NULL;
    int task_id = -1, listener = -1;
    check(pf_bind_sockets("127.0.0.1", atoi(argv[0]), AF_INET, BACKLOG, 0, &listener, 1), "bind");
    if (pf_worker_pool_name() != NULL) {
        pause_us(START_US);
    }
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, atoi(argv[1])), "pf_pool_set_workers");
    check(pf_pool_set_spares(pool, atoi(argv[2])), "pf_pool_set_spares");
    check(pf_pool_set_exec(pool, NULL, NULL, NULL), "pf_pool_set_exec");
    check(pf_pool_set_ready_timeout(pool, 10000), "pf_pool_set_ready_timeout");
    check(pf_pool_set_max_restarts(pool, PF_UNLIMITED), "pf_pool_set_max_restarts");
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD), "pf_pool_set_signals");
    check(pf_pool_run(pool, &task_id), "pf_pool_run");
    if (task_id >= 0) {
        serve(listener);
    }
    (void)pf_pool_free(pool);
    return EXIT_SUCCESS;
}

struct program {
    pid_t pid;
    int port;
};

/* A port that nobody has; another program may take it before ours does. */
static int find_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0 || close(fd) != 0) {
        fail("a port");
    }
    return ntohs(address.sin_port);
}

/* Returns who has answered. */
static pid_t ask(const struct program *program) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)program->port)};
    int32_t pid = 0;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    while (pid == 0) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            fail("socket");
        }
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
            recv(fd, &pid, sizeof(pid), MSG_WAITALL) != (ssize_t)sizeof(pid)) {
            pid = 0;
            pause_us(100);
        }
        (void)close(fd);
    }
    return pid;
}

static struct program start_program(int workers, int spares) {
    struct program program = {.pid = 0, .port = find_port()};
    char texts[3][16];
    (void)snprintf(texts[0], sizeof(texts[0]), "%d", program.port);
    (void)snprintf(texts[1], sizeof(texts[1]), "%d", workers);
    (void)snprintf(texts[2], sizeof(texts[2]), "%d", spares);
    program.pid = fork();
    if (program.pid < 0) {
        fail("fork");
    }
    if (program.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, 9L, 0L, 0L, 0L); /* only matters where this is killed */
        (void)!freopen("/dev/null", "w", stderr);      /* events */
        execl("/proc/self/exe", "spares", "program", texts[0], texts[1], texts[2], (char *)NULL);
        _exit(EXIT_FAILURE);
    }
    (void)ask(&program);
    return program;
}

static void stop_program(const struct program *program) {
    if (kill(program->pid, SIGTERM) != 0 || waitpid(program->pid, NULL, 0) < 0) {
        fail("the end of a program");
    }
}

static double time_of_kill(const struct program *program) {
    pid_t pid = ask(program);
    double begin = now_ms();
    if (kill(pid, SIGKILL) != 0) {
        fail("kill");
    }
    while (ask(program) == pid) {
    }
    return now_ms() - begin;
}

static void measure_kills(int rounds) {
    struct series times[2] = {{.count = 0}, {.count = 0}};
    const struct program programs[2] = {start_program(FEW, 0), start_program(FEW, 1)};
    for (int round = 0; round < rounds; round++) {
        pause_us(3 * START_US); /* the next spare is there */
        for (int spares = 0; spares < 2; spares++) {
            series_add(&times[spares], time_of_kill(&programs[spares]));
        }
    }
    stop_program(&programs[0]);
    stop_program(&programs[1]);
    print_row("starts in 300 ms: kill until the next answer, no spare", "ms", &times[0]);
    printf(" | |\n");
    print_row("the same, 1 spare", "ms", &times[1]);
    print_goal(series_quantile(&times[1], 0.5), goal_ms);
}

/* ---- Reloads ---------------------------------------------------------------------------- */

enum { CHILDREN_MAX = 32 };

struct children {
    int pids[CHILDREN_MAX];
    int count;
};

static struct children children_of(pid_t pid) {
    struct children children = {.count = 0};
    char name[64];
    (void)snprintf(name, sizeof(name), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(name, "re");
    if (file == NULL) {
        fail(name);
    }
    while (children.count < CHILDREN_MAX &&
           fscanf(file, "%d", &children.pids[children.count]) == 1) {
        children.count++;
    }
    (void)fclose(file);
    return children;
}

static int shares_any(const struct children *one, const struct children *other) {
    for (int i = 0; i < one->count * other->count; i++) {
        if (one->pids[i / other->count] == other->pids[i % other->count]) {
            return 1;
        }
    }
    return 0;
}

static double time_of_reload(int spares) {
    struct program program = start_program(SOME, spares);
    pause_us((unsigned)(4 + spares) * START_US);
    struct children old = children_of(program.pid);
    struct children now;
    double begin = now_ms();
    if (kill(program.pid, SIGHUP) != 0) {
        fail("kill");
    }
    do {
        pause_us(1000);
        now = children_of(program.pid);
    } while (shares_any(&old, &now) || now.count < SOME);
    double time = now_ms() - begin;
    stop_program(&program);
    return time;
}

static void measure_reloads(int rounds) {
    static const int counts[] = {0, 1, 4};
    struct series times[3] = {{.count = 0}, {.count = 0}, {.count = 0}};
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 3; i++) {
            series_add(&times[i], time_of_reload(counts[i]));
        }
    }
    for (int i = 0; i < 3; i++) {
        char what[64];
        (void)snprintf(what, sizeof(what), "the same: a reload of 4 workers, %d spares", counts[i]);
        print_row(what, "ms", &times[i]);
        printf(" | |\n");
    }
}

/* ---- A large parent ---------------------------------------------------------------------- */

static int begun[2]; /* a pipe: when a process has begun */

static void begin_and_wait(void) {
    double time = now_ms();
    if (write(begun[1], &time, sizeof(time)) != (ssize_t)sizeof(time)) {
        _exit(EXIT_FAILURE);
    }
    for (;;) {
        (void)pause();
    }
}

static int work(int task_id, void *user) {
    (void)task_id;
    (void)user;
    begin_and_wait();
    return 0;
}

static double read_begun(void) {
    double time = 0;
    if (read(begun[0], &time, sizeof(time)) != (ssize_t)sizeof(time)) {
        fail("a worker");
    }
    return time;
}

static void dispatch(pf_pool *pool, int timeout_ms) {
    const pf_event *event = NULL;
    check(pf_pool_dispatch(pool, timeout_ms), "pf_pool_dispatch");
    while (pf_pool_next_event(pool, &event) == 1) {
    }
}

static void wait_for_spare(pf_pool *pool) {
    while (pf_pool_counter(pool, PF_COUNT_SPARES) < 1) {
        dispatch(pool, 20);
    }
    dispatch(pool, 5);
}

static double time_of_spare(pf_pool *pool) {
    pid_t old = (pid_t)pf_pool_worker_pid(pool, 0);
    double begin = now_ms();
    if (kill(old, SIGKILL) != 0) {
        fail("kill");
    }
    while (pf_pool_worker_pid(pool, 0) == old || pf_pool_worker_pid(pool, 0) <= 0) {
        dispatch(pool, 1000);
    }
    return read_begun() - begin;
}

static pid_t start_child(void) {
    pid_t pid = fork();
    if (pid == 0) {
        begin_and_wait();
    }
    if (pid < 0) {
        fail("fork");
    }
    return pid;
}

static double time_of_floor(pid_t *child) {
    double begin = now_ms();
    if (kill(*child, SIGKILL) != 0 || waitpid(*child, NULL, 0) < 0) {
        fail("kill");
    }
    *child = start_child();
    return read_begun() - begin;
}

static void measure_forks(int rounds) {
    struct series spare = {.count = 0}, least = {.count = 0};
    size_t size = (size_t)MEMORY_MIB << 20;
    pf_pool *pool = NULL;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || pipe(begun) != 0) {
        fail("memory");
    }
    (void)madvise(memory, size, MADV_NOHUGEPAGE); /* a kernel may have no large pages */
    for (size_t place = 0; place < size; place += 4096) {
        memory[place] = 1;
    }
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, 1), "pf_pool_set_workers");
    check(pf_pool_set_spares(pool, 1), "pf_pool_set_spares");
    check(pf_pool_set_max_restarts(pool, PF_UNLIMITED), "pf_pool_set_max_restarts");
    check(pf_pool_set_worker_fn(pool, work, NULL, NULL), "pf_pool_set_worker_fn");
    check(pf_pool_start(pool), "pf_pool_start");
    dispatch(pool, 0);
    (void)read_begun();
    pid_t child = start_child();
    (void)read_begun();
    for (int round = 0; round < rounds; round++) {
        wait_for_spare(pool);
        series_add(&spare, time_of_spare(pool));
        wait_for_spare(pool);
        series_add(&least, time_of_floor(&child));
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    (void)pf_pool_free(pool);
    struct series ratios = series_ratios(&spare, &least);
    print_row("fork, 1 GiB: kill until the next one begins, floor", "ms", &least);
    printf(" | |\n");
    print_row("the same, 1 spare", "ms", &spare);
    printf(" | |\n");
    print_row("the same, 1 spare against the floor", "", &ratios);
    print_goal(series_quantile(&ratios, 0.5), goal_ratio);
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "program") == 0) {
        return run_program(argv + 2);
    }
    int is_quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    printf("\n| spares | median (quartiles) | goal | |\n|---|---|---|---|\n");
    measure_kills(is_quick ? KILLS_QUICK : KILLS);
    measure_reloads(is_quick ? RELOADS_QUICK : RELOADS);
    measure_forks(is_quick ? FORKS_QUICK : FORKS);
    return EXIT_SUCCESS;
}
