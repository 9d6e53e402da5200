/* SPDX-License-Identifier: MIT */
#include "scene.h"

#include <unistd.h>

static int crash(int task_id, void *user) {
    (void)user;
    return 3 + task_id;
}

void play_run(void) {
    pf_pool *pool;
    int task_id;
    int result = pf_pool_new(&pool);
    if (scene_failed(&scene, "pf_pool_new", result)) {
        return;
    }
    pf_pool_set_workers(pool, 2);
    pf_pool_set_max_restarts(pool, 3);
    pf_pool_set_backoff(pool, 5, 10);
    pf_pool_set_signals(pool, PF_SIGNALS_STANDARD);
    if (!scene_failed(&scene, "pf_pool_set_worker_fn",
                      pf_pool_set_worker_fn(pool, crash, NULL, NULL))) {
        result = pf_pool_run(pool, &task_id);
        if (result == 0 && task_id >= 0) {
            scene_broken("a pool with a worker function returns in the worker");
            _exit(9);
        }
        if (result == 0) {
            scene_broken("all workers crash, and the pool succeeds");
        }
    }
    pf_pool_free(pool);
}
