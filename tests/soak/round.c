/*
 * round.c - rounds: a supervisor from its start to its end
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "round.h"
#include "driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALONE_MS (2000 * SLOW * time_scale())
#define STOP_MS (8000 * SLOW * time_scale())

enum { ROUND_MOST_MS = 60000, PROCESSES_MOST = 300 };

static struct observer observer;
static int plant; /* enum plant */

/* What differs between rounds. */
enum kind { KIND_THIEF = 1, KIND_KILLED = 2, KINDS = 4 };

/* Draws the settings of the pools. */
static void draw_plan(struct board *board, struct dice *dice, bool thief) {
    for (int number = 0; number < POOLS; number++) {
        struct pool_plan *plan = &board->plan[number];
        *plan = (struct pool_plan){.backend = PF_BACKEND_PIDFD, .stop_fd = 1};
        plan->exec = number == 2;
        plan->ready_timeout_ms = number == 1 ? 0 : 2000 * SLOW * (int)time_scale();
        plan->heartbeat_timeout_ms = dice_hit(dice, 4) ? 0 : 800 * SLOW * (int)time_scale();
        plan->width = 1 + dice_below(dice, 4);
        plan->stop_first = dice_hit(dice, 3) ? PF_RELOAD_STOP_FIRST : PF_RELOAD_START_FIRST;
        plan->death_signal = dice_hit(dice, 2) ? SIGKILL : SIGTERM;
        plan->stop_fd = !dice_hit(dice, 4);
        plan->groups = dice_hit(dice, 4) ? 1 + dice_below(dice, 2) : 0;
        plan->lifetime_ms = dice_hit(dice, 4) ? 8000 : 0;
    }
    board->plan[0].signals = PF_SIGNALS_STANDARD;
    board->thief = !thief ? THIEF_NONE : dice_hit(dice, 2) ? THIEF_LOOP : THIEF_THREAD;
    if (!thief) {
        board->plan[1].backend = PF_BACKEND_SIGCHLD;
        board->plan[2].backend = dice_hit(dice, 2) ? PF_BACKEND_SIGCHLD : PF_BACKEND_AUTO;
    }
}

/* In the child: become the supervisor. */
static void become_supervisor(const struct place *place, int board_fd, int command_fd, int log_fd) {
    char name[128];
    char path[128];
    struct rlimit none = {0, 0};
    struct rlimit processes = {PROCESSES_MOST, PROCESSES_MOST};
    int fds[] = {fcntl(board_fd, F_DUPFD, 10), fcntl(command_fd, F_DUPFD, 10),
                 fcntl(log_fd, F_DUPFD, 10)};

    for (int at = 0; at < 3; at++) {
        if (dup2(fds[at], BOARD_FD + at) < 0) {
            _exit(96);
        }
        (void)close(fds[at]); /* a copy */
    }
    if (place->memory != NULL && !cgroup_enter(place->memory)) {
        _exit(95);
    }
    (void)setsid(); /* this process leads no group yet */
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)setrlimit(RLIMIT_NPROC, &processes);
    (void)snprintf(name, sizeof(name), "LD_LIBRARY_PATH=%s", place->directory);
    (void)snprintf(path, sizeof(path), "%s/work", place->directory);
    /* Without its cache, what malloc() counts is what is allocated. */
    if (putenv(name) != 0 || setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1) != 0 ||
        chdir(path) != 0) {
        _exit(94);
    }
    if (place->user != 0 && (setgroups(0, NULL) != 0 || setgid((gid_t)place->user) != 0 ||
                             setuid((uid_t)place->user) != 0)) {
        _exit(93);
    }
    (void)snprintf(path, sizeof(path), "%s/soak", place->directory);
    (void)execl(path, "soak", "supervise", (char *)NULL);
    _exit(92);
}

/* Starts a supervisor. Returns the descriptor for commands; -1: there is none. */
static int start(const struct place *place, struct dice *dice, bool thief) {
    char path[128];
    int command_fds[2];
    int board_fd = memfd_create("board", MFD_CLOEXEC);

    memset(&observer, 0, sizeof(observer));
    (void)snprintf(path, sizeof(path), "%s/log", place->directory);
    (void)unlink(path); /* that of the round before, if there was one */
    int log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    observer.log_fd = open(path, O_RDONLY | O_CLOEXEC);
    observer.note_fd = log_fd;
    observer.thief = thief;
    if (board_fd < 0 || log_fd < 0 || observer.log_fd < 0 || pipe2(command_fds, O_NONBLOCK) != 0 ||
        ftruncate(board_fd, (off_t)sizeof(struct board)) != 0 ||
        (observer.board = board_map(board_fd)) == NULL) {
        check(ROW_SUPERVISOR, false, "no files for it: %s", strerror(errno));
        return -1;
    }
    (void)fcntl(command_fds[1], F_SETFD, FD_CLOEXEC); /* cannot fail: it is open */
    observer.board->seed = dice_next(dice);
    observer.board->plant = (uint32_t)plant;
    draw_plan(observer.board, dice, thief);
    pid_t pid = fork();
    if (pid == 0) {
        become_supervisor(place, board_fd, command_fds[0], log_fd);
    }
    observer.supervisor = pid;
    (void)close(board_fd);       /* it is mapped */
    (void)close(command_fds[0]); /* the supervisor has it */
    return command_fds[1];
}

/* Pools allocate when they grow, and keep what they have. */
static void grow(const struct driver *driver) {
    uint64_t deadline = now_ms() + STOP_MS;
    bool grown = false;

    for (int pool = 0; pool < POOLS; pool++) {
        (void)observer_command(driver->command_fd, ASK_RESIZE, pool, 0, GROWN_SLOTS,
                               0); /* has room */
    }
    while (!grown && now_ms() < deadline) {
        pause_ms(5);
        observer_read(&observer);
        grown = observer_alive(&observer, -1) == POOLS * GROWN_SLOTS;
    }
}

/* Ends the pools, each in a way of its own, and the supervisor with them. */
static void end_by_stop(struct driver *driver) {
    static const enum request ways[] = {ASK_STOP, ASK_STOP, ASK_KILL, ASK_FREE};
    int way[POOLS];

    __atomic_store_n(&observer.board->chaos, 0, __ATOMIC_RELAXED);
    driver_calm(driver);
    for (int pool = 0; pool < POOLS; pool++) {
        way[pool] = ways[dice_below(&driver->dice, 4)];
    }
    uint64_t deadline = now_ms() + STOP_MS;
    for (int at = 0; at <= POOLS; at++) {
        while (!observer_command(driver->command_fd, at == 0 ? ASK_END : (enum request)way[at - 1],
                                 at == 0 ? 0 : at - 1, 0, 0, 0) &&
               now_ms() < deadline) {
            pause_ms(5);
        }
    }
    int left = observer_wait_alone(&observer, STOP_MS);
    observer_read(&observer);
    check(ROW_STOPPED, left == 0, "%d processes after a stop", left);
    check(ROW_STOPPED, observer.dead && observer.exit_status == 0,
          "the supervisor ended with status %d", observer.exit_status);
    check(ROW_ONE_END, observer_alive(&observer, -1) == 0, "%d workers have no end",
          observer_alive(&observer, -1));
}

static void end_by_kill(struct driver *driver) {
    (void)kill(observer.supervisor, SIGKILL); /* it is a child that was not reaped */
    driver_calm(driver);                      /* those that are stopped cannot end by SIGTERM */
    int left = observer_wait_alone(&observer, ALONE_MS);
    observer_read(&observer);
    check(ROW_KILLED, left == 0, "%d processes after SIGKILL of the supervisor", left);
}

static int count_files(const char *directory) {
    DIR *opened = opendir(directory);
    int count = -2; /* itself and its parent */

    while (opened != NULL && readdir(opened) != NULL) {
        count++;
    }
    if (opened != NULL) {
        (void)closedir(opened); /* nothing was written */
    }
    return count;
}

static void check_files(const struct place *place) {
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/work", place->directory);
    check(ROW_FILES, count_files(path) == 0, "%d files", count_files(path));
    check(ROW_FILES, count_files(place->directory) == 4, "%d files, not 4",
          count_files(place->directory));
}

/* Keeps the log of a round that failed. */
static void keep_log(const struct place *place, uint64_t seed, unsigned long long number) {
    char from[128];
    char to[128];

    (void)snprintf(from, sizeof(from), "%s/log", place->directory);
    (void)snprintf(to, sizeof(to), "/tmp/prefork-soak-%llu-%llu.log", (unsigned long long)seed,
                   number);
    if (rename(from, to) == 0) {
        printf("its log: %s\n", to);
    }
}

/* The group's own count of those that were killed for lack of memory. */
static long long killed_for_memory(const struct cgroup *group) {
    long long count =
        group == NULL
            ? 0
            : cgroup_number(group, group->version == 1 ? "memory.oom_control" : "memory.events",
                            "oom_kill");

    return count < 0 ? 0 : count;
}

static void end_all(void) {
    (void)kill(-1, SIGKILL); /* all in the namespace but this one */
    (void)observer_wait_alone(&observer, ALONE_MS);
    for (int at = 0; at < LIVE_MAX; at++) {
        if (observer.live[at].pid != 0 && observer.live[at].pidfd >= 0) {
            (void)close(observer.live[at].pidfd); /* it is no file */
        }
    }
}

static void run_round(const struct place *place, struct dice *dice, uint64_t deadline, int kind) {
    struct driver driver = {.observer = &observer, .memory = place->memory, .user = place->user};
    bool driven = false;

    driver.dice.state = dice_next(dice);
    driver.command_fd = start(place, dice, (kind & KIND_THIEF) != 0);
    if (driver.command_fd < 0) {
        return;
    }
    observer.keeps_statuses = true;
    (void)prlimit(observer.supervisor, RLIMIT_NOFILE, NULL, &driver.files);
    (void)prlimit(observer.supervisor, RLIMIT_NPROC, NULL, &driver.processes);
    driver.processes.rlim_cur = driver.processes.rlim_max = PROCESSES_MOST;
    grow(&driver);
    observer_settle(&observer, driver.command_fd);
    while (!observer.dead && (!driven || now_ms() < deadline)) {
        driven = true;
        driver_chaos(&driver, 600 + (unsigned)dice_below(dice, 1500));
        if (now_ms() < deadline) {
            driver_calm(&driver);
            observer_settle(&observer, driver.command_fd);
        }
    }
    if (check(ROW_SUPERVISOR, !observer.dead, "it ended with status %d", observer.exit_status)) {
        ((kind & KIND_KILLED) != 0 ? end_by_kill : end_by_stop)(&driver);
    }
    end_all();
    check_files(place);
    (void)close(driver.command_fd);                     /* a pipe */
    (void)close(observer.log_fd);                       /* nothing was written */
    (void)close(observer.note_fd);                      /* notes */
    (void)munmap(observer.board, sizeof(struct board)); /* it is mapped */
}

void rounds_run(const struct place *place, unsigned seconds, uint64_t seed) {
    struct dice dice = {seed};
    uint64_t begin = now_ms();
    unsigned span_ms = seconds * 1000U;
    unsigned rounds = (span_ms / ROUND_MOST_MS / KINDS + 1) * KINDS;

    for (unsigned number = 1; number <= rounds; number++) {
        unsigned failures = check_failures();
        uint64_t deadline = begin + (uint64_t)span_ms * number / rounds;
        run_round(place, &dice, deadline, (int)(number % KINDS));
        totals.rounds++;
        if (check_failures() != failures) {
            keep_log(place, seed, totals.rounds);
        }
    }
    totals.killed_for_memory = (unsigned long long)killed_for_memory(place->memory);
    check(ROW_REAL, totals.events[PF_EVENT_EXITED] > seconds * 5, "only %llu ends",
          totals.events[PF_EVENT_EXITED]);
}

void rounds_run_planted(const struct place *place, unsigned seconds, uint64_t seed, int planted) {
    struct dice dice = {seed};

    plant = planted;
    run_round(place, &dice, now_ms() + seconds * 1000U, plant == PLANT_OUTLIVES ? KIND_KILLED : 0);
}
