/*
 * observer.h - the log of the supervisor, compared with /proc and the kernel
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SOAK_OBSERVER_H
#define TESTS_SOAK_OBSERVER_H

#include "check.h"
#include "soak.h"

enum { LIVE_MAX = 256, TYPES = 32 };

/* A worker that the log has started and not ended. */
struct live {
    pid_t pid; /* 0: free */
    int pool;
    int generation;
    int task;
    int pidfd; /* -1: it had ended before */
    bool ready;
};

/* A pool, as the log tells of it. */
struct view {
    int generation;
    bool exists;
    bool stops; /* its end is expected */
    bool done;  /* its last event has come */
    uint64_t counted[COUNTERS + 1];
    uint64_t reported[COUNTERS + 1]; /* by the last status */
    uint32_t status_serial;
    int slots;
    int alive;
    char states[64];
};

struct observer {
    pid_t supervisor;
    int log_fd;  /* to read */
    int note_fd; /* to append */
    bool dead;   /* the supervisor was reaped */
    int exit_status;
    struct board *board;
    bool thief;
    bool keeps_statuses;       /* the kernel, by pidfd */
    uint32_t register_read;    /* entries */
    long failed_starts[POOLS]; /* of the pools that were freed */
    long unreported[POOLS];    /* processes that worked a moment, and could not be watched */
    struct live live[LIVE_MAX];
    struct view pool[POOLS];
    struct {
        pid_t pid;
        int status;
    } foreign[64];
    int16_t known[1 << 22]; /* by pid: starts in the log less those in the register */
    char text[8192];
    size_t used;
    uint64_t lines;
    int settled;      /* phases */
    long base_fds;    /* of the supervisor, in the first settled phase */
    long base_memory; /* in KiB */
    long base_heap;   /* in bytes */
    long heap;        /* by the last status */
};

/* An event of the log. */
struct line {
    int pool;
    int generation;
    int type;
    int level;
    int task;
    int pid;
    int exit_code;
    int signal;
    int reason;
    int again;
    int error;
};

/* What happened over all rounds. */
struct totals {
    unsigned long long events[TYPES];
    unsigned long long statuses; /* compared with those of the kernel */
    unsigned long long unseen;   /* that ended before */
    unsigned long long signals;  /* sent by the driver */
    unsigned long long acts;
    unsigned long long foreign;
    unsigned long long stolen;
    unsigned long long phases;
    unsigned long long rounds;
    unsigned long long restarts;
    unsigned long long pools;
    unsigned long long presses;
    unsigned long long killed_for_memory;
    unsigned long long signalled[65]; /* ends by each */
};
extern struct totals totals;

/* Read all that is new in the log, and check it. */
void observer_read(struct observer *observer);

/* Check an event. */
void observer_event(struct observer *observer, const struct line *line);

/* All workers of a pool have ended. */
void observer_expect_none(struct observer *observer, int pool, enum row row);

/* Read the register of workers that began. */
void observer_read_register(struct observer *observer);

/* Reap what has ended. The supervisor's end is noted. */
void observer_reap(struct observer *observer);

/* The number of workers that live by the log; pool -1: of all. */
int observer_alive(const struct observer *observer, int pool);

/* Wait until nothing but this process is left in its pid namespace. Returns how many are left. */
int observer_wait_alone(struct observer *observer, unsigned bound_ms);

/* Let the supervisor come to rest, and compare all that is known. command_fd takes commands. */
void observer_settle(struct observer *observer, int command_fd);

/* Send a command. Returns whether there was room for it. */
bool observer_command(int command_fd, enum request request, int pool, int task, int value,
                      uint32_t serial);

/* Each process but this one of the namespace: its parent and state. */
typedef void (*process_fn)(pid_t pid, pid_t parent, char state, void *user);
void each_process(process_fn fn, void *user);

#endif
