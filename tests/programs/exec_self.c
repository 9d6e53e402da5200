/*
 * exec_self.c - a program whose workers are itself, started anew
 *
 *   exec_self [title | chdir | two] ANYTHING...
 *
 * The workers wait for SIGTERM. With title, the supervisor writes over its arguments first, as
 * programs do that change what ps(1) shows; with chdir it goes to another directory. With two
 * there is a second pool, which has its turn when the first has ended.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "prefork.h"
#include "process.h"
#include "report.h"

static void end_normally(int number) {
    (void)number;
    _exit(0);
}

static void serve(const char *pool, int argc, char **argv) {
    char list[4096] = "";
    char name[17] = "";
    char program[1024] = "";

    for (int i = 0; i < argc; i++) {
        (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "[%s]", argv[i]);
    }
    if (signal(SIGTERM, end_normally) == SIG_ERR || prctl(PR_GET_NAME, name) != 0 ||
        readlink("/proc/self/exe", program, sizeof(program) - 1) < 0) {
        _exit(90);
    }
    report("worker pool=%s pid=%d args=%s name=%s program=%s.", pool, (int)getpid(), list, name,
           program);
    wait_for_ever();
}

/* Runs a pool of so many workers of this program to its end. Returns the result. */
static int supervise(const char *name, int workers, int argc, char **argv) {
    pf_pool *pool = NULL;
    int task_id = -1;
    int result = pf_pool_new(&pool);

    result = result < 0 ? result : pf_pool_set_name(pool, name);
    result = result < 0 ? result : pf_pool_set_workers(pool, workers);
    result = result < 0 ? result : pf_pool_set_signals(pool, PF_SIGNALS_STANDARD);
    result = result < 0 ? result : pf_pool_set_exec(pool, NULL, NULL, NULL);
    if (pf_task_id() < 0) {
        report("supervisor of %s: %d", name, result);
    }
    result = result < 0 ? result : pf_pool_run(pool, &task_id);
    (void)pf_pool_free(pool);
    if (result == 0 && task_id >= 0) {
        serve(name, argc, argv);
    }
    return result;
}

int main(int argc, char **argv) {
    const char *option = argc > 1 ? argv[1] : "";
    int result = 0;

    if (pf_task_id() < 0 && strcmp(option, "title") == 0) {
        memset(argv[0], 'x', strlen(argv[0])); /* and with it what /proc tells */
    }
    if (pf_task_id() < 0 && strcmp(option, "chdir") == 0 && chdir("/") != 0) {
        return 3;
    }
    if (strcmp(option, "two") == 0) {
        /* Each worker comes by both calls, whichever pool is its own. */
        result = supervise("first", 2, argc, argv);
        report("first result=%d", result);
        if (result < 0 && pf_task_id() < 0) {
            return 2;
        }
        result = supervise("second", 1, argc, argv);
    } else {
        result = supervise("", 1, argc, argv);
    }
    report("supervisor result=%d", result);
    return result == 0 ? 0 : 2;
}
