/*
 * The library's one call, as a program uses it, with an event callback that costs next to nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE

#include "task.h"

#include <prefork.h>

static uint64_t event_count;

static void count_event(const pf_event *event, void *user) {
    (void)event; /* only their number matters here */
    *(uint64_t *)user += 1;
}

int main(int argc, char **argv) {
    struct task task = task_read(argc, argv);
    pf_set_event_callback(count_event, &event_count);
    task_begin(&task);
    int task_id = pf_fork_processes((int)task.workers, PF_UNLIMITED);
    if (task_id < 0) {
        fprintf(stderr, "ours: %s\n", pf_strerror(task_id));
        return 1;
    }
    task_work(&task, (uint32_t)task_id);
    return 0;
}
