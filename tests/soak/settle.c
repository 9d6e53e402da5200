/*
 * settle.c - lets the supervisor come to rest, and compares all that is known of it
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "observer.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLE_MS (15000 * SLOW * time_scale())
#define REPLY_MS (5000 * SLOW * time_scale())

enum { PLANTED_SETTLE_MS = 4000, MEMORY_SLACK_KIB = 128, HEAP_SLACK = 8192 };

/* Why the supervisor has not come to rest yet. */
struct unrest {
    enum row row;
    char text[256];
};

__attribute__((format(printf, 3, 4))) static bool unrest(struct unrest *unrest, enum row row,
                                                         const char *format, ...) {
    va_list arguments;

    unrest->row = row;
    va_start(arguments, format);
    (void)vsnprintf(unrest->text, sizeof(unrest->text), format, arguments);
    va_end(arguments);
    return false;
}

/* ---- /proc ----------------------------------------------------------------------------- */

void each_process(process_fn fn, void *user) {
    DIR *proc = opendir("/proc");
    struct dirent *entry = NULL;

    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        char path[300];
        char text[512];
        char state = 0;
        int parent = 0;
        if (!isdigit((unsigned char)entry->d_name[0]) || strcmp(entry->d_name, "1") == 0) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
        FILE *file = fopen(path, "re");
        size_t length = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;
        text[length] = '\0';
        if (file != NULL) {
            (void)fclose(file); /* nothing was written */
        }
        const char *after_name = strrchr(text, ')');
        if (after_name != NULL && sscanf(after_name, ") %c %d", &state, &parent) == 2) {
            fn((pid_t)strtol(entry->d_name, NULL, 10), (pid_t)parent, state, user);
        }
    }
    if (proc != NULL) {
        (void)closedir(proc); /* nothing was written */
    }
}

struct family {
    const struct observer *observer;
    int children;
    int unknown; /* a child that the log does not have */
    int dead;
    int others; /* that are no children of the supervisor */
};

static void count_child(pid_t pid, pid_t parent, char state, void *user) {
    struct family *family = user;
    bool known = false;

    if (pid == family->observer->supervisor) {
        return;
    }
    if (parent != family->observer->supervisor) {
        family->others = state == 'Z' ? family->others : (int)pid;
        return;
    }
    for (int at = 0; at < LIVE_MAX; at++) {
        known = known || family->observer->live[at].pid == pid;
    }
    family->children++;
    family->unknown = known ? family->unknown : (int)pid;
    family->dead = state == 'Z' ? (int)pid : family->dead;
}

static long count_descriptors(pid_t pid) {
    char path[64];
    long count = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return -1;
    }
    while (readdir(directory) != NULL) {
        count++;
    }
    (void)closedir(directory); /* nothing was written */
    return count - 2;
}

/* All memory of its own, whether or not children share it until one of them writes. */
static long read_memory_kib(pid_t pid) {
    char path[64];
    char line[256];
    long kib = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && kib < 0 && fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "Anonymous: %ld", &kib); /* another line keeps -1 */
    }
    if (file != NULL) {
        (void)fclose(file); /* nothing was written */
    }
    return kib;
}

/* ---- The end --------------------------------------------------------------------------- */

void observer_reap(struct observer *observer) {
    int status = 0;
    pid_t pid = 0;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == observer->supervisor) {
            observer->dead = true;
            observer->exit_status = status;
        }
    }
}

static void count_process(pid_t pid, pid_t parent, char state, void *user) {
    (void)pid;
    (void)parent;
    (void)state;
    ++*(int *)user;
}

int observer_wait_alone(struct observer *observer, unsigned bound_ms) {
    uint64_t deadline = now_ms() + bound_ms;

    for (;;) {
        int others = 0;
        bool late = now_ms() > deadline;
        observer_reap(observer);
        each_process(count_process, &others);
        if (others == 0 || late) {
            return others;
        }
        pause_ms(5);
    }
}

/* ---- Rest ------------------------------------------------------------------------------ */

bool observer_command(int command_fd, enum request request, int pool, int task, int value,
                      uint32_t serial) {
    struct command command = {
        .request = (int32_t)request, .pool = pool, .task = task, .value = value, .serial = serial};

    return write(command_fd, &command, sizeof(command)) == (ssize_t)sizeof(command);
}

/* Asks for the status of all pools. Returns whether it came. */
static bool ask_status(struct observer *observer, int command_fd) {
    static uint32_t serial;
    uint64_t deadline = now_ms() + REPLY_MS;

    serial++;
    while (!observer_command(command_fd, ASK_STATUS, 0, 0, 0, serial)) {
        if (now_ms() > deadline) {
            return false;
        }
        pause_ms(2);
    }
    while (observer->pool[0].status_serial != serial || observer->pool[1].status_serial != serial ||
           observer->pool[2].status_serial != serial) {
        if (observer->dead || now_ms() > deadline) {
            return false;
        }
        pause_ms(1);
        observer_reap(observer);
        observer_read(observer);
    }
    return true;
}

/* What the supervisor says. */
static bool pools_are_full(const struct observer *observer, struct unrest *why) {
    for (int pool = 0; pool < POOLS; pool++) {
        const struct view *view = &observer->pool[pool];
        if (!view->exists || view->slots != BASE_SLOTS || view->alive != BASE_SLOTS) {
            return unrest(why, ROW_FULL, "pool %d has %d slots, %d processes", pool, view->slots,
                          view->alive);
        }
        for (int task = 0; task < BASE_SLOTS; task++) {
            if (view->states[task] != '0' + PF_WORKER_READY) {
                return unrest(why, ROW_FULL, "pool %d has states %s", pool, view->states);
            }
        }
        if (view->reported[PF_COUNT_READY] != BASE_SLOTS ||
            view->reported[PF_COUNT_ALIVE] != BASE_SLOTS) {
            return unrest(why, ROW_COUNTERS, "pool %d counts %d ready, %d alive", pool,
                          (int)view->reported[PF_COUNT_READY], (int)view->reported[PF_COUNT_ALIVE]);
        }
        if (observer_alive(observer, pool) != BASE_SLOTS) {
            return unrest(why, ROW_ONE_END, "pool %d has %d workers in the log", pool,
                          observer_alive(observer, pool));
        }
    }
    return true;
}

/* What the kernel says. */
static bool processes_are_known(const struct observer *observer, struct unrest *why) {
    struct family family = {.observer = observer};

    each_process(count_child, &family);
    if (family.unknown != 0 || family.dead != 0 || family.children != POOLS * BASE_SLOTS) {
        return unrest(why, ROW_CHILDREN, "%d children; not in the log: %d; zombie: %d",
                      family.children, family.unknown, family.dead);
    }
    if (family.others != 0) {
        return unrest(why, ROW_KILLED, "process %d is a child of no supervisor", family.others);
    }
    return true;
}

static bool costs_are_the_same(struct observer *observer, struct unrest *why) {
    long fds = count_descriptors(observer->supervisor);
    long memory = read_memory_kib(observer->supervisor);

    if (observer->settled == 0) {
        observer->base_fds = fds;
        observer->base_memory = memory;
        observer->base_heap = observer->heap;
    }
    /* A pool gives up a spare descriptor where it lacks others, and opens it at the next start. */
    if (fds > observer->base_fds || fds < observer->base_fds - POOLS) {
        return unrest(why, ROW_DESCRIPTORS, "%ld descriptors, %ld at first", fds,
                      observer->base_fds);
    }
    if (SANITIZED) {
        return true;
    }
    if (memory > observer->base_memory + MEMORY_SLACK_KIB) {
        return unrest(why, ROW_MEMORY, "%ld KiB, %ld at first", memory, observer->base_memory);
    }
    if (observer->heap > observer->base_heap + HEAP_SLACK) {
        return unrest(why, ROW_MEMORY, "%ld bytes, %ld at first", observer->heap,
                      observer->base_heap);
    }
    return true;
}

static bool is_at_rest(struct observer *observer, int command_fd, struct unrest *why) {
    if (!ask_status(observer, command_fd)) {
        return unrest(why, ROW_FULL, "the supervisor does not answer");
    }
    uint64_t lines = observer->lines;
    if (!pools_are_full(observer, why) || !processes_are_known(observer, why) ||
        !costs_are_the_same(observer, why)) {
        return false;
    }
    for (int at = 0; at < 64; at++) {
        if (observer->foreign[at].pid != 0) {
            return unrest(why, ROW_FOREIGN, "child %d has no end", (int)observer->foreign[at].pid);
        }
    }
    if (!ask_status(observer, command_fd) || observer->lines != lines) {
        return unrest(why, ROW_FULL, "there are still events");
    }
    return true;
}

void observer_settle(struct observer *observer, int command_fd) {
    struct unrest why = {.row = ROW_FULL};
    unsigned bound_ms = observer->board->plant != PLANT_NONE ? PLANTED_SETTLE_MS : SETTLE_MS;
    uint64_t deadline = now_ms() + bound_ms;

    for (;;) {
        (void)observer_command(command_fd, ASK_NORMAL, 0, 0, 0, 0); /* it is asked again */
        observer_read(observer);
        if (is_at_rest(observer, command_fd, &why)) {
            break;
        }
        if (observer->dead || now_ms() > deadline) {
            check(why.row, false, "after %u ms: %s", bound_ms, why.text);
            return;
        }
        pause_ms(20);
    }
    check(ROW_FULL, true, "full");
    check(ROW_CHILDREN, true, "known");
    check(ROW_DESCRIPTORS, true, "same");
    if (!SANITIZED) {
        check(ROW_MEMORY, true, "same");
    }
    observer_read_register(observer);
    observer->settled++;
    totals.phases++;
}
