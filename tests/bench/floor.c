/*
 * The floor: the smallest loop that keeps workers running. Fork, waitpid, fork again.
 *
 * It keeps none of the promises that the library makes. Asked to stop, it signals each worker
 * and ends without waiting for any.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE

#include "task.h"

#include <signal.h>
#include <sys/wait.h>

static pid_t *worker_pids;
static uint32_t worker_count; /* so far */

static void stop(int signal_number) {
    for (uint32_t id = 0; id < worker_count; id++) {
        kill(worker_pids[id], signal_number);
    }
    _exit(0);
}

static void start(const struct task *task, uint32_t task_id) {
    pid_t pid = fork();
    if (pid < 0) {
        perror("floor: fork");
        exit(1);
    }
    if (pid == 0) {
        signal(SIGTERM, SIG_DFL);
        task_work(task, task_id);
    }
    worker_pids[task_id] = pid;
    if (task_id == worker_count) {
        worker_count++;
    }
}

int main(int argc, char **argv) {
    struct task task = task_read(argc, argv);
    worker_pids = calloc(task.workers, sizeof(*worker_pids));
    if (worker_pids == NULL) {
        perror("floor");
        return 1;
    }
    signal(SIGTERM, stop);
    task_begin(&task);
    for (uint32_t id = 0; id < task.workers; id++) {
        start(&task, id);
    }
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0) {
            perror("floor: waitpid");
            return 1;
        }
        uint32_t id = 0;
        while (worker_pids[id] != pid) {
            id++;
        }
        start(&task, id);
    }
}
