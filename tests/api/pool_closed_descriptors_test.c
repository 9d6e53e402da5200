/*
 * pool_closed_descriptors_test.c - hosts that close descriptors of the library, and open files of
 * their own under the same numbers
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { FIRST = STDERR_FILENO + 1, FILES = 60 };

static int files[FILES];

/* As old daemons do: all that the host does not know of. */
static void close_all(void) {
    for (int descriptor = FIRST; descriptor < 1024; descriptor++) {
        (void)close(descriptor);
    }
}

/* The host's own, to which nobody else has anything to write. */
static void open_files(struct board *board) {
    for (int i = 0; i < FILES; i++) {
        files[i] = memfd_create("host", MFD_CLOEXEC);
        board_require(board, files[i] >= 0);
    }
}

static void require_files(struct board *board) {
    struct stat status;

    for (int i = 0; i < FILES; i++) {
        board_require(board, fstat(files[i], &status) == 0);
        board_require(board, S_ISREG(status.st_mode) && status.st_size == 0);
        board_require(board, lseek(files[i], 0, SEEK_CUR) == 0);
    }
}

static void require_no_children(struct board *board) {
    board_require(board, waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void begin(struct host *host, struct board *board) {
    host_open(host, board);
    host->work = ignores_term;
    board_require(board, host_begin(host, 3) == 0);
    board_require(board, host_reaches(host, NOTE_READY, ANY_TASK, 3));
}

/* ---- All of them ----------------------------------------------------------------------- */

static int host_that_frees(struct board *board) {
    struct host host;

    begin(&host, board);
    close_all();
    open_files(board);
    host_close(&host);
    require_no_children(board);
    require_files(board);
    return 0;
}

static void a_free_ends_the_workers(void **state) {
    scenario_start_host(*state, host_that_frees);

    assert_exits((struct scenario *)*state, 0);
}

/* Of the kinds that the library has itself; all of them may have one inode. */
static int open_file_of_kind(int kind) {
    int pidfd = -1;

    switch (kind) {
    case 0:
        return epoll_create1(EPOLL_CLOEXEC);
    case 1:
        return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    case 2:
        return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    default:
        pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        return pidfd >= 0 ? pidfd : eventfd(0, EFD_CLOEXEC); /* an old kernel has none */
    }
}

static int host_with_files_of_the_same_kinds(struct board *board) {
    for (int kind = 0; kind < 4; kind++) {
        struct host host;

        begin(&host, board);
        close_all();
        for (int i = 0; i < FILES; i++) {
            files[i] = open_file_of_kind(kind);
            board_require(board, files[i] >= 0);
        }
        host_close(&host);
        require_no_children(board);
        for (int i = 0; i < FILES; i++) {
            board_require(board, close(files[i]) == 0);
        }
    }
    return 0;
}

static void files_of_the_same_kinds_are_left_open(void **state) {
    scenario_start_host(*state, host_with_files_of_the_same_kinds);

    assert_exits((struct scenario *)*state, 0);
}

static int host_that_dispatches(struct board *board) {
    struct host host;

    begin(&host, board);
    close_all();
    open_files(board);
    board_require(board, pf_pool_dispatch(host.pool, -1) == -EBADF);
    require_no_children(board);
    board_require(board, pf_pool_dispatch(host.pool, -1) == -EBADF);
    board_require(board, pf_pool_fd(host.pool) == -EBADF);
    board_require(board, pf_pool_resize(host.pool, 4) == -ECANCELED);
    host_close(&host);
    require_files(board);
    return 0;
}

static void a_dispatch_ends_the_workers_and_says_why(void **state) {
    scenario_start_host(*state, host_that_dispatches);

    assert_exits((struct scenario *)*state, 0);
}

/* A loop of the host's own that is made anew has the numbers that the library's had. */
static int host_with_a_new_loop(struct board *board) {
    struct itimerspec time = {.it_value.tv_sec = 1000}, left;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
    struct host host;
    uint64_t count = 0;

    begin(&host, board);
    close_all();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    board_require(board, timerfd_settime(timer, 0, &time, NULL) == 0);
    board_require(board, epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) == 0);
    board_require(board, epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) == 0);
    open_files(board);
    board_require(board, pf_pool_stop(host.pool) == 0);
    board_require(board, pf_pool_resize(host.pool, 4) == -EBADF);
    board_require(board, pf_pool_replace_worker(host.pool, 0) == -EBADF);
    board_require(board, pf_pool_dispatch(host.pool, -1) == -EBADF);
    host_close(&host);
    require_no_children(board);
    board_require(board, timerfd_gettime(timer, &left) == 0 && left.it_value.tv_sec > 900);
    board_require(board, read(wake, &count, sizeof(count)) < 0 && errno == EAGAIN);
    count = 1;
    board_require(board, write(wake, &count, sizeof(count)) == sizeof(count));
    board_require(board, epoll_wait(epoll, &event, 1, 0) == 1 && event.data.u32 == 7);
    require_files(board);
    return 0;
}

static void a_new_loop_of_the_host_is_left_alone(void **state) {
    scenario_start_host(*state, host_with_a_new_loop);

    assert_exits((struct scenario *)*state, 0);
}

static int host_that_asks_and_signals(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    close_all();
    open_files(board);
    board_require(board, pf_pool_send_signal(host.pool, 0, 0) == 0);
    board_require(board, pf_pool_send_signal(host.pool, -1, 0) == 0);
    board_require(board, pf_pool_stop(host.pool) == 0);
    board_require(board, pf_pool_reload(host.pool) == 0);
    board_require(board, raise(SIGTERM) == 0);
    board_require(board, raise(SIGHUP) == 0);
    require_files(board);
    host_close(&host);
    require_no_children(board);
    require_files(board);
    return 0;
}

static void requests_write_to_no_file_of_the_host(void **state) {
    scenario_start_host(*state, host_that_asks_and_signals);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- While a call runs ----------------------------------------------------------------- */

static struct board *callback_board;

static void close_all_at_the_first_start(const pf_event *event, void *user) {
    int *closed = user;

    if (pf_event_type(event) == PF_EVENT_STARTED && !*closed) {
        *closed = 1;
        close_all();
        open_files(callback_board);
    }
}

/* One of them has the number of the library's. */
static void open_loops_before_the_first_start(const pf_event *event, void *user) {
    int *closed = user;

    if (pf_event_type(event) == PF_EVENT_STARTING && !*closed) {
        *closed = 1;
        close_all();
        for (int i = 0; i < FILES; i++) {
            files[i] = epoll_create1(EPOLL_CLOEXEC);
            board_require(callback_board, files[i] >= 0);
        }
    }
}

static int sleep_for_ever(int task_id, void *user) {
    (void)task_id;
    (void)user;
    wait_for_ever();
    return 0;
}

static void require_run_to_fail(struct board *board, pf_event_fn callback) {
    pf_pool *pool = NULL;
    int closed = 0, task_id = 0;

    callback_board = board;
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_backend(pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_workers(pool, 2) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, sleep_for_ever, NULL, NULL) == 0);
    board_require(board, pf_pool_set_event_callback(pool, callback, &closed, NULL) == 0);
    board_require(board, pf_pool_run(pool, &task_id) == -EBADF);
    require_no_children(board);
    (void)pf_pool_free(pool);
}

static int host_that_closes_in_a_callback(struct board *board) {
    require_run_to_fail(board, close_all_at_the_first_start);
    require_files(board);
    return 0;
}

static int host_with_new_loops(struct board *board) {
    struct epoll_event event;

    require_run_to_fail(board, open_loops_before_the_first_start);
    for (int i = 0; i < FILES; i++) {
        board_require(board, epoll_wait(files[i], &event, 1, 0) == 0);
    }
    return 0;
}

static void no_worker_is_watched_by_a_new_loop_of_the_host(void **state) {
    scenario_start_host(*state, host_with_new_loops);

    assert_exits((struct scenario *)*state, 0);
}

static void a_run_ends_with_an_error(void **state) {
    scenario_start_host(*state, host_that_closes_in_a_callback);

    assert_exits((struct scenario *)*state, 0);
}

static int host_of_the_one_call(struct board *board) {
    int closed = 0;

    callback_board = board;
    pf_set_event_callback(close_all_at_the_first_start, &closed);
    int result = pf_fork_processes(2, 0);
    if (result >= 0) {
        wait_for_ever();
    }
    board_require(board, result == -EBADF);
    require_no_children(board);
    require_files(board);
    return 0;
}

static void the_one_call_ends_with_an_error(void **state) {
    scenario_start_host(*state, host_of_the_one_call);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- Afterwards ------------------------------------------------------------------------ */

static int has_the_hosts_files(int task_id, void *user) {
    (void)task_id;
    require_files(user);
    return 0;
}

static int host_with_a_second_pool(struct board *board) {
    struct host host;
    pf_pool *second = NULL;
    int task_id = 0, result = 0;

    begin(&host, board);
    close_all();
    open_files(board);
    host_close(&host);
    board_require(board, pf_pool_new(&second) == 0);
    board_require(board, pf_pool_set_backend(second, backend_under_test) == 0);
    board_require(board, pf_pool_set_workers(second, 2) == 0);
    board_require(board, pf_pool_set_worker_fn(second, has_the_hosts_files, board, NULL) == 0);
    result = pf_pool_run(second, &task_id);
    board_require(board, result == 0);
    (void)pf_pool_free(second);
    require_files(board);
    return 0;
}

static void workers_of_the_next_pool_have_the_hosts_files(void **state) {
    scenario_start_host(*state, host_with_a_second_pool);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_free_ends_the_workers),
        scenario_test(files_of_the_same_kinds_are_left_open),
        scenario_test(a_dispatch_ends_the_workers_and_says_why),
        scenario_test(a_new_loop_of_the_host_is_left_alone),
        scenario_test(requests_write_to_no_file_of_the_host),
        scenario_test(a_run_ends_with_an_error),
        scenario_test(no_worker_is_watched_by_a_new_loop_of_the_host),
        scenario_test(the_one_call_ends_with_an_error),
        scenario_test(workers_of_the_next_pool_have_the_hosts_files),
    };

    return run_group_with_each_backend("pool closed descriptors", tests);
}
