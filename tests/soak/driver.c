/*
 * driver.c - does to the supervisor and its workers what may happen to them
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "driver.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int killers[] = {SIGKILL, SIGKILL, SIGTERM, SIGINT,  SIGHUP,   SIGQUIT, SIGABRT,
                              SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGPIPE,  SIGALRM, SIGUSR1,
                              SIGUSR2, SIGSYS,  SIGTRAP, SIGXCPU, SIGVTALRM};

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static void note(const struct driver *driver, const char *what, int a, int b, int c) {
    log_line(driver->observer->note_fd, "# %s %d %d %d", what, a, b, c);
    totals.acts++;
}

/* Sends a signal to some worker. Its number may not belong to another process by then. */
static void signal_some(struct driver *driver, int signal_number) {
    int from = dice_below(&driver->dice, LIVE_MAX);

    for (int step = 0; step < LIVE_MAX; step++) {
        const struct live *live = &driver->observer->live[(from + step) % LIVE_MAX];
        if (live->pid != 0 && live->pidfd >= 0) {
            note(driver, "signal", live->pid, signal_number, live->pool);
            totals.signals +=
                syscall(SYS_pidfd_send_signal, live->pidfd, signal_number, NULL, 0) == 0;
            return;
        }
    }
}

static void kill_some(struct driver *driver) {
    int count = dice_hit(&driver->dice, 20) ? 12 : 1;

    for (; count > 0; count--) {
        signal_some(driver, killers[dice_below(&driver->dice, COUNT(killers))]);
    }
}

static void stop_supervisor(struct driver *driver) {
    if (driver->supervisor_stopped_until == 0) {
        int span = 20 + dice_below(&driver->dice, 400);
        driver->supervisor_stopped_until = now_ms() + (uint64_t)span;
        note(driver, "stop supervisor", span, 0, 0);
        (void)kill(driver->observer->supervisor, SIGSTOP); /* its end is noticed elsewhere */
    }
}

static void continue_supervisor(struct driver *driver, bool at_once) {
    if (driver->supervisor_stopped_until != 0 &&
        (at_once || now_ms() >= driver->supervisor_stopped_until)) {
        driver->supervisor_stopped_until = 0;
        (void)kill(driver->observer->supervisor, SIGCONT); /* its end is noticed elsewhere */
    }
}

static void ask(struct driver *driver, enum request request, int task, int value) {
    int pool = dice_below(&driver->dice, POOLS);
    bool ends = request == ASK_STOP || request == ASK_KILL || request == ASK_FREE;

    if (ends && driver->observer->board->plan[pool].signals != 0) {
        return; /* without this pool, the signals would end the supervisor */
    }
    note(driver, "ask", (int)request, pool, value);
    /* A supervisor that is stopped has no room for ever. */
    (void)observer_command(driver->command_fd, request, pool, task, value, 0);
}

enum { LIMIT_TRIES = 20 };

/* As a process of the same user: that needs no capability. Returns the status of that process. */
static int try_limits(const struct driver *driver, rlim_t files, rlim_t processes) {
    struct rlimit limit_files = {files, driver->files.rlim_max};
    struct rlimit limit_processes = {processes, driver->processes.rlim_max};
    pid_t supervisor = driver->observer->supervisor;
    int status = -1;

    pid_t pid = fork();
    if (pid == 0) {
        bool same = driver->user == 0 ||
                    (setgid((gid_t)driver->user) == 0 && setuid((uid_t)driver->user) == 0);
        _exit(!same || prlimit(supervisor, RLIMIT_NOFILE, &limit_files, NULL) != 0 ||
              prlimit(supervisor, RLIMIT_NPROC, &limit_processes, NULL) != 0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Sets the limits of the supervisor. That process may fail, for lack of memory or otherwise: then
 * the low limits would stay for ever. */
static void set_limits(const struct driver *driver, rlim_t files, rlim_t processes) {
    int status = try_limits(driver, files, processes);

    for (unsigned tries = 1; status != 0 && tries < LIMIT_TRIES; tries++) {
        pause_ms(50);
        status = try_limits(driver, files, processes);
    }
    check(ROW_REQUESTS, status == 0 || kill(driver->observer->supervisor, 0) != 0,
          "the limits cannot be set: status %d", status);
}

static void limit(struct driver *driver) {
    rlim_t files = driver->files.rlim_cur;
    rlim_t processes = driver->processes.rlim_cur;

    if (!driver->limited && dice_hit(&driver->dice, 2)) {
        files = (rlim_t)dice_below(&driver->dice, 2 * POOLS * BASE_SLOTS);
    } else if (!driver->limited) {
        processes = (rlim_t)dice_below(&driver->dice, POOLS * BASE_SLOTS);
    }
    driver->limited = !driver->limited;
    note(driver, "limit", (int)files, (int)processes, 0);
    set_limits(driver, files, processes);
}

/* ---- Memory ---------------------------------------------------------------------------- */

long long cgroup_number(const struct cgroup *group, const char *file, const char *word) {
    char path[600];
    char line[256];
    long long number = -1;
    size_t length = word != NULL ? strlen(word) : 0;

    (void)snprintf(path, sizeof(path), "%s/%s", group->path, file);
    FILE *opened = fopen(path, "re");
    while (opened != NULL && number < 0 && fgets(line, sizeof(line), opened) != NULL) {
        if (length == 0 || (strncmp(line, word, length) == 0 && line[length] == ' ')) {
            number = strtoll(line + length, NULL, 10);
        }
    }
    if (opened != NULL) {
        (void)fclose(opened); /* nothing was written */
    }
    return number;
}

enum { PRESSED_BYTES = 24 << 20 };

/* Limits the memory of the group to what it uses and a little more. Workers that need much are
 * killed then. */
static void press(struct driver *driver) {
    bool first = driver->memory->version == 1;
    char text[64];

    driver->pressed = !driver->pressed;
    if (driver->pressed) {
        long long used =
            cgroup_number(driver->memory, first ? "memory.usage_in_bytes" : "memory.current", NULL);
        (void)snprintf(text, sizeof(text), "%lld", used + PRESSED_BYTES);
        totals.presses++;
    } else {
        (void)snprintf(text, sizeof(text), "%s", first ? "-1" : "max");
    }
    note(driver, "press", driver->pressed, 0, 0);
    __atomic_store_n(&driver->observer->board->eaters, driver->pressed, __ATOMIC_RELAXED);
    check(ROW_PRESSURE,
          cgroup_write(driver->memory, first ? "memory.limit_in_bytes" : "memory.max", text),
          "the limit of the memory cannot be set to %s: %s", text, strerror(errno));
}

static void act(struct driver *driver) {
    static const int told[] = {SIGHUP, SIGHUP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH};
    struct dice *dice = &driver->dice;
    int draw = dice_below(dice, 100);

    if (draw < 40) {
        kill_some(driver);
    } else if (draw < 46) {
        signal_some(driver, SIGSTOP);
    } else if (draw < 52) {
        signal_some(driver, SIGCONT);
    } else if (draw < 54) {
        stop_supervisor(driver);
    } else if (draw < 58) {
        ask(driver, ASK_RESIZE, 0, 1 + dice_below(dice, MAX_SLOTS));
    } else if (draw < 62) {
        ask(driver, ASK_RELOAD, 0, 0);
    } else if (draw < 70) {
        ask(driver, ASK_REPLACE, dice_below(dice, MAX_SLOTS), 0);
    } else if (draw < 74) {
        ask(driver, ASK_STOP_WORKER, dice_below(dice, BASE_SLOTS), 0);
    } else if (draw < 80) {
        ask(driver, ASK_SEND_SIGNAL, dice_below(dice, MAX_SLOTS + 1) - 1,
            killers[dice_below(dice, COUNT(killers))]);
    } else if (draw < 83) {
        ask(driver, ASK_SIGNAL, 0, told[dice_below(dice, COUNT(told))]);
    } else if (draw < 86) {
        int signal_number = told[dice_below(dice, COUNT(told))];
        note(driver, "signal supervisor", signal_number, 0, 0);
        (void)kill(driver->observer->supervisor, signal_number); /* its end is noticed elsewhere */
    } else if (draw < 93) {
        ask(driver, ASK_FOREIGN, 0, dice_below(dice, 256));
    } else if (draw < 94 && driver->memory != NULL) {
        press(driver);
    } else if (draw < 96) {
        limit(driver);
    } else if (dice_hit(dice, 4)) {
        static const enum request ends[] = {ASK_STOP, ASK_KILL, ASK_FREE};
        ask(driver, ends[dice_below(dice, COUNT(ends))], 0, 0);
    } else {
        (void)observer_command(driver->command_fd, ASK_NORMAL, 0, 0, 0, 0); /* a wish */
    }
}

void driver_calm(struct driver *driver) {
    struct observer *observer = driver->observer;

    __atomic_store_n(&observer->board->chaos, 0, __ATOMIC_RELAXED);
    continue_supervisor(driver, true);
    driver->limited = false;
    if (driver->pressed) {
        press(driver);
    }
    set_limits(driver, driver->files.rlim_cur, driver->processes.rlim_cur);
    for (int at = 0; at < LIVE_MAX; at++) {
        const struct live *live = &observer->live[at];
        if (live->pid != 0 && live->pidfd >= 0) {
            (void)syscall(SYS_pidfd_send_signal, live->pidfd, SIGCONT, NULL, 0); /* or it ended */
        }
    }
}

void driver_chaos(struct driver *driver, unsigned milliseconds) {
    struct observer *observer = driver->observer;
    uint64_t deadline = now_ms() + milliseconds;

    __atomic_store_n(&observer->board->chaos, 1, __ATOMIC_RELAXED);
    while (now_ms() < deadline && !observer->dead) {
        observer_reap(observer);
        observer_read(observer);
        continue_supervisor(driver, false);
        act(driver);
        observer_read(observer);
        pause_ms((unsigned)dice_below(&driver->dice, 16));
    }
}
