/*
 * What is measured, and how.
 *
 * Replacement: from just before kill(KILL) to the time stamp with which the worker that
 *   replaces the killed one begins.
 * Restarts: entries a second, from entry number WORKERS to entry number COUNT, of workers that
 *   exit at once with status 1.
 * Start: from just before the first fork, or the library's call, to the time stamp of the worker
 *   that begins last.
 * Stop: from just before kill(TERM) of the supervisor until none of the program's processes
 *   runs any more, the supervisor included. The library and the lean loop reap every worker before
 *   they end; the floor signals each, ends, and reaps none.
 * Private memory: Private_Clean and Private_Dirty of the supervisor's smaps_rollup while its
 *   workers pause, before and after the replacements, whichever is more. Pages that are shared
 *   with the workers since the last fork are not in it; Anonymous has those as well.
 * Wake-ups: how often the supervisor was scheduled while its workers pause.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "process.h"
#include "series.h"

enum measure {
    REPLACED_MEDIAN,
    REPLACED_P99,
    RESTARTS,
    START,
    STOP,
    PRIVATE,
    ANONYMOUS,
    WAKE_UPS,
    MEASURES
};

/* A stride without common divisor with any number of workers: kills meet all slots alike. */
enum { KILL_STRIDE = 7919, KILLS_TO_WARM_UP = 10, KILL_PAUSE_US = 300 };

/* Kill one worker; returns the microseconds until its replacement began. */
static double replace_worker(struct run *run, uint32_t slot) {
    struct board *board = run->board;
    struct cell *cell = &board->cells[slot];
    pid_t pid = cell->pid;
    uint32_t generation = cell->generation;
    uint32_t bell = __atomic_load_n(&board->bell, __ATOMIC_SEQ_CST);
    __atomic_store_n(&board->bell_at, board->entries + 1, __ATOMIC_SEQ_CST);
    uint64_t killed_ns = now_ns();
    if (kill(pid, SIGKILL) != 0) {
        fail("program %d: worker %u (pid %d): %s", run->program, slot, pid, strerror(errno));
    }
    run_wait_bell(run, bell);
    if (cell->generation != generation + 1 || cell->pid == pid) {
        fail("program %d: not worker %u was replaced", run->program, slot);
    }
    return (double)(cell->entered_ns - killed_ns) / 1e3;
}

static void measure_replacement(struct run *run, uint32_t kills, double *values) {
    struct series times = {.count = 0};
    for (uint32_t i = 0; i < kills + KILLS_TO_WARM_UP; i++) {
        double time_us = replace_worker(run, (uint32_t)((uint64_t)i * KILL_STRIDE % run->workers));
        if (i >= KILLS_TO_WARM_UP) {
            series_add(&times, time_us);
        }
        sleep_us(KILL_PAUSE_US); /* the supervisor may still have to do for the last one */
    }
    values[REPLACED_MEDIAN] = series_quantile(&times, 0.5);
    values[REPLACED_P99] = series_quantile(&times, 0.99);
}

static double start_time_ms(const struct run *run) {
    uint64_t last_ns = 0;
    for (uint32_t id = 0; id < run->workers; id++) {
        const struct cell *cell = &run->board->cells[id];
        if (cell->generation != 1) {
            fail("program %d: worker %u has started %u times", run->program, id, cell->generation);
        }
        last_ns = cell->entered_ns > last_ns ? cell->entered_ns : last_ns;
    }
    return (double)(last_ns - run->board->called_ns) / 1e6;
}

static void measure_memory(const struct run *run, double *values) {
    double private_kib = (double)(proc_number(run->pid, "smaps_rollup", "Private_Clean:") +
                                  proc_number(run->pid, "smaps_rollup", "Private_Dirty:"));
    double anonymous_kib = (double)proc_number(run->pid, "smaps_rollup", "Anonymous:");
    values[PRIVATE] = private_kib > values[PRIVATE] ? private_kib : values[PRIVATE];
    values[ANONYMOUS] = anonymous_kib > values[ANONYMOUS] ? anonymous_kib : values[ANONYMOUS];
}

static void rest(const struct run *run) {
    if (run_settle(run, DEADLINE_S * 1000) != 0) {
        fail("program %d finds no rest", run->program);
    }
}

/* A run in pause mode: start, memory, replacement, stop. */
static inline void measure_pause_run(struct run *run, const char *path, uint32_t kills,
                                     double *values) {
    run_start(run, path, "pause", 0, run->workers);
    run_wait_bell(run, 0);
    rest(run);
    values[START] = start_time_ms(run);
    values[PRIVATE] = 0;
    values[ANONYMOUS] = 0;
    measure_memory(run, values);
    measure_replacement(run, kills, values);
    rest(run);
    measure_memory(run, values);
    uint64_t asked_ns = now_ns();
    kill(run->pid, SIGTERM);
    values[STOP] = (double)(run_wait_gone(run) - asked_ns) / 1e6;
    run_finish(run);
}

/* A run in exit mode: restarts. */
static inline void measure_exit_run(struct run *run, const char *path, uint32_t restarts,
                                    double *values) {
    uint32_t count = run->workers + restarts;
    run_start(run, path, "exit", count, count);
    run_wait_bell(run, 0);
    const struct board *board = run->board;
    values[RESTARTS] = restarts * 1e9 / (double)(board->ended_ns - board->begun_ns);
    run_finish(run);
}

/* All programs at once, as they do nothing: wake-ups. */
static inline void measure_idle(const char *const *paths, uint32_t workers, uint32_t idle_s,
                                double *wake_ups) {
    struct run runs[PROGRAMS];
    uint64_t before[PROGRAMS];
    for (int i = 0; i < PROGRAMS; i++) {
        runs[i] = (struct run){.program = i, .workers = workers};
        run_start(&runs[i], paths[i], "pause", 0, workers);
        run_wait_bell(&runs[i], 0);
        (void)run_settle(&runs[i], 1000); /* one that never rests has to be seen below */
    }
    for (int i = 0; i < PROGRAMS; i++) {
        before[i] = run_switches(&runs[i]);
    }
    sleep_us((uint64_t)idle_s * 1000000u);
    for (int i = 0; i < PROGRAMS; i++) {
        wake_ups[i] = (double)(run_switches(&runs[i]) - before[i]);
        run_finish(&runs[i]);
    }
}

#endif
