/*
 * plugin.c - a plug-in that has a static copy of the library, which nobody else sees
 *
 * SPDX-License-Identifier: MIT
 */
#include <prefork.h>

int plugin_task_id(void);
int plugin_run(void);

int plugin_task_id(void) { return pf_task_id(); }

/* Runs a pool of one worker by exec. Returns its task id in the worker, or a negative error. */
int plugin_run(void) {
    pf_pool *pool = 0;
    int task_id = -1;
    int result = pf_pool_new(&pool);
    if (result == 0) {
        result = pf_pool_set_workers(pool, 1);
    }
    if (result == 0) {
        result = pf_pool_set_max_restarts(pool, 0);
    }
    if (result == 0) {
        result = pf_pool_set_exec(pool, 0, 0, 0);
    }
    if (result == 0) {
        result = pf_pool_run(pool, &task_id);
    }
    pf_pool_free(pool);
    return result < 0 ? result : task_id;
}
