/*
 * free_user_test.c - what the functions that free the values of a pool may do, and may not
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

static struct board *host_board;
static pf_pool *host_pool;
static int effects; /* how often a function was called */
static pid_t child, worker;

static void ignore_event(const pf_event *event, void *user) {
    (void)event;
    (void)user;
}

static void require_no_children(struct board *board) {
    board_require(board, waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static int sleeps(int task_id, void *user) {
    (void)task_id;
    (void)user;
    wait_for_ever();
    return 0;
}

/* With one worker, and with what frees the value of its function. */
static void make_sleeping_pool(struct board *board, void (*free_user)(void *)) {
    host_board = board;
    board_require(board, pf_pool_new(&host_pool) == 0);
    board_require(board, pf_pool_set_backend(host_pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_workers(host_pool, 1) == 0);
    board_require(board, pf_pool_set_worker_fn(host_pool, sleeps, NULL, free_user) == 0);
}

/* What belongs to the host may own the pool, too. */
static void free_the_pool(void *user) {
    static const char *const argv[] = {"/bin/false", NULL};
    int task_id = 0;

    (void)user;
    effects++;
    board_require(host_board, pf_pool_free(host_pool) == host_pool);
    board_require(host_board, pf_pool_dispatch(host_pool, 0) == -EBUSY);
    board_require(host_board, pf_pool_run(host_pool, &task_id) == -EBUSY);
    board_require(host_board, pf_upgrade(argv[0], argv, NULL) == -EBUSY);
}

static int host_whose_values_free_the_pool(struct board *board) {
    make_sleeping_pool(board, free_the_pool);
    board_require(board,
                  pf_pool_set_event_callback(host_pool, ignore_event, NULL, free_the_pool) == 0);
    board_require(board, pf_pool_start(host_pool) == 0);
    board_require(board, pf_pool_dispatch(host_pool, 0) == 1);
    board_require(board, pf_pool_free(host_pool) == NULL);
    board_require(board, effects == 2);
    require_no_children(board);
    return 0;
}

static void pool_is_freed_once_though_what_it_frees_frees_it(void **state) {
    scenario_start_host(*state, host_whose_values_free_the_pool);

    assert_exits((struct scenario *)*state, 0);
}

/* The child comes back from this function as well, and frees its copy. */
static void fork_a_child_that_frees(void *user) {
    int status = -1;

    (void)user;
    child = fork();
    if (child == 0) {
        board_require(host_board, pf_pool_free(host_pool) == host_pool);
        return;
    }
    board_require(host_board, child > 0 && waitpid(child, &status, 0) == child && status == 0);
    board_require(host_board, waitpid(worker, NULL, WNOHANG) == 0); /* it lives */
}

static int host_whose_value_forks(struct board *board) {
    make_sleeping_pool(board, fork_a_child_that_frees);
    board_require(board, pf_pool_set_event_callback(host_pool, ignore_event, NULL, NULL) == 0);
    board_require(board, pf_pool_start(host_pool) == 0);
    board_require(board, pf_pool_dispatch(host_pool, 0) == 1);
    worker = (pid_t)pf_pool_worker_pid(host_pool, 0);
    board_require(board, worker > 0 && pf_pool_free(host_pool) == NULL);
    if (child != 0) {
        require_no_children(board);
    }
    return 0;
}

static void child_that_is_forked_while_a_pool_is_freed_frees_its_copy(void **state) {
    scenario_start_host(*state, host_whose_value_forks);

    assert_exits((struct scenario *)*state, 0);
}

/* The child goes on to free its copy as well. */
static void fork_a_child(void *user) {
    int status = -1;

    (void)user;
    child = fork();
    if (child != 0) {
        board_require(host_board, child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
}

static void count(void *user) {
    (void)user;
    effects++;
}

static int host_whose_first_value_forks(struct board *board) {
    make_sleeping_pool(board, count);
    board_require(board,
                  pf_pool_set_event_callback(host_pool, ignore_event, NULL, fork_a_child) == 0);
    board_require(board, pf_pool_free(host_pool) == NULL);
    board_require(board, effects == (child == 0 ? 0 : 1));
    return 0;
}

static void child_that_is_forked_while_a_pool_is_freed_frees_no_value(void **state) {
    scenario_start_host(*state, host_whose_first_value_forks);

    assert_exits((struct scenario *)*state, 0);
}

enum { IN_FUNCTION, IS_FORKED };

static void wait_for_a_fork(void *user) {
    (void)user;
    gate_open(host_board, IN_FUNCTION);
    gate_wait(host_board, IS_FORKED);
}

static void *free_in_thread(void *unused) {
    (void)unused;
    board_require(host_board, pf_pool_free(host_pool) == NULL);
    return NULL;
}

/* The function does not return in the child. */
static int host_that_forks_beside_a_value(struct board *board) {
    pthread_t thread;
    int status = -1;

    make_sleeping_pool(board, wait_for_a_fork);
    board_require(board, pthread_create(&thread, NULL, free_in_thread, NULL) == 0);
    gate_wait(board, IN_FUNCTION);
    child = fork();
    if (child == 0) {
        board_require(board, pf_pool_free(host_pool) == host_pool);
        _exit(0);
    }
    gate_open(board, IS_FORKED);
    board_require(board, child > 0 && waitpid(child, &status, 0) == child && status == 0);
    board_require(board, pthread_join(thread, NULL) == 0);
    return 0;
}

static void child_of_another_thread_frees_nothing_while_a_pool_is_freed(void **state) {
    scenario_start_host(*state, host_that_forks_beside_a_value);

    assert_exits((struct scenario *)*state, 0);
}

static void start_the_pool(void *user) {
    (void)user;
    effects++;
    board_require(host_board, pf_pool_start(host_pool) == -EBUSY);
}

static int host_whose_value_starts_the_pool(struct board *board) {
    make_sleeping_pool(board, start_the_pool);
    board_require(board, pf_pool_free(host_pool) == NULL);
    board_require(board, effects == 1);
    require_no_children(board);
    return 0;
}

static void pool_that_is_being_freed_is_not_started(void **state) {
    scenario_start_host(*state, host_whose_value_starts_the_pool);

    assert_exits((struct scenario *)*state, 0);
}

/* What a setter is refused for is freed as well. */
static void set_the_pool_up(void *user) {
    static const char *const argv[] = {"/bin/false", NULL};
    const int before = effects;

    (void)user;
    board_require(host_board,
                  pf_pool_set_event_callback(host_pool, ignore_event, NULL, count) == -EBUSY);
    board_require(host_board, effects == before + 1);
    board_require(host_board, pf_pool_set_worker_fn(host_pool, sleeps, NULL, count) == -EBUSY);
    board_require(host_board, effects == before + 2);
    board_require(host_board, pf_pool_set_workers(host_pool, 3) == -EBUSY);
    board_require(host_board, pf_pool_set_spares(host_pool, 1) == -EBUSY);
    board_require(host_board, pf_pool_add_fd(host_pool, "input", STDIN_FILENO) == -EBUSY);
    board_require(host_board, pf_pool_set_exec(host_pool, argv[0], argv, NULL) == -EBUSY);
}

static void free_pool_whose_values_set_it_up(struct board *board, bool is_executed,
                                             bool is_started) {
    static const char *const argv[] = {"/bin/sleep", "1000", NULL};

    make_sleeping_pool(board, set_the_pool_up);
    board_require(board,
                  pf_pool_set_event_callback(host_pool, ignore_event, NULL, set_the_pool_up) == 0);
    if (is_executed) {
        board_require(board, pf_pool_set_exec(host_pool, argv[0], argv, NULL) == 0);
    }
    board_require(board, !is_started || pf_pool_start(host_pool) == 0);
    effects = 0;
    board_require(board, pf_pool_free(host_pool) == NULL);
    board_require(board, effects == 4);
    require_no_children(board);
}

static int host_whose_values_set_the_pool_up(struct board *board) {
    free_pool_whose_values_set_it_up(board, false, false);
    free_pool_whose_values_set_it_up(board, false, true);
    free_pool_whose_values_set_it_up(board, true, false);
    free_pool_whose_values_set_it_up(board, true, true);
    return 0;
}

static void pool_that_is_being_freed_is_not_set_up(void **state) {
    scenario_start_host(*state, host_whose_values_set_the_pool_up);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(pool_is_freed_once_though_what_it_frees_frees_it),
        scenario_test(child_that_is_forked_while_a_pool_is_freed_frees_its_copy),
        scenario_test(child_that_is_forked_while_a_pool_is_freed_frees_no_value),
        scenario_test(child_of_another_thread_frees_nothing_while_a_pool_is_freed),
        scenario_test(pool_that_is_being_freed_is_not_started),
        scenario_test(pool_that_is_being_freed_is_not_set_up),
    };

    return run_group_with_each_backend("values of a pool", tests);
}
