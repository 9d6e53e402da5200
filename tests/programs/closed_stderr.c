/*
 * closed_stderr.c - a program that is started without standard error and opens a file of its own
 *
 * Its worker fails. Exits with status 0 if the call did as it should, and with 77 if the file has
 * another number. FILE gets a line if the worker's program has inherited it.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "prefork.h"

enum { STATUS_CANNOT = 77, STATUS_FAILED = 3 };

static int run_forked(void) {
    int task_id = pf_fork_processes(1, 1);

    if (task_id >= 0) {
        _exit(STATUS_FAILED);
    }
    return task_id == PF_EGAVEUP ? 0 : 1;
}

static int run_executed(void) {
    const char *arguments[] = {"sh", "-c", "echo text >&2; exit 3", NULL};
    pf_pool *pool = NULL;
    int task_id = -1;
    int result = pf_pool_new(&pool);

    if (result == 0) {
        result = pf_pool_set_exec(pool, "/bin/sh", arguments, NULL);
    }
    if (result == 0) {
        result = pf_pool_set_max_restarts(pool, 1);
    }
    if (result == 0) {
        result = pf_pool_run(pool, &task_id);
    }
    (void)pf_pool_free(pool);
    return result == PF_EGAVEUP ? 0 : 1;
}

/* fork|exec|daemon FILE */
int main(int argc, char **argv) {
    if (argc != 3 ||
        open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) != STDERR_FILENO) {
        return STATUS_CANNOT;
    }
    if (strcmp(argv[1], "exec") == 0) {
        return run_executed();
    }
    if (strcmp(argv[1], "daemon") == 0) {
        if (pf_daemonize(NULL) < 0 || pf_daemon_ready() < 0) {
            return 1;
        }
        return write(STDERR_FILENO, "data", 4) == 4 ? 0 : 1;
    }
    return run_forked();
}
