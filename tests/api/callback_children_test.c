/*
 * callback_children_test.c - children that the host forks while a pool runs, and that come back
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

static struct board *host_board;
static pf_pool *host_pool;
static pid_t child = -1;

static int sleeps(int task_id, void *user) {
    (void)task_id;
    (void)user;
    wait_for_ever();
    return 0;
}

static void make_pool(struct board *board) {
    host_board = board;
    board_require(board, pf_pool_new(&host_pool) == 0);
    board_require(board, pf_pool_set_backend(host_pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_workers(host_pool, 2) == 0);
}

static void await_child(void) {
    int status = -1;

    board_require(host_board, child > 0 && waitpid(child, &status, 0) == child);
    board_require(host_board, status == 0);
}

/* ---- Children of a callback ------------------------------------------------------------- */

static void (*act_of_child)(void);

static void fork_at_the_first_start(const pf_event *event, void *user) {
    (void)user;
    if (pf_event_type(event) == PF_EVENT_STARTED && child < 0) {
        child = fork();
        if (child == 0) {
            act_of_child();
        } else {
            await_child();
            board_require(host_board, pf_pool_stop(host_pool) == 0);
        }
    }
}

/* In both processes. */
static int run_pool(struct board *board, void (*act)(void)) {
    int task_id = 0;

    act_of_child = act;
    make_pool(board);
    board_require(board, pf_pool_set_worker_fn(host_pool, sleeps, NULL, NULL) == 0);
    board_require(board,
                  pf_pool_set_event_callback(host_pool, fork_at_the_first_start, NULL, NULL) == 0);
    int result = pf_pool_run(host_pool, &task_id);
    board_require(board, result == (child == 0 ? -ECHILD : 0));
    board_require(board, pf_pool_free(host_pool) == NULL);
    return 0;
}

static void try_to_free(void) { board_require(host_board, pf_pool_free(host_pool) == host_pool); }

static int host_with_a_child_that_frees(struct board *board) {
    return run_pool(board, try_to_free);
}

static void free_in_a_callback_does_nothing_in_a_child_either(void **state) {
    scenario_start_host(*state, host_with_a_child_that_frees);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(free_in_a_callback_does_nothing_in_a_child_either),
    };

    return run_group_with_each_backend("children of callbacks", tests);
}
