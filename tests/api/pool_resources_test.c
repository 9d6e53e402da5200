/*
 * pool_resources_test.c - processes or descriptors run out while a pool starts or grows
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "host.h"

enum { LARGEST = 65536, PLENTY = 4000, PROCESSES = 30 };

/* ---- Processes ------------------------------------------------------------------------- */

static void limit_processes(struct board *board, rlim_t processes) {
    struct rlimit limit = {.rlim_cur = processes, .rlim_max = PLENTY};

    board_require(board, setrlimit(RLIMIT_NPROC, &limit) == 0);
}

/* A user who has no other process, so that the limit is reached by the pool's own. */
static void become_limited_user(struct board *board) {
    leave_out_leak_check();
    limit_processes(board, PROCESSES + 1);
    board_require(board, setgid(65534) == 0);
    board_require(board, setuid((uid_t)(60000 + getpid() % 5000)) == 0);
}

static void require_root(void) {
    if (geteuid() != 0) {
        print_message("skipped: only root can become a user without other processes\n");
        skip();
    }
}

/* At the limit for a while: so many workers, one failure told, and no restart counted. */
static void require_at_limit(struct host *host, int error) {
    struct board *board = host->board;

    board_require(board, host_reaches(host, PF_EVENT_START_FAILED, ANY_TASK, 1));
    const struct record *failed = board_find(board, PF_EVENT_START_FAILED, ANY_TASK, 0);
    board_require(board, failed != NULL && failed->error == error);
    board_require(board, failed != NULL && failed->level == 3 && failed->restarts == 0);
    board_require(board, failed != NULL && failed->will_restart == 1);
    host_goes_on(host, 50);
    board_require(board, host->result == 1);
    board_require(board, pf_pool_alive_count(host->pool) <= PROCESSES);
    board_require(board, pf_pool_alive_count(host->pool) >= 4);
}

static int host_that_grows_too_much(struct board *board) {
    struct host host;

    become_limited_user(board);
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_max_restarts(host.pool, 0) == 0);
    board_require(board, host_begin(&host, 4) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 4));
    board_require(board, pf_pool_resize(host.pool, LARGEST) == 0);
    board_require(board, pf_pool_worker_count(host.pool) == LARGEST);
    require_at_limit(&host, -EAGAIN);
    board_require(board, pf_pool_alive_count(host.pool) == PROCESSES);
    board_require(board, pf_pool_worker_state(host.pool, LARGEST - 1) == PF_WORKER_STARTING);
    /* Back to what can be had. */
    board_require(board, pf_pool_resize(host.pool, 4) == 0);
    board_require(board, host_reaches_alive(&host, 4));
    board_require(board, pf_pool_worker_state(host.pool, 4) == -EINVAL);
    /* And with more processes allowed, to more. */
    board_require(board, pf_pool_resize(host.pool, 2 * PROCESSES) == 0);
    limit_processes(board, PLENTY);
    board_require(board, host_reaches_alive(&host, 2 * PROCESSES));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void growth_beyond_the_limit_waits_and_can_be_taken_back(void **state) {
    require_root();

    scenario_start_host(*state, host_that_grows_too_much);

    assert_exits((struct scenario *)*state, 0);
}

static int host_that_begins_too_large(struct board *board) {
    struct host host;

    become_limited_user(board);
    host_open(&host, board);
    board_require(board, pf_pool_set_max_restarts(host.pool, 0) == 0);
    board_require(board, host_begin(&host, LARGEST) == 0);
    require_at_limit(&host, -EAGAIN);
    uint64_t before_ms = now_ms();
    board_require(board, host_stops(&host) == 0);
    board_require(board, now_ms() - before_ms < 5000); /* no attempt is waited for */
    board_require(board, board_count(board, PF_EVENT_STARTED, ANY_TASK) == PROCESSES);
    host_close(&host);
    return 0;
}

static void the_largest_pool_is_begun_and_stopped_at_the_limit(void **state) {
    require_root();

    scenario_start_host(*state, host_that_begins_too_large);

    assert_exits((struct scenario *)*state, 0);
}

static int host_without_any_process(struct board *board) {
    struct host host;

    become_limited_user(board);
    limit_processes(board, 1);
    host_open(&host, board);
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_START_FAILED, ANY_TASK, 2));
    board_require(board, pf_pool_alive_count(host.pool) == 0);
    for (int i = 0; i < 3; i++) {
        board_require(board, pf_pool_worker_state(host.pool, i) == PF_WORKER_STARTING);
    }
    const struct record *first = board_find(board, PF_EVENT_START_FAILED, ANY_TASK, 0);
    const struct record *second = board_find(board, PF_EVENT_START_FAILED, ANY_TASK, 1);
    board_require(board, first->delay_ms == 10);
    board_require(board, second->time_ns - first->time_ns >= UINT64_C(1000000000));
    board_require(board, pf_pool_stop(host.pool) == 0);
    board_require(board, pf_pool_dispatch(host.pool, 0) == 0); /* at once */
    host.result = 0;
    (void)host_turn(&host, 0);
    board_require(board, board_count(board, PF_EVENT_DONE, ANY_TASK) == 1);
    host_close(&host);
    return 0;
}

static void a_stop_while_nothing_can_be_started_is_immediate(void **state) {
    require_root();

    scenario_start_host(*state, host_without_any_process);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- Errors that do not pass ------------------------------------------------------------- */

static void forbid_forks(struct board *board) {
    leave_out_leak_check(); /* which forks, too */
    board_require(board, filter_forbid(SYS_clone, EPERM));
    board_require(board, filter_forbid(SYS_clone3, EPERM));
#ifdef SYS_fork
    board_require(board, filter_forbid(SYS_fork, EPERM)); /* musl's fork() */
#endif
}

static int host_that_may_not_fork(struct board *board) {
    struct host host;

    forbid_forks(board);
    host_open(&host, board);
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_finishes(&host) == -EPERM);
    const struct record *failed = board_find(board, PF_EVENT_START_FAILED, ANY_TASK, 0);
    board_require(board, failed != NULL && failed->error == -EPERM && failed->will_restart == 0);
    const struct record *done = board_find(board, PF_EVENT_DONE, ANY_TASK, 0);
    board_require(board, done != NULL && done->error == -EPERM);
    board_require(board, board_count(board, PF_EVENT_GAVE_UP, ANY_TASK) == 0);
    host_close(&host);
    return 0;
}

static void before_a_first_worker_the_pool_fails_with_the_error(void **state) {
    scenario_start_host(*state, host_that_may_not_fork);

    assert_exits((struct scenario *)*state, 0);
}

static int host_that_may_fork_no_more(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_max_restarts(host.pool, 3) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    forbid_forks(board);
    /* A replacement that cannot be started leaves the old worker, and is not counted. */
    board_require(board, host_replaces(&host, 0) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_RELOAD_FAILED, 0, 1));
    board_require(board, board_find(board, PF_EVENT_RELOAD_FAILED, 0, 0)->error == -EPERM);
    board_require(board, pf_pool_worker_pid(host.pool, 0) == host_pid(&host, 0, 0));
    board_require(board, pf_pool_worker_state(host.pool, 0) == PF_WORKER_READY);
    host_goes_on(&host, 30);
    board_require(board, host.result == 1 && pf_pool_alive_count(host.pool) == 2);
    /* A restart that cannot be started uses up the others. */
    board_require(board, kill(host_pid(&host, 1, 0), SIGKILL) == 0);
    board_require(board, host_finishes(&host) == PF_EGAVEUP);
    const struct record *gave_up = board_find(board, PF_EVENT_GAVE_UP, ANY_TASK, 0);
    board_require(board, gave_up != NULL && gave_up->restarts == 3);
    board_require(board, board_find(board, PF_EVENT_EXITED, 0, 0)->exit_code == 0);
    host_close(&host);
    return 0;
}

static void after_it_they_count_and_a_replacement_is_given_up(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_may_fork_no_more);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), 2);
}

/* ---- Descriptors ----------------------------------------------------------------------- */

static void limit_descriptors(struct board *board, rlim_t descriptors) {
    struct rlimit limit = {.rlim_cur = descriptors, .rlim_max = PLENTY};

    board_require(board, setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* Each worker takes one with pidfds, and none without. */
static int host_without_descriptors(struct board *board) {
    struct host host;
    bool by_pidfd = backend_under_test == PF_BACKEND_PIDFD;

    host_open(&host, board);
    board_require(board, pf_pool_set_max_restarts(host.pool, 0) == 0);
    board_require(board, host_begin(&host, 4) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, ANY_TASK, 4));
    int free_now = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    board_require(board, free_now >= 0 && close(free_now) == 0);
    limit_descriptors(board, (rlim_t)free_now + 6);
    board_require(board, pf_pool_resize(host.pool, PROCESSES) == 0);
    if (by_pidfd) {
        require_at_limit(&host, -EMFILE);
        board_require(board, pf_pool_alive_count(host.pool) < PROCESSES);
    }
    limit_descriptors(board, PLENTY);
    board_require(board, host_reaches_alive(&host, PROCESSES));
    board_require(board, by_pidfd == (board_count(board, PF_EVENT_START_FAILED, ANY_TASK) > 0));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void growth_without_descriptors_waits_for_them(void **state) {
    scenario_start_host(*state, host_without_descriptors);

    assert_exits((struct scenario *)*state, 0);
}

static int host_that_can_not_begin(struct board *board) {
    struct host host;
    struct descriptors before;
    struct descriptors after;
    int task_id = 5;

    host_open(&host, board);
    descriptors_take(&before);
    limit_descriptors(board, 0);
    board_require(board, host_begin(&host, 2) == -EMFILE);
    board_require(board, pf_pool_run(host.pool, &task_id) == -EMFILE && task_id == 5);
    board_require(board, pf_pool_fd(host.pool) == -EINVAL);
    limit_descriptors(board, PLENTY);
    descriptors_take(&after);
    board_require(board, strcmp(before.text, after.text) == 0);
    board_require(board, pf_pool_set_max_restarts(host.pool, 1) == 0); /* not begun yet */
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, ANY_TASK, 2));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void without_any_the_start_fails_and_may_be_repeated(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_can_not_begin);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTING, ANY_TASK), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(growth_beyond_the_limit_waits_and_can_be_taken_back),
        scenario_test(the_largest_pool_is_begun_and_stopped_at_the_limit),
        scenario_test(a_stop_while_nothing_can_be_started_is_immediate),
        scenario_test(before_a_first_worker_the_pool_fails_with_the_error),
        scenario_test(after_it_they_count_and_a_replacement_is_given_up),
        scenario_test(growth_without_descriptors_waits_for_them),
        scenario_test(without_any_the_start_fails_and_may_be_repeated),
    };

    return run_group_with_each_backend("pool resources", tests);
}
