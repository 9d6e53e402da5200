/*
 * The board: memory shared by the driver, a supervisor and all of its workers.
 *
 * A worker writes down when it began to run; the driver, a process of its own, reads that. So
 * the time that is measured ends in the worker itself and holds no delay of the measuring side.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_BOARD_H
#define BENCH_BOARD_H

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"

/*
 * Descriptors that the driver gives to a program. The tether is the write end of a pipe that
 * every process of the program holds: the pipe's end of file says that all of them are gone,
 * reaped or not. It has the lower number, so that a program may close all descriptors that
 * follow the first one of its own. The board is closed once it is mapped.
 */
enum { TETHER_DESCRIPTOR = 3, BOARD_DESCRIPTOR = 4 };

/* One slot of the pool. The worker writes it, the generation last. */
struct cell {
    uint64_t entered_ns; /* CLOCK_MONOTONIC at the worker's first own instruction */
    int32_t pid;
    uint32_t generation; /* workers that this slot has had */
};

struct board {
    uint64_t called_ns; /* just before the first fork, or the library's call */
    uint64_t begun_ns;  /* exit mode: entry number WORKERS */
    uint64_t ended_ns;  /* exit mode: entry number COUNT */
    uint32_t entries;   /* of all workers together */
    uint32_t bell_at;   /* number of entries at which the driver wants to be woken */
    uint32_t bell;      /* futex: changes at that entry */
    uint32_t unused;
    struct cell cells[];
};

static inline size_t board_size(uint32_t workers) {
    return sizeof(struct board) + workers * sizeof(struct cell);
}

static inline void board_ring(struct board *board) {
    (void)__atomic_add_fetch(&board->bell, 1, __ATOMIC_SEQ_CST);
    /* Nobody waiting is no error, and a worker has nobody to tell of another one. */
    (void)syscall(SYS_futex, &board->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Wait until the bell no longer has the value seen before. Returns 0, or -1 after the deadline. */
static inline int board_wait(struct board *board, uint32_t seen, uint64_t deadline_ns) {
    while (__atomic_load_n(&board->bell, __ATOMIC_SEQ_CST) == seen) {
        uint64_t now = now_ns();
        if (now >= deadline_ns) {
            return -1;
        }
        struct timespec left = {(time_t)((deadline_ns - now) / 1000000000u),
                                (long)((deadline_ns - now) % 1000000000u)};
        (void)syscall(SYS_futex, &board->bell, FUTEX_WAIT, seen, &left, NULL, 0);
    }
    return 0;
}

#endif
