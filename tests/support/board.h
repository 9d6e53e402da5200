/*
 * board.h - shared memory on which all processes of a test write down what they saw
 *
 * The test, the supervisor and its workers append records; the test waits for them and judges
 * them. CMocka's asserts jump out of the test function, so they are for the test process
 * alone: every other process writes a record instead.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_BOARD_H
#define TESTS_SUPPORT_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "prefork.h"

enum {
    BOARD_RECORDS_MAX = 16384,
    BOARD_TASKS_MAX = 65536,
    BOARD_GATES_MAX = 8,
    BOARD_MESSAGE_SIZE = 160
};

/* Stands for every task id in board_count(), board_find() and board_reaches(). */
enum { ANY_TASK = -1000 };

/* What a record tells. Events of the library have their PF_EVENT_ number, which is below 100. */
enum {
    KIND_WORKER = 100,   /* a worker came out of the call; value: how often before in its slot */
    KIND_RETURNED = 101, /* the call failed in the supervisor; value: the code */
    KIND_FAULT = 102,    /* a check failed outside the test process; message: which */
    KIND_REPLACED = 103, /* the slot, or ANY_TASK, may have two workers from here on */
    KIND_NOTE = 200      /* and above: what the processes of one test have to say */
};

struct record {
    int ready; /* set last, with release order */
    int kind;
    int task_id;
    int32_t pid;    /* an event's pid; else the writer's */
    int32_t author; /* the process that wrote the record */
    int64_t value;
    /* What follows is an event's. */
    int level;
    int exit_code;
    int signal;
    int core_dumped;
    int will_restart;
    int error;
    int restarts;
    uint64_t delay_ms;
    uint64_t uptime_ms;
    uint64_t time_ns;
    uint64_t user_us;
    uint64_t system_us;
    uint64_t max_rss_kib;
    int worker_count;
    int reason;
    char message[BOARD_MESSAGE_SIZE];
};

struct board {
    uint32_t used;
    int32_t done_status; /* that means PF_EXIT_DONE; 0: none */
    uint32_t of_pool;    /* the events are of a pool that its host controls, not of the one call */
    int32_t gates[BOARD_GATES_MAX];
    uint32_t runs[BOARD_TASKS_MAX];
    struct record records[BOARD_RECORDS_MAX];
};

/* In the test process: NULL if there is no memory. */
struct board *board_new(void);
void board_free(struct board *board);

/* ---- Writing, in any process, also in a signal handler -------------------------------- */

/* Write down that something of the given kind happened in this process. */
void board_note(struct board *board, int kind, int64_t value);

/* The same for a task other than this process's own. */
void board_note_task(struct board *board, int kind, int task_id, int64_t value);

/* Write down all that an event tells. */
void board_note_event(struct board *board, const pf_event *event);

/* Write down that this process came out of the call as a worker. Returns how often a worker
 * of this slot did so before. */
int board_note_worker(struct board *board, int task_id);

/* Write down that a check failed; makes the test fail at its end. */
void board_fault(struct board *board, const char *where, int line, const char *what);

#define board_require(board, condition)                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            board_fault(board, __FILE__, __LINE__, #condition);                                    \
        }                                                                                          \
    } while (0)

/* ---- Reading, in any process --------------------------------------------------------- */

unsigned board_count(const struct board *board, int kind, int task_id);

/* The nth record of that kind and task, from 0; NULL: there is none. */
const struct record *board_find(const struct board *board, int kind, int task_id, unsigned nth);

/* The nth record of an event type told of a process; NULL: there is none. */
const struct record *board_find_pid(const struct board *board, int kind, int32_t pid);

/* Wait until there are so many of them. Returns whether it came to that in PATIENCE_MS. */
bool board_reaches(const struct board *board, int kind, int task_id, unsigned count);

/* Write every record to stderr, for the reader of a failed test. */
void board_print(const struct board *board);

/* ---- Gates: a process waits at a gate until another opens it ------------------------- */

void gate_open(struct board *board, int gate);
void gate_wait(const struct board *board, int gate);

#endif
