/*
 * daemon_test.c - what becomes of the launching process and of the daemon
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "launch.h"

enum { NOTE_CHILD = KIND_NOTE, NOTE_HERE };
enum { GATE_WORK, GATE_END };

static const struct plan two_workers = {.workers = 2};

static void assert_still_launching(const struct scenario *scenario) {
    assert_int_equal(waitpid(scenario->supervisor, NULL, WNOHANG), 0);
}

static void assert_detached(pid_t pid) {
    assert_link(pid, "fd/0", "/dev/null");
    assert_link(pid, "fd/1", "/dev/null");
    assert_link(pid, "fd/2", "/dev/null");
}

/* ---- Ready ------------------------------------------------------------------------------ */

static int works_when_let(struct board *board) {
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    gate_wait(board, GATE_WORK);
    return plan_run(board, &two_workers);
}

static void the_launching_process_waits_for_the_workers(void **state) {
    struct scenario *scenario = *state;
    pid_t launching = launch(scenario, works_when_let);
    pid_t daemon = daemon_pid(scenario, 0);
    assert_still_launching(scenario);
    assert_int_not_equal(launching, daemon);

    gate_open(scenario->board, GATE_WORK);

    assert_exits(scenario, 0);
    assert_int_equal(board_count(scenario->board, PF_EVENT_STARTED, ANY_TASK), 2);
    assert_detached(daemon);
    assert_true(board_reaches(scenario->board, KIND_WORKER, ANY_TASK, 2));
    for (int task = 0; task < 2; task++) {
        assert_detached(board_find(scenario->board, PF_EVENT_STARTED, task, 0)->pid);
    }
    assert_int_equal(kill(daemon, SIGTERM), 0);
    assert_int_equal(end_of(daemon), SIGTERM);
}

/* The kernels of some machines have ppoll alone. */
static int works_without_poll(struct board *board) {
#ifdef SYS_poll
    board_require(board, filter_forbid(SYS_poll, EPERM));
#endif
    return works_when_let(board);
}

static void where_poll_is_refused_it_waits_all_the_same(void **state) {
    struct scenario *scenario = *state;
    (void)launch(scenario, works_without_poll);
    pid_t daemon = daemon_pid(scenario, 0);
    pause_ms(20); /* in which it could end */
    assert_still_launching(scenario);

    gate_open(scenario->board, GATE_WORK);

    assert_exits(scenario, 0);
    assert_int_equal(board_count(scenario->board, PF_EVENT_STARTED, ANY_TASK), 2);
    assert_int_equal(kill(daemon, SIGTERM), 0);
    assert_int_equal(end_of(daemon), SIGTERM);
}

static int says_that_it_is_ready(struct board *board) {
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    gate_wait(board, GATE_WORK);
    board_require(board, pf_daemon_ready() == 0);
    board_require(board, pf_daemon_ready() == 0);
    gate_wait(board, GATE_END);
    return 7;
}

static void a_daemon_without_workers_says_so_itself(void **state) {
    struct scenario *scenario = *state;
    (void)launch(scenario, says_that_it_is_ready);
    pid_t daemon = daemon_pid(scenario, 0);
    assert_still_launching(scenario);

    gate_open(scenario->board, GATE_WORK);

    assert_exits(scenario, 0);
    assert_detached(daemon);
    assert_int_equal(end_behind_gate(scenario, GATE_END, daemon), 7 << 8);
}

static pf_pool *start_pool(struct board *board, int (*work)(int task_id, void *user)) {
    pf_pool *pool = NULL;

    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_workers(pool, 2) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, work, board, NULL) == 0);
    board_require(board, pf_pool_start(pool) == 0);
    return pool;
}

static int stays(int task_id, void *user) {
    (void)task_id;
    (void)user;
    wait_for_ever();
    return 0;
}

/* The first is freed before it has worked; the others count. */
static int runs_three_pools(struct board *board) {
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    (void)pf_pool_free(start_pool(board, stays));
    pf_pool *first = start_pool(board, stays);
    pf_pool *second = start_pool(board, stays);
    board_require(board, pf_pool_dispatch(first, 0) == 1);
    pf_pool *late = start_pool(board, stays); /* begun after a wait: not waited for */
    board_note(board, NOTE_HERE, 0);
    gate_wait(board, GATE_WORK);
    board_require(board, pf_pool_dispatch(second, 0) == 1);
    gate_wait(board, GATE_END);
    (void)pf_pool_free(first);
    (void)pf_pool_free(second);
    (void)pf_pool_free(late);
    return EXIT_SUCCESS;
}

static void all_pools_that_began_before_the_first_wait_are_waited_for(void **state) {
    struct scenario *scenario = *state;
    (void)launch(scenario, runs_three_pools);
    pid_t daemon = daemon_pid(scenario, 0);
    assert_true(board_reaches(scenario->board, NOTE_HERE, ANY_TASK, 1));
    assert_still_launching(scenario);

    gate_open(scenario->board, GATE_WORK);

    assert_exits(scenario, 0);
    assert_int_equal(end_behind_gate(scenario, GATE_END, daemon), 0);
}

/* The workers of the first pool cannot all be started, for want of descriptors. */
static int gives_up_a_pool_that_waited(struct board *board) {
    struct rlimit limit;
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    pf_pool *pool = start_pool(board, stays);
    board_require(board, getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const struct rlimit none = {.rlim_cur = 3, .rlim_max = limit.rlim_max};
    board_require(board, setrlimit(RLIMIT_NOFILE, &none) == 0);
    board_require(board, pf_pool_dispatch(pool, 0) == 1);
    board_require(board, pf_pool_alive_count(pool) < 2);
    board_require(board, setrlimit(RLIMIT_NOFILE, &limit) == 0);
    (void)pf_pool_free(pool);
    board_note(board, NOTE_HERE, 0);
    gate_wait(board, GATE_WORK);
    return plan_run(board, &two_workers);
}

static void a_pool_that_did_not_get_ready_is_not_waited_for_when_it_is_gone(void **state) {
    struct scenario *scenario = *state;
    (void)launch(scenario, gives_up_a_pool_that_waited);
    pid_t daemon = daemon_pid(scenario, 0);
    assert_true(board_reaches(scenario->board, NOTE_HERE, ANY_TASK, 1));
    assert_still_launching(scenario);

    gate_open(scenario->board, GATE_WORK);

    assert_exits(scenario, 0);
    assert_int_equal(board_count(scenario->board, PF_EVENT_STARTED, ANY_TASK), 2);
    assert_int_equal(kill(daemon, SIGTERM), 0);
    assert_int_equal(end_of(daemon), SIGTERM);
}

static int frees_its_only_pool(struct board *board) {
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    (void)pf_pool_free(start_pool(board, stays));
    return plan_run(board, &two_workers);
}

static void a_pool_that_is_given_up_is_not_waited_for(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, frees_its_only_pool);

    pid_t daemon = daemon_pid(scenario, 0);
    assert_exits(scenario, 0);
    assert_int_equal(kill(daemon, SIGTERM), 0);
    assert_int_equal(end_of(daemon), SIGTERM);
}

/* Its own pool has been ready, and the child has one too. */
static int launches_another(struct board *board) {
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    pf_pool *pool = start_pool(board, stays);
    board_require(board, pf_pool_dispatch(pool, 0) == 1);
    pid_t child = fork();
    if (child == 0) {
        return become_daemon(board, NULL) ? plan_run(board, &two_workers) : STATUS_REFUSED;
    }
    int status = end_of(child);
    (void)pf_pool_free(pool);
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void a_daemon_that_a_daemon_launches_waits_for_its_own_pools(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, launches_another);

    assert_exits(scenario, 0);
    pid_t second = daemon_pid(scenario, 1);
    assert_int_equal(end_of(daemon_pid(scenario, 0)), 0);
    assert_int_equal(kill(second, SIGTERM), 0);
    assert_int_equal(end_of(second), SIGTERM);
}

/* ---- Not ready -------------------------------------------------------------------------- */

static int can_not_begin(struct board *board) {
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    (void)fprintf(stderr, "port 80: taken\n");
    return 3;
}

static void a_daemon_that_fails_makes_its_launch_fail_with_its_message(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, can_not_begin);

    assert_exits(scenario, 1);
    scenario->output_taken = true;
    assert_string_equal(scenario_output(scenario), "port 80: taken\n");
    assert_int_equal(end_of(daemon_pid(scenario, 0)), 3 << 8);
}

/* A child of the host has all that it had, and stays. */
static int leaves_a_child_and_is_killed(struct board *board) {
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    if (fork() == 0) {
        board_require(board, pf_daemon_ready() == -ECHILD);
        board_note(board, NOTE_CHILD, 0);
        gate_wait(board, GATE_END);
        return EXIT_SUCCESS;
    }
    gate_wait(board, GATE_WORK);
    (void)raise(SIGKILL);
    return EXIT_FAILURE;
}

static void a_daemon_that_is_killed_makes_its_launch_fail(void **state) {
    struct scenario *scenario = *state;
    (void)launch(scenario, leaves_a_child_and_is_killed);
    assert_true(board_reaches(scenario->board, NOTE_CHILD, ANY_TASK, 1));
    assert_still_launching(scenario);

    gate_open(scenario->board, GATE_WORK);

    assert_exits(scenario, 1);
    assert_int_equal(end_of(daemon_pid(scenario, 0)), SIGKILL);
    gate_open(scenario->board, GATE_END);
    assert_int_equal(reap_all(), 1);
}

static void the_daemon_outlives_a_launch_that_is_killed(void **state) {
    struct scenario *scenario = *state;
    (void)launch(scenario, works_when_let);
    pid_t daemon = daemon_pid(scenario, 0);

    scenario_signal(scenario, SIGKILL);
    assert_dies_of(scenario, SIGKILL);
    gate_open(scenario->board, GATE_WORK);

    assert_true(board_reaches(scenario->board, PF_EVENT_STARTED, ANY_TASK, 2));
    assert_true(board_reaches(scenario->board, KIND_WORKER, ANY_TASK, 2));
    assert_int_equal(kill(daemon, SIGTERM), 0);
    assert_int_equal(end_of(daemon), SIGTERM); /* and not SIGPIPE */
    /* The process between the two is left, if the launch was killed before it took that. */
    assert_in_range(reap_all(), 0, 1);
}

/* ---- Where it is not done --------------------------------------------------------------- */

static void *wait_at_gate(void *board) {
    gate_wait(board, GATE_END);
    return NULL;
}

static int has_a_thread(struct board *board) {
    pthread_t thread;

    board_require(board, pthread_create(&thread, NULL, wait_at_gate, board) == 0);
    board_require(board, pf_daemonize(NULL) == PF_ETHREADS);
    gate_open(board, GATE_END);
    board_require(board, pthread_join(thread, NULL) == 0);
    return EXIT_SUCCESS;
}

static void threads_are_refused(void **state) {
    (void)launch(*state, has_a_thread);

    assert_exits((struct scenario *)*state, 0);
}

static int daemonizes_in_the_worker(struct board *board, int task_id, int run) {
    pid_t self = getpid();

    (void)run;
    board_require(board, pf_daemonize("worker.pid") == 0);
    board_require(board, getpid() == self && pf_task_id() == task_id);
    board_require(board, access("worker.pid", F_OK) < 0);
    return 0;
}

static void nothing_happens_in_a_worker(void **state) {
    const struct plan plan = {.workers = 1, .work = daemonizes_in_the_worker};
    scenario_start(*state, &plan);

    assert_exits((struct scenario *)*state, 0);
}

static int is_no_daemon(struct board *board) {
    board_require(board, pf_daemon_ready() == 0);
    board_require(board, pf_daemon_ready() == 0);
    return EXIT_SUCCESS;
}

static int daemonizes_again(struct board *board) {
    if (!become_daemon(board, NULL)) {
        return STATUS_REFUSED;
    }
    board_require(board, pf_daemonize(NULL) == -EALREADY);
    board_require(board, pf_daemon_ready() == 0);
    board_require(board, pf_daemonize(NULL) == -EALREADY);
    return EXIT_SUCCESS;
}

static void a_daemon_becomes_none_again(void **state) {
    struct scenario *scenario = *state;

    (void)launch(scenario, daemonizes_again);
    assert_exits(scenario, 0);
    assert_int_equal(end_of(daemon_pid(scenario, 0)), 0);

    (void)launch(scenario, is_no_daemon);
    assert_exits(scenario, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        launch_test(the_launching_process_waits_for_the_workers),
        launch_test(where_poll_is_refused_it_waits_all_the_same),
        launch_test(a_daemon_without_workers_says_so_itself),
        launch_test(all_pools_that_began_before_the_first_wait_are_waited_for),
        launch_test(a_pool_that_is_given_up_is_not_waited_for),
        launch_test(a_pool_that_did_not_get_ready_is_not_waited_for_when_it_is_gone),
        launch_test(a_daemon_that_a_daemon_launches_waits_for_its_own_pools),
        launch_test(a_daemon_that_fails_makes_its_launch_fail_with_its_message),
        launch_test(a_daemon_that_is_killed_makes_its_launch_fail),
        launch_test(the_daemon_outlives_a_launch_that_is_killed),
        launch_test(threads_are_refused),
        launch_test(nothing_happens_in_a_worker),
        launch_test(a_daemon_becomes_none_again),
    };

    return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}
