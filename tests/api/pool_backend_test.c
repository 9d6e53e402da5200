/*
 * pool_backend_test.c - kernels and profiles without pidfds, and hosts that take the handler
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "host.h"

enum { NOTE_SIGCHLD = KIND_NOTE, NOTE_RESULT };

static struct board *handler_board;
static int filter_error;

static void note_child(int signal) { board_note_task(handler_board, NOTE_SIGCHLD, -1, signal); }

static bool has_our_handler(void) {
    struct sigaction action;

    return sigaction(SIGCHLD, NULL, &action) == 0 &&
           ((action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != SIG_DFL);
}

/* ---- The choice ------------------------------------------------------------------------ */

static int host_that_looks(struct board *board) {
    struct host host;
    bool pidfds = backend_use(PF_BACKEND_PIDFD);

    (void)backend_use(PF_BACKEND_AUTO);
    host_open(&host, board);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, 0, 1));
    board_require(board, has_our_handler() == !pidfds);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    board_require(board, !has_our_handler());
    return 0;
}

static void by_itself_the_library_takes_pidfds_and_no_handler(void **state) {
    scenario_start_host(*state, host_that_looks);

    assert_exits((struct scenario *)*state, 0);
}

static int host_with_sigchld(struct board *board) {
    struct host host;

    (void)backend_use(PF_BACKEND_SIGCHLD);
    host_open(&host, board);
    board_require(board, !has_our_handler());
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, has_our_handler());
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    board_require(board, !has_our_handler());
    return 0;
}

static void the_handler_is_there_while_it_is_needed(void **state) {
    scenario_start_host(*state, host_with_sigchld);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- Filters --------------------------------------------------------------------------- */

static int crashes_twice(struct board *board, int task_id, int run) {
    if (run < 2) {
        return 9 + run;
    }
    return task_id == 1 ? ignores_term(board, task_id, run) : ends_on_term(board, task_id, run);
}

static int host_behind_a_filter(struct board *board) {
    struct host host;

    board_require(board, filter_forbid(SYS_pidfd_open, filter_error));
    (void)backend_use(PF_BACKEND_AUTO);
    host_open(&host, board);
    board_require(board, pf_pool_set_backend(host.pool, PF_BACKEND_PIDFD) == -ENOTSUP);
    board_require(board, pf_pool_set_stop(host.pool, SIGTERM, 100) == 0);
    host.work = crashes_twice;
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 3));
    board_require(board, has_our_handler());
    board_require(board, kill(host_pid(&host, 1, 2), SIGSTOP) == 0);
    board_require(board, kill(host_pid(&host, 2, 2), SIGKILL) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 2, 2));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void assert_works_behind_a_filter(struct scenario *run, int error) {
    filter_error = error;

    scenario_start_host(run, host_behind_a_filter);

    assert_exits(run, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 0)->exit_code, 9);
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 1)->exit_code, 10);
    }
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 2, 2)->signal, SIGKILL);
    assert_int_equal(board_count(run->board, PF_EVENT_KILLED, 1), 1);
    assert_int_equal(board_count(run->board, PF_EVENT_DONE, ANY_TASK), 1);
}

static void a_profile_that_forbids_pidfds_is_got_along_with(void **state) {
    assert_works_behind_a_filter(*state, EPERM);
}

static void a_kernel_without_pidfds_is_got_along_with(void **state) {
    assert_works_behind_a_filter(*state, ENOSYS);
}

static void forbid_pidfds(struct board *board) {
    board_require(board, filter_forbid(SYS_pidfd_open, EPERM));
}

static int crashes_once(struct board *board, int task_id, int run) {
    (void)board;
    return run == 0 ? 20 + task_id : 0;
}

static void the_one_call_gets_along_with_it_too(void **state) {
    static const struct plan plan = {
        .workers = 3, .max_restarts = 3, .prepare = forbid_pidfds, .work = crashes_once};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 0)->exit_code, 20 + i);
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 1)->exit_code, 0);
    }
}

static void the_one_call_is_stopped_behind_it_as_ever(void **state) {
    static const struct plan plan = {.workers = 3, .prepare = forbid_pidfds, .work = ends_on_term};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, NOTE_READY, ANY_TASK, 3));

    scenario_signal(run, SIGTERM);

    assert_dies_of(run, SIGTERM);
    assert_int_equal(board_count(run->board, PF_EVENT_DONE, ANY_TASK), 1);
}

/* Behind the filter the kernel alone tells them, by the death signal. */
static void workers_behind_it_end_with_a_supervisor_that_is_killed(void **state) {
    static const struct plan plan = {.workers = 3, .prepare = forbid_pidfds};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 3));

    scenario_signal(run, SIGKILL);

    assert_dies_of(run, SIGKILL);
    assert_int_equal(reap_all(), 3);
}

/* ---- A handler that is replaced -------------------------------------------------------- */

static int host_that_takes_the_handler(struct board *board) {
    struct host host;

    handler_board = board;
    (void)backend_use(PF_BACKEND_SIGCHLD);
    host_open(&host, board);
    board_require(board, pf_pool_set_max_restarts(host.pool, PF_UNLIMITED) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, ANY_TASK, 2));
    board_require(board, signal(SIGCHLD, note_child) != SIG_ERR);
    /* The first end after it finds only the host's handler. */
    uint64_t killed_ms = now_ms();
    board_require(board, kill(host_pid(&host, 0, 0), SIGKILL) == 0);
    while (board_count(board, PF_EVENT_EXITED, 0) == 0 && now_ms() < killed_ms + PATIENCE_MS) {
        struct pollfd one = {.fd = pf_pool_fd(host.pool), .events = POLLIN};
        (void)poll(&one, 1, (int)PATIENCE_MS); /* a signal may cut it short */
        (void)host_turn(&host, 0);
    }
    board_note(board, NOTE_RESULT, (int64_t)(now_ms() - killed_ms));
    board_require(board, host_reaches(&host, KIND_WORKER, 0, 2));
    /* By now both are called. */
    board_require(board, board_count(board, NOTE_SIGCHLD, ANY_TASK) == 1);
    board_require(board, kill(host_pid(&host, 1, 0), SIGKILL) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, 1, 2));
    board_require(board, board_count(board, NOTE_SIGCHLD, ANY_TASK) == 2);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    struct sigaction action;
    board_require(board, sigaction(SIGCHLD, NULL, &action) == 0);
    board_require(board, action.sa_handler == note_child);
    return 0;
}

static void a_replaced_handler_is_noticed_within_a_second(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_takes_the_handler);

    assert_exits(run, 0);
    int64_t took_ms = board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value;
    assert_in_range(took_ms, 0, time_scale() * (SANITIZED ? 5000U : 1600U));
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 0, 0)->signal, SIGKILL);
}

/* ---- A child that the host forks ------------------------------------------------------- */

enum { FIRST_NUMBER = 3, LAST_NUMBER = 40 };

/* It inherits the handler, and has other things where the library had its descriptors. */
static int reuse_numbers_and_fork(struct board *board) {
    int ends[2];

    for (int fd = FIRST_NUMBER; fd <= LAST_NUMBER; fd++) {
        (void)close(fd); /* most are not open */
    }
    board_require(board, pipe2(ends, O_CLOEXEC) == 0);
    for (int fd = FIRST_NUMBER; fd <= LAST_NUMBER; fd++) {
        if (fd != ends[0] && fd != ends[1]) {
            board_require(board, dup2(ends[1], fd) == fd);
        }
    }
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    board_require(board, process_reaches_state(child, 'Z'));
    board_require(board, waitpid(child, NULL, 0) == child);
    struct pollfd one = {.fd = ends[0], .events = POLLIN};
    board_require(board, poll(&one, 1, 0) == 0);
    return 0;
}

static int host_whose_child_forks(struct board *board) {
    struct host host;
    int status = 0;

    (void)backend_use(PF_BACKEND_SIGCHLD);
    host_open(&host, board);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, 0, 1));
    pid_t child = fork();
    if (child == 0) {
        _exit(reuse_numbers_and_fork(board));
    }
    while (waitpid(child, &status, WNOHANG) == 0) {
        (void)host_turn(&host, 5);
    }
    board_require(board, status == 0);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void the_inherited_handler_writes_to_nothing_of_a_child(void **state) {
    scenario_start_host(*state, host_whose_child_forks);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(by_itself_the_library_takes_pidfds_and_no_handler),
        scenario_test(the_handler_is_there_while_it_is_needed),
        scenario_test(a_profile_that_forbids_pidfds_is_got_along_with),
        scenario_test(a_kernel_without_pidfds_is_got_along_with),
        scenario_test(the_one_call_gets_along_with_it_too),
        scenario_test(the_one_call_is_stopped_behind_it_as_ever),
        scenario_test(workers_behind_it_end_with_a_supervisor_that_is_killed),
        scenario_test(a_replaced_handler_is_noticed_within_a_second),
        scenario_test(the_inherited_handler_writes_to_nothing_of_a_child),
    };

    return cmocka_run_group_tests_name("pool backends", tests, NULL, NULL);
}
