/*
 * refused_descriptors_test.c - what stands in for a timer, an eventfd and pipe2 where the system
 * refuses them
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "host.h"

enum { NOTE_RESULT = KIND_NOTE, NOTE_WOKEN };
enum { FIRST = STDERR_FILENO + 1, LAST = 64 };

static long refused_call;
static int filter_error;

/* ---- The timer ------------------------------------------------------------------------- */

/* No wait has a time-out of its own. */
static int dispatch_to_the_end(struct host *host) {
    const pf_event *event = NULL;
    int result = 1;

    while (result == 1) {
        result = pf_pool_dispatch(host->pool, -1);
        while (pf_pool_next_event(host->pool, &event) == 1) {
            host_note_event(event, host->board);
        }
    }
    return result;
}

static int host_with_a_stop_timeout(struct board *board) {
    struct host host;

    board_require(board, filter_forbid(refused_call, filter_error));
    host_open(&host, board);
    host.work = ignores_term;
    board_require(board, pf_pool_set_stop(host.pool, SIGTERM, 50) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    uint64_t start = now_ms();
    board_require(board, pf_pool_stop(host.pool) == 0);
    board_require(board, dispatch_to_the_end(&host) == 0);
    board_require(board, now_ms() - start >= 50);
    host_close(&host);
    return 0;
}

static void assert_time_outs_come(struct scenario *run, long call, int error) {
    refused_call = call;
    filter_error = error;
    scenario_start_host(run, host_with_a_stop_timeout);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 0, 0)->signal, SIGKILL);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 1, 0)->signal, SIGKILL);
}

static void without_timerfd_create_time_outs_come(void **state) {
    assert_time_outs_come(*state, SYS_timerfd_create, ENOSYS);
}

static void without_timerfd_settime_time_outs_come(void **state) {
    assert_time_outs_come(*state, SYS_timerfd_settime, EPERM);
}

static int host_that_asks_for_the_descriptor(struct board *board) {
    struct host host;

    board_require(board, filter_forbid(refused_call, filter_error));
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, host_begin(&host, 1) == 0);
    board_note(board, NOTE_RESULT, pf_pool_fd(host.pool));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

/* A loop that waits for it would miss what is due. */
static void without_a_timer_there_is_no_descriptor_for_loops(void **state) {
    struct scenario *run = *state;
    refused_call = SYS_timerfd_create;
    filter_error = EPERM;

    scenario_start_host(run, host_that_asks_for_the_descriptor);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, -EPERM);
}

/* ---- The wake-up ----------------------------------------------------------------------- */

static bool is_readable(const pf_pool *pool) {
    struct pollfd descriptor = {.fd = pf_pool_fd(pool), .events = POLLIN};

    return poll(&descriptor, 1, 0) == 1;
}

static void begin_without_eventfd(struct host *host, struct board *board) {
    board_require(board, filter_forbid(SYS_eventfd2, filter_error));
    host_open(host, board);
    host->work = ends_on_term;
    board_require(board, pf_pool_set_signals(host->pool, PF_SIGNALS_STOP_ONLY) == 0);
    board_require(board, host_begin(host, 1) == 0);
    board_require(board, host_reaches(host, NOTE_READY, 0, 1));
    uint64_t deadline = now_ms() + PATIENCE_MS;
    while (is_readable(host->pool) && now_ms() < deadline) {
        board_require(board, host_turn(host, 0));
    }
}

static int host_that_is_woken_often(struct board *board) {
    struct host host;

    begin_without_eventfd(&host, board);
    for (int i = 0; i < 20000; i++) { /* more than a pipe has room for */
        board_require(board, pf_pool_wake(host.pool) == 0);
    }
    board_require(board, pf_pool_dispatch(host.pool, -1) == 1);
    board_require(board, !is_readable(host.pool));
    board_require(board, pf_pool_wake(host.pool) == 0);
    board_require(board, pf_pool_dispatch(host.pool, -1) == 1);
    board_require(board, !is_readable(host.pool));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void without_eventfd_any_number_of_wake_ups_ends_one_wait(void **state) {
    filter_error = ENOSYS;
    scenario_start_host(*state, host_that_is_woken_often);

    assert_exits((struct scenario *)*state, 0);
}

static struct board *wake_board;

static void *wake_when_it_waits(void *pool) {
    bool waits = process_reaches_state(getpid(), 'S'); /* the main thread */

    board_note(wake_board, NOTE_WOKEN, waits ? pf_pool_wake(pool) : -ETIMEDOUT);
    return NULL;
}

static int host_that_is_woken_by_a_thread(struct board *board) {
    struct host host;
    pthread_t thread;

    begin_without_eventfd(&host, board);
    wake_board = board;
    board_require(board, pthread_create(&thread, NULL, wake_when_it_waits, host.pool) == 0);
    board_require(board, pf_pool_dispatch(host.pool, -1) == 1);
    board_require(board, pthread_join(thread, NULL) == 0);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void without_eventfd_a_thread_ends_a_wait(void **state) {
    struct scenario *run = *state;
    filter_error = EPERM;
    scenario_start_host(run, host_that_is_woken_by_a_thread);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_WOKEN, ANY_TASK, 0)->value, 0);
}

/* A signal handler writes to it. */
static int host_that_closes_all(struct board *board) {
    struct host host;
    struct stat status;
    int other[2];

    begin_without_eventfd(&host, board);
    (void)signal(SIGPIPE, SIG_DFL);
    for (int descriptor = FIRST; descriptor < LAST; descriptor++) {
        (void)close(descriptor);
    }
    while (pipe2(other, O_CLOEXEC | O_NONBLOCK) == 0 && other[1] < LAST) {
    }
    board_require(board, pf_pool_wake(host.pool) == 0);
    board_require(board, raise(SIGTERM) == 0);
    for (int descriptor = FIRST; descriptor < LAST; descriptor++) {
        char byte = 0;
        board_require(board, fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode));
        board_require(board, read(descriptor, &byte, 1) <= 0); /* EBADF: a write end */
    }
    board_require(board, pf_pool_dispatch(host.pool, 0) == -EBADF);
    host_close(&host);
    board_require(board, fstat(LAST - 1, &status) == 0);
    return 0;
}

static void a_wake_up_writes_to_no_pipe_of_the_host(void **state) {
    filter_error = EPERM;
    scenario_start_host(*state, host_that_closes_all);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- Pipes ----------------------------------------------------------------------------- */

static int host_without_pipe2(struct board *board) {
    struct host host;
    int before[LAST];
    int pipes = 0;

    for (int descriptor = FIRST; descriptor < LAST; descriptor++) {
        before[descriptor] = fcntl(descriptor, F_GETFD);
    }
    board_require(board, filter_forbid(SYS_pipe2, filter_error));
    board_require(board, filter_forbid(SYS_eventfd2, filter_error));
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_stop_fd(host.pool, 1) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    for (int descriptor = FIRST; descriptor < LAST; descriptor++) {
        struct stat status;
        if (before[descriptor] >= 0 || fstat(descriptor, &status) != 0) {
            continue;
        }
        board_require(board, fcntl(descriptor, F_GETFD) == FD_CLOEXEC);
        if (S_ISFIFO(status.st_mode)) {
            pipes++;
            /* That by which workers see the supervisor's end is never read by it. */
            board_require(board, backend_under_test == PF_BACKEND_SIGCHLD ||
                                     (fcntl(descriptor, F_GETFL) & O_NONBLOCK) != 0);
        }
    }
    board_note(board, NOTE_RESULT, pipes);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void without_pipe2_pipes_have_the_same_flags(void **state) {
#if !defined(__x86_64__) && !defined(__i386__)
    print_message("skipped: this machine may have no other call\n");
    skip();
#endif
    struct scenario *run = *state;
    filter_error = ENOSYS;
    scenario_start_host(run, host_without_pipe2);

    assert_exits(run, 0);
    assert_true(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value >= 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(without_timerfd_create_time_outs_come),
        scenario_test(without_timerfd_settime_time_outs_come),
        scenario_test(without_a_timer_there_is_no_descriptor_for_loops),
        scenario_test(without_eventfd_any_number_of_wake_ups_ends_one_wait),
        scenario_test(without_eventfd_a_thread_ends_a_wait),
        scenario_test(a_wake_up_writes_to_no_pipe_of_the_host),
        scenario_test(without_pipe2_pipes_have_the_same_flags),
    };

    return run_group_with_each_backend("refused descriptors", tests);
}
