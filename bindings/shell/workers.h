/*
 * workers.h - what there is to say about the workers of a pool
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PREFORK_SHELL_WORKERS_H
#define PREFORK_SHELL_WORKERS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "prefork.h"

struct worker {
    int task_id;
    int state; /* PF_WORKER_... */
    int32_t pid;
    int restarts;
    uint64_t uptime_ms;
    uint64_t resident_kib; /* of the process and of its group, where it leads one */
    uint64_t cpu_ms;
};

/* Returns their number and, in *ret_workers, a list that the caller frees; -1: no memory. */
int workers_list(const pf_pool *pool, bool have_groups, struct worker **ret_workers);

const char *worker_state_name(int state);

/* As prefork status and top read it: one line a worker, after one for the pool. */
void workers_write_lines(FILE *out, const pf_pool *pool, const struct worker *workers, int count);

/* As OpenMetrics has it. */
void workers_write_metrics(FILE *out, const pf_pool *pool, const char *name,
                           const struct worker *workers, int count);

#endif
