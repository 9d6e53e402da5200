/*
 * callback_children_test.c - children that the host forks while a pool runs, and that come back
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { FIRST = STDERR_FILENO + 1, END = 1024, FILES = 40 };

static struct board *host_board;
static pf_pool *host_pool;
static pid_t child = -1;
static int files[FILES];

/* That of the library. The epoll is that of the parent as well. */
int epoll_ctl(int epoll, int operation, int descriptor, struct epoll_event *event) {
    board_require(host_board, child != 0);
    return (int)syscall(SYS_epoll_ctl, epoll, operation, descriptor, event);
}

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

/* As a process does that wants none of the descriptors of its parent. */
static void exchange_descriptors(void) {
    for (int descriptor = FIRST; descriptor < END; descriptor++) {
        (void)close(descriptor);
    }
    for (int i = 0; i < FILES; i++) {
        files[i] = memfd_create("child", MFD_CLOEXEC);
        board_require(host_board, files[i] >= 0);
    }
}

static void require_files(void) {
    struct stat status;

    for (int i = 0; i < FILES; i++) {
        board_require(host_board, fstat(files[i], &status) == 0 && S_ISREG(status.st_mode));
        board_require(host_board, lseek(files[i], 0, SEEK_CUR) == 0);
    }
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

static int host_with_a_child_that_exchanges_descriptors(struct board *board) {
    int result = run_pool(board, exchange_descriptors);

    if (child == 0) {
        require_files();
    }
    return result;
}

static void files_of_a_child_that_has_closed_all_stay(void **state) {
    scenario_start_host(*state, host_with_a_child_that_exchanges_descriptors);

    assert_exits((struct scenario *)*state, 0);
}

enum { IN_CALLBACK, IS_FORKED };

static void wait_for_a_fork(const pf_event *event, void *user) {
    (void)user;
    if (pf_event_type(event) == PF_EVENT_STARTING) {
        gate_open(host_board, IN_CALLBACK);
        gate_wait(host_board, IS_FORKED);
    }
}

static void *dispatch_in_thread(void *unused) {
    (void)unused;
    board_require(host_board, pf_pool_dispatch(host_pool, 0) == 1);
    return NULL;
}

/* The callback does not return in the child. */
static int host_that_forks_beside_a_callback(struct board *board) {
    pthread_t thread;

    make_pool(board);
    board_require(board, pf_pool_set_thread_policy(host_pool, PF_THREADS_ALLOW) == 0);
    board_require(board, pf_pool_set_worker_fn(host_pool, sleeps, NULL, NULL) == 0);
    board_require(board, pf_pool_set_event_callback(host_pool, wait_for_a_fork, NULL, NULL) == 0);
    board_require(board, pf_pool_start(host_pool) == 0);
    board_require(board, pthread_create(&thread, NULL, dispatch_in_thread, NULL) == 0);
    gate_wait(board, IN_CALLBACK);
    child = fork();
    if (child == 0) {
        board_require(board, pf_pool_free(host_pool) == host_pool);
        _exit(0);
    }
    await_child();
    gate_open(board, IS_FORKED);
    board_require(board, pthread_join(thread, NULL) == 0);
    board_require(board, pf_pool_free(host_pool) == NULL);
    return 0;
}

static void child_of_another_thread_frees_nothing_in_a_callback(void **state) {
    scenario_start_host(*state, host_that_forks_beside_a_callback);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- Children for a pool that the host forks for ---------------------------------------- */

static int host_with_a_lost_fork(struct board *board) {
    const pf_event *event = NULL;

    make_pool(board);
    board_require(board, pf_pool_set_host_fork(host_pool, 1) == 0);
    board_require(board, pf_pool_start(host_pool) == 0);
    while (event == NULL || pf_event_type(event) != PF_EVENT_FORK_WANTED) {
        board_require(board, pf_pool_dispatch(host_pool, 0) == 1);
        while (pf_pool_next_event(host_pool, &event) == 1 &&
               pf_event_type(event) != PF_EVENT_FORK_WANTED) {
        }
    }
    child = fork();
    if (child == 0) {
        exchange_descriptors();
        board_require(board, pf_pool_fork_child(host_pool, pf_event_task_id(event)) == -ESRCH);
        require_files();
        _exit(0);
    }
    await_child();
    board_require(board, pf_pool_fork_parent(host_pool, pf_event_task_id(event), -EAGAIN) == 0);
    (void)pf_pool_free(host_pool);
    return 0;
}

static void files_stay_where_a_child_can_not_become_a_worker(void **state) {
    scenario_start_host(*state, host_with_a_lost_fork);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(free_in_a_callback_does_nothing_in_a_child_either),
        scenario_test(files_of_a_child_that_has_closed_all_stay),
        scenario_test(child_of_another_thread_frees_nothing_in_a_callback),
        scenario_test(files_stay_where_a_child_can_not_become_a_worker),
    };

    return run_group_with_each_backend("children of callbacks", tests);
}
