/*
 * callback_effects_test.c - callbacks of a running pool that change what the library relies on
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { FIRST = STDERR_FILENO + 1, FILES = 40 };

static struct board *host_board;
static pf_pool *host_pool;
static int files[FILES];
static int loop = -1;
static int effects; /* how often a callback had its effect */
static pid_t bystander;

static void require_no_children(struct board *board) {
    board_require(board, waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static int exits_with_3(int task_id, void *user) {
    (void)task_id;
    (void)user;
    return 3;
}

static int sleeps(int task_id, void *user) {
    (void)task_id;
    (void)user;
    wait_for_ever();
    return 0;
}

static int run_pool(struct board *board, int (*work)(int, void *), pf_event_fn callback) {
    int task_id = 0;

    host_board = board;
    board_require(board, pf_pool_new(&host_pool) == 0);
    board_require(board, pf_pool_set_backend(host_pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_workers(host_pool, 2) == 0);
    board_require(board, pf_pool_set_max_restarts(host_pool, 20) == 0);
    board_require(board, pf_pool_set_worker_fn(host_pool, work, NULL, NULL) == 0);
    board_require(board, pf_pool_set_event_callback(host_pool, callback, NULL, NULL) == 0);
    int result = pf_pool_run(host_pool, &task_id);
    require_no_children(board);
    (void)pf_pool_free(host_pool);
    return result;
}

/* ---- Descriptors --------------------------------------------------------------------------- */

static void close_all(void) {
    for (int descriptor = FIRST; descriptor < 1024; descriptor++) {
        (void)close(descriptor);
    }
}

static void open_files(void) {
    for (int i = 0; i < FILES; i++) {
        files[i] = memfd_create("host", MFD_CLOEXEC);
        board_require(host_board, files[i] >= 0);
    }
}

static void require_files(void) {
    struct stat status;

    for (int i = 0; i < FILES; i++) {
        board_require(host_board, fstat(files[i], &status) == 0);
        board_require(host_board, S_ISREG(status.st_mode) && status.st_size == 0);
        board_require(host_board, lseek(files[i], 0, SEEK_CUR) == 0);
    }
}

static void close_all_at_an_exit(const pf_event *event, void *user) {
    (void)user;
    if (pf_event_type(event) == PF_EVENT_EXITED && effects++ == 0) {
        close_all();
        open_files();
    }
}

static int host_that_closes_at_an_exit(struct board *board) {
    board_require(board, run_pool(board, exits_with_3, close_all_at_an_exit) == -EBADF);
    require_files();
    return 0;
}

static void a_run_ends_after_a_close_at_an_exit(void **state) {
    scenario_start_host(*state, host_that_closes_at_an_exit);

    assert_exits((struct scenario *)*state, 0);
}

/* As many of its own files in a loop as the library may have had descriptors. */
static void open_a_loop(void) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 0};
    int wakes[2] = {-1, -1};

    wakes[0] = eventfd(0, EFD_CLOEXEC);
    wakes[1] = eventfd(0, EFD_CLOEXEC);
    loop = epoll_create1(EPOLL_CLOEXEC);
    board_require(host_board, epoll_ctl(loop, EPOLL_CTL_ADD, wakes[0], &event) == 0);
    board_require(host_board, epoll_ctl(loop, EPOLL_CTL_ADD, wakes[1], &event) == 0);
}

static void make_a_loop_at_a_start(const pf_event *event, void *user) {
    (void)user;
    if (pf_event_type(event) == PF_EVENT_STARTED && effects++ == 1) {
        close_all();
        open_a_loop();
    }
}

static int host_with_a_new_loop(struct board *board) {
    struct epoll_event event;

    board_require(board, run_pool(board, sleeps, make_a_loop_at_a_start) == -EBADF);
    board_require(board, epoll_wait(loop, &event, 1, 0) == 0); /* it is open, and empty */
    return 0;
}

static void a_run_ends_after_a_new_loop_of_the_host(void **state) {
    scenario_start_host(*state, host_with_a_new_loop);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- Children ------------------------------------------------------------------------------ */

static void ignore_children_at_the_first_exit(const pf_event *event, void *user) {
    (void)user;
    if (pf_event_type(event) == PF_EVENT_EXITED) {
        if (effects++ == 0) {
            board_require(host_board, signal(SIGCHLD, SIG_IGN) != SIG_ERR);
        }
        /* One may be stopped before it ends when the pool gives up. */
        board_require(host_board,
                      pf_event_exit_code(event) == 3 || pf_event_signal(event) == SIGTERM);
    }
}

static int host_that_ignores_children_later(struct board *board) {
    board_require(board,
                  run_pool(board, exits_with_3, ignore_children_at_the_first_exit) == PF_EGAVEUP);
    board_require(board, effects >= 21);
    return 0;
}

static void each_status_is_known_though_a_callback_ignores_children(void **state) {
    scenario_start_host(*state, host_that_ignores_children_later);

    assert_exits((struct scenario *)*state, 0);
}

static void stop_the_pool(int signal_number) {
    (void)signal_number; /* the alarm */
    (void)pf_pool_stop(host_pool);
}

/* The child has copies of the pidfds of both workers. */
static void fork_beside_workers(const pf_event *event, void *user) {
    (void)user;
    if (pf_event_type(event) == PF_EVENT_STARTED && ++effects == 2) {
        bystander = fork();
        if (bystander == 0) {
            wait_for_ever();
        }
        board_require(host_board, bystander > 0);
        board_require(host_board, kill(pf_event_pid(event), SIGKILL) == 0);
    }
    if (pf_event_type(event) == PF_EVENT_STARTED && effects == 3) {
        board_require(host_board, alarm(1) == 0);
    }
    if (pf_event_type(event) == PF_EVENT_DONE) {
        board_require(host_board, kill(bystander, SIGKILL) == 0);
        board_require(host_board, waitpid(bystander, NULL, 0) == bystander);
    }
}

static int host_with_a_bystander(struct board *board) {
    struct rusage usage;

    board_require(board, signal(SIGALRM, stop_the_pool) != SIG_ERR);
    board_require(board, run_pool(board, sleeps, fork_beside_workers) == 0);
    board_require(board, getrusage(RUSAGE_SELF, &usage) == 0);
    board_require(board, usage.ru_utime.tv_sec == 0 && usage.ru_stime.tv_sec == 0);
    board_require(board, usage.ru_utime.tv_usec + usage.ru_stime.tv_usec < 300000);
    return 0;
}

static void copies_of_pidfds_in_a_child_cost_no_cpu(void **state) {
    scenario_start_host(*state, host_with_a_bystander);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_run_ends_after_a_close_at_an_exit),
        scenario_test(a_run_ends_after_a_new_loop_of_the_host),
        scenario_test(each_status_is_known_though_a_callback_ignores_children),
        scenario_test(copies_of_pidfds_in_a_child_cost_no_cpu),
    };

    return run_group_with_each_backend("callback effects", tests);
}
