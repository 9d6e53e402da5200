/*
 * What the four programs have in common: their command line and their worker.
 *
 *   PROGRAM MODE WORKERS COUNT
 *
 * pause: each worker writes down when it began and pauses until it is killed. COUNT is unused.
 * exit: each worker exits at once with status 1 and is restarted, until COUNT workers have
 *   begun; those that begin later pause.
 *
 * TERM asks the program to stop its workers and to end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_TASK_H
#define BENCH_TASK_H

#include "board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct task {
    struct board *board;
    uint32_t workers;
    uint32_t count;
    int exits; /* 1: exit mode */
};

/* The driver's board, or one of its own for a program that is run by hand. */
static inline struct board *task_map_board(uint32_t workers) {
    size_t size = board_size(workers);
    struct stat facts;
    int given = fstat(BOARD_DESCRIPTOR, &facts) == 0 && (size_t)facts.st_size >= size;
    int flags = given ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS;
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, flags, given ? BOARD_DESCRIPTOR : -1, 0);
    if (memory == MAP_FAILED) {
        perror("bench: board");
        exit(2);
    }
    if (given) {
        close(BOARD_DESCRIPTOR);
    }
    return memory;
}

static inline struct task task_read(int argc, char **argv) {
    struct task task = {NULL, 0, 0, 0};
    if (argc == 4) {
        task.exits = strcmp(argv[1], "exit") == 0;
        task.workers = (uint32_t)strtoul(argv[2], NULL, 10);
        task.count = (uint32_t)strtoul(argv[3], NULL, 10);
    }
    if (task.workers == 0 || task.workers > 65536 ||
        (!task.exits && strcmp(argv[1], "pause") != 0)) {
        fprintf(stderr, "usage: %s pause|exit WORKERS COUNT\n", argv[0]);
        exit(2);
    }
    task.board = task_map_board(task.workers);
    return task;
}

/* To be called last before the first fork: the time of a start begins here. */
static inline void task_begin(const struct task *task) { task->board->called_ns = now_ns(); }

/* The worker's whole life. */
static inline void task_work(const struct task *task, uint32_t task_id) {
    uint64_t now = now_ns();
    struct board *board = task->board;
    struct cell *cell = &board->cells[task_id];
    cell->entered_ns = now;
    cell->pid = (int32_t)getpid();
    (void)__atomic_add_fetch(&cell->generation, 1, __ATOMIC_SEQ_CST);
    uint32_t entry = __atomic_add_fetch(&board->entries, 1, __ATOMIC_SEQ_CST);
    if (entry == task->workers) {
        board->begun_ns = now;
    }
    if (entry == task->count) {
        board->ended_ns = now;
    }
    if (entry == __atomic_load_n(&board->bell_at, __ATOMIC_SEQ_CST)) {
        board_ring(board);
    }
    if (task->exits && entry < task->count) {
        _exit(1);
    }
    for (;;) {
        pause();
    }
}

#endif
