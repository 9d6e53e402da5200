/*
 * idle_test.c - a large pool in an epoll loop costs nothing while nothing happens
 *
 * The loop waits without a time-out and dispatches when the pool's descriptor is readable, so
 * whatever wakes it is the pool. Every wake-up ends with the process going to sleep again,
 * which the kernel counts.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

/* Milliseconds: as long as it is looked at, and as long as a process is quiet to be at rest. */
enum { IDLE_MS = 3000, REST_MS = 100 };

/* The pool of the supervisor's process: for its handler. */
static pf_pool *pool;

static void ask_stop(int signal_number) {
    (void)signal_number;
    if (pf_pool_stop(pool) == -ECHILD) {
        _exit(0); /* a worker, which has the handler from the supervisor */
    }
}

/* Room for the pidfd of each worker. */
static bool raise_descriptor_limit(void) {
    struct rlimit limit = {0, 0};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return false;
    }
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* The loop of a host that has no other work: it sleeps until the pool wakes it. */
static int run_loop(struct host *host, int workers) {
    struct sigaction action = {.sa_handler = ask_stop, .sa_flags = SA_RESTART};
    struct epoll_event interest = {.events = EPOLLIN};
    struct epoll_event ready;
    int loop = epoll_create1(EPOLL_CLOEXEC);

    pool = host->pool;
    board_require(host->board, raise_descriptor_limit());
    board_require(host->board, pf_pool_set_backend(pool, PF_BACKEND_PIDFD) == 0);
    board_require(host->board, host_begin(host, workers) == 0);
    board_require(host->board, sigaction(SIGTERM, &action, NULL) == 0);
    board_require(host->board, epoll_ctl(loop, EPOLL_CTL_ADD, pf_pool_fd(pool), &interest) == 0);
    while (host->result == 1) {
        if (epoll_wait(loop, &ready, 1, -1) == 1) {
            (void)host_turn(host, 0);
        }
    }
    (void)close(loop);
    int result = host->result;
    host_close(host);
    return result == 0 ? 0 : STATUS_RETURNED;
}

/* The timer that restarts a worker must be at rest again afterwards. */
static int run_large_pool(struct board *board) {
    struct host host;

    host_open(&host, board);
    board_require(board, pf_pool_set_backoff(host.pool, 50, 100) == 0);
    return run_loop(&host, 1000);
}

/* The timer of a worker that comes much later must wake nobody before. */
static int run_pool_in_backoff(struct board *board) {
    struct host host;

    host_open(&host, board);
    board_require(board, pf_pool_set_backoff(host.pool, 600000, 600000) == 0);
    return run_loop(&host, 4);
}

/* How often the process went to sleep; ULONG_MAX: the kernel does not tell. */
static unsigned long sleeps(pid_t pid) {
    char path[64];
    char line[256];
    unsigned long count = ULONG_MAX;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        (void)sscanf(line, "voluntary_ctxt_switches: %lu", &count); /* on that line only */
    }
    if (status != NULL) {
        (void)fclose(status); /* nothing was written */
    }
    return count;
}

static void let_pass(unsigned milliseconds) {
    uint64_t end = now_ms() + milliseconds;

    while (now_ms() < end) {
        pause_ms(10);
    }
}

/* Waits until what is under way is done. Returns how often the process has slept by then. */
static unsigned long come_to_rest(pid_t pid) {
    uint64_t deadline = now_ms() + PATIENCE_MS;
    unsigned long before = ULONG_MAX;
    unsigned long after = sleeps(pid);

    while ((before != after || process_state(pid) != 'S') && now_ms() < deadline) {
        before = after;
        let_pass(REST_MS);
        after = sleeps(pid);
    }
    assert_true(now_ms() < deadline);
    assert_true(after != ULONG_MAX);
    return after;
}

static void assert_sleeps_on(pid_t pid) {
    unsigned long before = come_to_rest(pid);

    let_pass(IDLE_MS);

    assert_int_equal(sleeps(pid) - before, 0);
}

static void kill_worker(struct board *board, int task_id) {
    const struct record *start = board_find(board, PF_EVENT_STARTED, task_id, 0);

    assert_non_null(start);
    assert_int_equal(kill(start->pid, SIGKILL), 0);
}

static void a_thousand_idle_workers_wake_nobody(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, run_large_pool);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 1000));
    assert_true(board_reaches(run->board, PF_EVENT_STARTED, ANY_TASK, 1000));
    kill_worker(run->board, 500);
    assert_true(board_reaches(run->board, PF_EVENT_STARTED, 500, 2));
    assert_true(board_reaches(run->board, KIND_WORKER, 500, 2));

    assert_sleeps_on(run->supervisor);

    scenario_signal(run, SIGTERM);
    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 1001);
}

static void a_worker_that_is_due_later_wakes_nobody_before(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, run_pool_in_backoff);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 4));
    assert_true(board_reaches(run->board, PF_EVENT_STARTED, ANY_TASK, 4));
    kill_worker(run->board, 2);
    assert_true(board_reaches(run->board, PF_EVENT_EXITED, 2, 1));

    assert_sleeps_on(run->supervisor);

    assert_true(board_find(run->board, PF_EVENT_EXITED, 2, 0)->delay_ms >= 300000);
    scenario_signal(run, SIGTERM);
    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), 4);
}

int main(void) {
    /* Without pidfds the library looks once a second whether its handler is still there. */
    if (!backend_use(PF_BACKEND_PIDFD)) {
        printf("1..0 # SKIP no pidfds\nskipped: this system has no pidfds\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        scenario_test(a_thousand_idle_workers_wake_nobody),
        scenario_test(a_worker_that_is_due_later_wakes_nobody_before),
    };

    return cmocka_run_group_tests_name("an idle pool in a loop", tests, NULL, NULL);
}
