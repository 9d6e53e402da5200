/*
 * pool_loop_test.c - one descriptor for the host's event loop
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

/* ---- Loops that know nothing but the descriptor ---------------------------------------- */

/* Waits until the descriptor is readable. Returns whether it came to that. */
typedef bool (*wait_fn)(int loop, int fd);

static bool wait_by_poll(int loop, int fd) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int count = 0;

    (void)loop;
    do {
        count = poll(&one, 1, (int)PATIENCE_MS);
    } while (count < 0 && errno == EINTR);
    return count == 1 && one.revents == POLLIN;
}

static bool wait_by_epoll(int loop, int fd) {
    struct epoll_event event = {.events = 0};
    int count = 0;

    do {
        count = epoll_wait(loop, &event, 1, (int)PATIENCE_MS);
    } while (count < 0 && errno == EINTR);
    return count == 1 && event.data.fd == fd && event.events == EPOLLIN;
}

/* Crashes twice, each time to be restarted after a delay, and then refuses to end. */
static int needs_every_timer(struct board *board, int task_id, int run) {
    return run < 2 ? 1 : ignores_term(board, task_id, run);
}

/* Never dispatches but when the descriptor says so, and never waits in the library. */
static void assert_needs_no_timer(struct host *host, wait_fn wait, int loop) {
    int fd = pf_pool_fd(host->pool);
    bool stopped = false;
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};

    assert_true(fd >= 0);
    assert_true(loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) == 0);
    while (host->result == 1) {
        assert_true(wait(loop, fd));
        (void)host_turn(host, 0);
        assert_int_equal(pf_pool_fd(host->pool), fd);
        if (!stopped && board_count(host->board, PF_EVENT_STARTED, ANY_TASK) == 6) {
            assert_true(board_reaches(host->board, NOTE_READY, ANY_TASK, 2));
            assert_int_equal(pf_pool_stop(host->pool), 0);
            stopped = true;
        }
    }
    assert_int_equal(host->result, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 6);
    assert_int_equal(board_count(host->board, PF_EVENT_DONE, ANY_TASK), 1);
}

static void begin_with_timers(struct host *host) {
    host->work = needs_every_timer;
    assert_int_equal(pf_pool_set_backoff(host->pool, 40, 80), 0);
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 100), 0);
    assert_int_equal(host_begin(host, 2), 0);
}

static void a_loop_of_poll_needs_no_timer_of_its_own(void **state) {
    begin_with_timers(*state);

    assert_needs_no_timer(*state, wait_by_poll, -1);
}

static void a_loop_of_epoll_needs_no_timer_of_its_own(void **state) {
    int loop = epoll_create1(EPOLL_CLOEXEC);
    begin_with_timers(*state);

    assert_needs_no_timer(*state, wait_by_epoll, loop);

    assert_int_equal(close(loop), 0);
}

/* ---- Readable or not ------------------------------------------------------------------- */

static bool is_readable(const struct host *host) {
    struct pollfd one = {.fd = pf_pool_fd(host->pool), .events = POLLIN};

    return poll(&one, 1, 0) == 1;
}

/* A timer that is due makes it readable, which takes an emulated processor a moment. */
static bool becomes_readable(const struct host *host) {
    return wait_by_poll(-1, pf_pool_fd(host->pool));
}

/* Dispatches until there is nothing left to do. */
static void come_to_rest(struct host *host) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    while (is_readable(host)) {
        (void)host_turn(host, 0);
        assert_true(now_ms() < deadline);
    }
}

static void the_start_only_makes_the_descriptor_readable(void **state) {
    struct host *host = *state;

    assert_int_equal(host_begin(host, 3), 0);

    assert_true(becomes_readable(host));
    assert_int_equal(pf_pool_alive_count(host->pool), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1);
    assert_int_equal(pf_pool_alive_count(host->pool), 3);
}

static void it_stays_readable_until_all_is_done_and_taken(void **state) {
    const pf_event *event = NULL;
    struct host *host = *state;
    assert_int_equal(host_begin(host, 1), 0);
    come_to_rest(host);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 1));

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);

    assert_true(becomes_readable(host));
    assert_true(is_readable(host));
    assert_true(is_readable(host));
    while (pf_pool_worker_restarts(host->pool, 0) == 0) {
        (void)pf_pool_dispatch(host->pool, -1);
    }
    assert_true(becomes_readable(host)); /* for the events of the end and of the new start */
    assert_int_equal(pf_pool_next_event(host->pool, &event), 1);
    board_note_event(host->board, event);
    assert_true(becomes_readable(host));
    come_to_rest(host);
    assert_int_equal(pf_pool_next_event(host->pool, &event), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 2);
}

/* Without pidfds the library looks once a second whether its handler is still there. */
static void nothing_wakes_the_loop_while_nothing_happens(void **state) {
    struct host *host = *state;
    unsigned allowed = backend_under_test == PF_BACKEND_SIGCHLD ? 2 : 0;
    unsigned woken = 0;
    assert_int_equal(pf_pool_set_backoff(host->pool, 100, 1000), 0);
    assert_int_equal(host_begin(host, 20), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 20));
    come_to_rest(host);

    uint64_t end = now_ms() + 1200;
    for (uint64_t now = now_ms(); now < end; now = now_ms()) {
        struct pollfd one = {.fd = pf_pool_fd(host->pool), .events = POLLIN};
        if (poll(&one, 1, (int)(end - now)) == 1) {
            woken++;
            (void)host_turn(host, 0);
        }
    }

    assert_in_range(woken, 0, allowed);
}

static unsigned voluntary_switches(pid_t pid) {
    char path[64];
    char line[256];
    unsigned count = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        (void)sscanf(line, "voluntary_ctxt_switches: %u", &count); /* on that line only */
    }
    if (status != NULL) {
        (void)fclose(status); /* nothing was written */
    }
    return count;
}

static int host_that_runs(struct board *board) {
    struct host host;
    int task_id = 0;

    host_open(&host, board);
    board_require(board, pf_pool_set_workers(host.pool, 20) == 0);
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    host.result = pf_pool_run(host.pool, &task_id);
    host_close(&host);
    return host.result == 0 && task_id == -1 ? 0 : STATUS_RETURNED;
}

static void nothing_wakes_a_run_while_nothing_happens(void **state) {
    struct scenario *run = *state;
    unsigned allowed = backend_under_test == PF_BACKEND_SIGCHLD ? 4 : 0;
    scenario_start_host(run, host_that_runs);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 20));
    assert_true(process_reaches_state(run->supervisor, 'S'));

    unsigned before = voluntary_switches(run->supervisor);
    uint64_t end = now_ms() + 1000;
    while (now_ms() < end) {
        pause_ms(100);
    }
    unsigned after = voluntary_switches(run->supervisor);

    scenario_signal(run, SIGTERM);
    assert_exits(run, 0);
    assert_true(before > 0);
    assert_in_range(after - before, 0, allowed);
}

static void the_descriptor_is_at_rest_after_the_end(void **state) {
    struct host *host = *state;
    host->work = ends_at_once;
    assert_int_equal(host_begin(host, 3), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_true(pf_pool_fd(host->pool) >= 0);
    assert_false(is_readable(host));
    assert_int_equal(pf_pool_dispatch(host->pool, -1), 0);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 0);
}

/* ---- Dispatch -------------------------------------------------------------------------- */

static void dispatch_waits_as_long_as_it_is_reported(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 1));
    come_to_rest(host);

    uint64_t took_ns = 0;
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1);
    /* The library may have to look whether its handler is there, but not each time. */
    for (int i = 0; i < 5 && took_ns < UINT64_C(120) * 1000000; i++) {
        uint64_t before = now_ns();
        assert_int_equal(pf_pool_dispatch(host->pool, 120), 1);
        took_ns = now_ns() - before;
    }
    assert_true(took_ns >= UINT64_C(120) * 1000000);
    assert_int_equal(pf_pool_dispatch(host->pool, -2), -EINVAL);
}

static int crashes_at_the_gate(struct board *board, int task_id, int run) {
    (void)task_id;
    gate_wait(board, run);
    return 3;
}

static void dispatch_without_end_returns_when_a_worker_ends(void **state) {
    struct host *host = *state;
    host->work = crashes_at_the_gate;
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 1));
    come_to_rest(host);

    gate_open(host->board, 0);
    while (board_count(host->board, PF_EVENT_EXITED, 0) == 0) {
        assert_true(host_turn(host, -1));
    }

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->exit_code, 3);
}

static void dispatch_does_not_wait_while_events_are_to_be_taken(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 2), 0);
    assert_int_equal(pf_pool_dispatch(host->pool, -1), 1);

    for (int i = 0; i < 10; i++) {
        assert_int_equal(pf_pool_dispatch(host->pool, -1), 1); /* or the alarm ends the test */
    }

    (void)host_turn(host, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 2);
}

static void the_fields_of_an_event_hold_until_the_next_call(void **state) {
    const pf_event *first = NULL;
    const pf_event *second = NULL;
    struct host *host = *state;
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1);

    assert_int_equal(pf_pool_next_event(host->pool, &first), 1);
    assert_int_equal(pf_event_type(first), PF_EVENT_STARTING);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1);
    assert_int_equal(pf_event_type(first), PF_EVENT_STARTING);
    assert_string_equal(pf_event_message(first), "Starting 1 processes");
    assert_int_equal(pf_pool_next_event(host->pool, &second), 1);
    assert_int_equal(pf_event_type(second), PF_EVENT_STARTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_loop_of_poll_needs_no_timer_of_its_own),
        host_test(a_loop_of_epoll_needs_no_timer_of_its_own),
        host_test(the_start_only_makes_the_descriptor_readable),
        host_test(it_stays_readable_until_all_is_done_and_taken),
        host_test(nothing_wakes_the_loop_while_nothing_happens),
        scenario_test(nothing_wakes_a_run_while_nothing_happens),
        host_test(the_descriptor_is_at_rest_after_the_end),
        host_test(dispatch_waits_as_long_as_it_is_reported),
        host_test(dispatch_without_end_returns_when_a_worker_ends),
        host_test(dispatch_does_not_wait_while_events_are_to_be_taken),
        host_test(the_fields_of_an_event_hold_until_the_next_call),
    };

    return run_group_with_each_backend("pool in a loop", tests);
}
