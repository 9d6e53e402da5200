/*
 * soak.h - what the processes of make soak share
 *
 * Process 1 of a pid namespace drives and observes. Its child, the supervisor, runs three pools
 * in one event loop. Both write to one log, a line at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SOAK_H
#define TESTS_SOAK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "prefork.h"
#include "process.h"

enum {
    POOLS = 3,
    BASE_SLOTS = 10,  /* of each pool, while nothing is driven */
    MAX_SLOTS = 14,   /* that are asked for at a time */
    GROWN_SLOTS = 32, /* that signals make of it, at most */
    COUNTERS = 10,
    REGISTER_SIZE = 1 << 15,
    FOREIGN_MAX = 8,
    SLOW = SANITIZED ? 4 : 1, /* factor of times that processes need */
};

/* How the pools of a round are set. */
struct pool_plan {
    int backend;
    int exec;
    int ready_timeout_ms;
    int heartbeat_timeout_ms;
    int width;
    int stop_first;
    int death_signal;
    int stop_fd;
    int groups;
    int signals;
    int lifetime_ms;
};

/* Who in the supervisor waits for any child. */
enum thief { THIEF_NONE, THIEF_LOOP, THIEF_THREAD };

/* Faults that are planted, to see that they are found. */
enum plant {
    PLANT_NONE,
    PLANT_LOST_END,
    PLANT_TWO_ENDS,
    PLANT_WRONG_STATUS,
    PLANT_EARLY_END,
    PLANT_DESCRIPTOR,
    PLANT_MEMORY,
    PLANT_CHILD,  /* that the log does not have */
    PLANT_WORKER, /* the same, and it works */
    PLANT_COUNTER,
    PLANT_EMPTY_SLOT,
    PLANT_FILE,
    PLANT_REAPER,   /* reaps the children of the host */
    PLANT_LEFT,     /* a process that a stop leaves */
    PLANT_OUTLIVES, /* workers that outlive the supervisor */
    PLANT_CRASH,    /* of the supervisor */
    PLANTS
};

/* A worker that began its work. */
struct entry {
    uint32_t stamp; /* number of the entry + 1, written last */
    int32_t pid;
    int32_t pool;
    int32_t task;
    int32_t intent; /* the status that it is about to exit with + 1; 0: it is not */
};

/* Shared memory, which workers made by exec get as the descriptor "board". */
struct board {
    uint64_t seed;
    uint32_t chaos; /* workers misbehave while it is 1 */
    uint32_t registered;
    uint32_t eaters; /* workers may use much memory */
    uint32_t thief;  /* enum thief */
    uint32_t plant;  /* enum plant */
    struct pool_plan plan[POOLS];
    struct entry entry[REGISTER_SIZE];
};

/* What the driver asks of the supervisor. */
enum request {
    ASK_NORMAL = 1, /* base number of slots, none stopped */
    ASK_STATUS,
    ASK_RESIZE,
    ASK_RELOAD,
    ASK_REPLACE,
    ASK_STOP_WORKER,
    ASK_SEND_SIGNAL,
    ASK_SIGNAL,  /* pf_pool_handle_signal() */
    ASK_STOP,    /* then a new pool */
    ASK_KILL,    /* then a new pool */
    ASK_FREE,    /* then a new pool */
    ASK_FOREIGN, /* a child that is no worker */
    ASK_END,     /* no new pools: exit when all have ended */
};

struct command {
    int32_t request;
    int32_t pool;
    int32_t task;
    int32_t value;
    uint32_t serial;
};

/* The descriptors of the supervisor. */
enum { BOARD_FD = 3, COMMAND_FD = 4, LOG_FD = 5 };

/* Random numbers of a seed. */
struct dice {
    uint64_t state;
};
uint64_t dice_next(struct dice *dice);
/* A number from 0 to count - 1. */
int dice_below(struct dice *dice, int count);
bool dice_hit(struct dice *dice, int one_in);

struct board *board_map(int fd);
extern const char *const pool_names[POOLS];

/* Write one line to the log, with the time before it. */
__attribute__((format(printf, 2, 3))) void log_line(int fd, const char *format, ...);

int supervisor_main(void);

/* Children of the supervisor that are no workers: start a thread if there is to be one; start a
 * child that exits with a status; reap, and return whether to come again soon; reap all. */
void children_open(enum thief how);
void children_start(int status);
bool children_reap(void);
void children_finish(void);

/* In the supervisor: plant what is to be planted at each turn, in the event to be written and in
 * the counters. planted_event() returns how often to write the event. */
extern void *planted_leak;
void planted_turn(struct board *board);
int planted_event(const struct board *board, int type, int *exit_code);
uint64_t planted_counter(const struct board *board, uint64_t count);

/* Work of a worker. Returns its exit status. */
int worker_work(struct board *board, int pool, int task_id);
int worker_main(int pool);

#endif
