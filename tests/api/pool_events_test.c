/*
 * pool_events_test.c - events are told in order, once each, whatever the host does meanwhile
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

/* ---- In order, once each --------------------------------------------------------------- */

enum { RUNS = 30 };

static int exits_with_its_number(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    return run < RUNS ? run + 1 : 0;
}

/* The workers of each slot are told of one after the other, each with its own status. */
static void assert_in_order(const struct board *board, int slots) {
    for (int task_id = 0; task_id < slots; task_id++) {
        assert_int_equal(board_count(board, PF_EVENT_STARTED, task_id), RUNS + 1);
        assert_int_equal(board_count(board, PF_EVENT_EXITED, task_id), RUNS + 1);
        for (unsigned i = 0; i <= RUNS; i++) {
            const struct record *started = board_find(board, PF_EVENT_STARTED, task_id, i);
            const struct record *end = board_find(board, PF_EVENT_EXITED, task_id, i);
            assert_true(started < end);
            assert_int_equal(started->pid, end->pid);
            assert_int_equal(end->exit_code, i < RUNS ? i + 1 : 0);
            assert_int_equal(end->signal, 0);
        }
    }
    assert_int_equal(board_count(board, PF_EVENT_STARTING, ANY_TASK), 1);
    assert_int_equal(board_count(board, PF_EVENT_DONE, ANY_TASK), 1);
}

static void events_that_are_taken_come_in_order(void **state) {
    struct host *host = *state;
    host->work = exits_with_its_number;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(host_begin(host, 4), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_in_order(host->board, 4);
}

static void events_of_a_callback_come_in_order(void **state) {
    const pf_event *event = NULL;
    struct host *host = *state;
    host->work = exits_with_its_number;
    assert_int_equal(pf_pool_set_event_callback(host->pool, host_note_event, host->board, NULL), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(host_begin(host, 4), 0);
    assert_int_equal(pf_pool_next_event(host->pool, &event), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_in_order(host->board, 4);
    assert_int_equal(pf_pool_next_event(host->pool, &event), 0);
    assert_null(event);
}

/* ---- A slow host ----------------------------------------------------------------------- */

enum { CRASHING = SANITIZED ? 30 : 60, MANY = 3 * CRASHING };

/* Dispatches and leaves the events where they are, until nothing more can be started. */
static void go_on_without_taking(struct host *host) {
    uint64_t deadline = now_ms() + PATIENCE_MS;
    unsigned at_rest = 0;

    while (at_rest < 50 && now_ms() < deadline) {
        host->result = pf_pool_dispatch(host->pool, 0);
        assert_int_equal(host->result, 1);
        at_rest = pf_pool_alive_count(host->pool) == 0 ? at_rest + 1 : 0;
        if (at_rest > 0) {
            pause_ms(1);
        }
    }
    assert_int_equal(at_rest, 50);
    host->result = 1;
}

static void a_host_that_is_slow_misses_nothing(void **state) {
    struct host *host = *state;
    host->work = exits_with_its_number;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(host_begin(host, CRASHING), 0);

    go_on_without_taking(host);
    unsigned unreported = board_count(host->board, KIND_WORKER, ANY_TASK);
    assert_in_range(unreported, MANY, CRASHING * RUNS - 1); /* but not without bound */
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 0);

    assert_int_equal(host_finishes(host), 0);
    assert_in_order(host->board, CRASHING);
}

static void a_host_that_takes_no_events_can_stop_the_pool(void **state) {
    struct host *host = *state;
    host->work = exits_with_its_number;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(host_begin(host, CRASHING), 0);
    go_on_without_taking(host);

    assert_int_equal(pf_pool_stop(host->pool), 0);

    uint64_t deadline = now_ms() + PATIENCE_MS;
    while (host->result != 0 && now_ms() < deadline) {
        host->result = pf_pool_dispatch(host->pool, 100);
    }
    assert_int_equal(host->result, 0);
    (void)host_turn(host, 0); /* and all is told afterwards */
    assert_int_equal(board_count(host->board, PF_EVENT_DONE, ANY_TASK), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK),
                     board_count(host->board, KIND_WORKER, ANY_TASK));
}

static int crashes_or_stays(struct board *board, int task_id, int run) {
    return task_id == 0 ? 1 : ignores_term(board, task_id, run);
}

/* Ends, time-outs and kills do not wait for room. */
static void with_a_full_queue_stubborn_workers_are_killed_all_the_same(void **state) {
    struct host *host = *state;
    uint64_t deadline = now_ms() + PATIENCE_MS;
    host->work = crashes_or_stays;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 100), 0);
    assert_int_equal(host_begin(host, 4), 0);
    while (board_count(host->board, NOTE_READY, ANY_TASK) < 3 ||
           pf_pool_worker_state(host->pool, 0) != PF_WORKER_STARTING) {
        (void)pf_pool_dispatch(host->pool, 0);
        assert_true(now_ms() < deadline);
    }

    assert_int_equal(pf_pool_stop(host->pool), 0);

    while (host->result != 0 && now_ms() < deadline) {
        host->result = pf_pool_dispatch(host->pool, 100);
    }
    assert_int_equal(host->result, 0);
    (void)host_turn(host, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 3);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK),
                     board_count(host->board, PF_EVENT_EXITED, ANY_TASK));
    assert_int_equal(board_count(host->board, PF_EVENT_DONE, ANY_TASK), 1);
}

/* The workers of the pool are there in full as soon as there is room. */
static void a_host_that_goes_on_taking_gets_its_workers(void **state) {
    struct host *host = *state;
    host->work = exits_with_its_number;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, PF_UNLIMITED), 0);
    assert_int_equal(host_begin(host, 2), 0);
    go_on_without_taking(host);
    unsigned before = board_count(host->board, KIND_WORKER, ANY_TASK);

    const pf_event *event = NULL;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(pf_pool_next_event(host->pool, &event), 1);
        board_note_event(host->board, event);
    }
    go_on_without_taking(host);

    assert_in_range(board_count(host->board, KIND_WORKER, ANY_TASK), before + 1, before + 20);
    assert_int_equal(host_finishes(host), 0);
    assert_in_order(host->board, 2);
}

/* ---- What the ended worker used -------------------------------------------------------- */

enum { BURNT_US = 60000, TOUCHED_KIB = 48 * 1024 };

static uint64_t spent_us(bool in_kernel) {
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage); /* cannot fail for oneself */
    const struct timeval *time = in_kernel ? &usage.ru_stime : &usage.ru_utime;
    return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

/* Worker 0 computes, 1 keeps the kernel busy, 2 touches memory, 3 does nothing. Uptime counts from
 * when the supervisor has made a worker, which may have worked a while by then: so it waits, and
 * seldom looks, as that uses the processor, too. */
static int uses_something(struct board *board, int task_id, int run) {
    (void)run;
    while (board_count(board, PF_EVENT_STARTED, task_id) == 0) {
        pause_ms(20);
    }
    while (task_id == 0 && spent_us(false) < BURNT_US) {
        for (volatile int i = 0; i < 100000; i++) {
        }
    }
    while (task_id == 1 && spent_us(true) < BURNT_US) {
        for (int i = 0; i < 1000; i++) {
            (void)getppid(); /* a system call that does nothing */
        }
    }
    if (task_id == 2) {
        char *memory = mmap(NULL, (size_t)TOUCHED_KIB * 1024, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        board_require(board, memory != MAP_FAILED);
        memset(memory, 1, (size_t)TOUCHED_KIB * 1024);
    }
    return 0;
}

static void the_end_reports_what_the_worker_used(void **state) {
    struct host *host = *state;
    host->work = uses_something;
    assert_int_equal(host_begin(host, 4), 0);

    assert_int_equal(host_finishes(host), 0);

    const struct record *ends[4];
    for (int i = 0; i < 4; i++) {
        ends[i] = board_find(host->board, PF_EVENT_EXITED, i, 0);
        assert_true(ends[i]->max_rss_kib > 0);
    }
    assert_in_range(ends[0]->user_us, BURNT_US, 100 * BURNT_US);
    assert_in_range(ends[1]->system_us, BURNT_US, 100 * BURNT_US);
    assert_true(ends[2]->max_rss_kib >= TOUCHED_KIB);
    assert_true(ends[3]->max_rss_kib < ends[2]->max_rss_kib);
    assert_true(ends[3]->user_us + ends[3]->system_us < BURNT_US);
    assert_true(ends[0]->uptime_ms >= BURNT_US / 1000 - 1);
}

static void events_other_than_ends_report_no_use(void **state) {
    struct host *host = *state;
    host->work = ends_at_once;
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), 0);

    static const int kinds[] = {PF_EVENT_STARTING, PF_EVENT_STARTED, PF_EVENT_DONE};
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct record *event = board_find(host->board, kinds[i], ANY_TASK, 0);
        assert_int_equal(event->user_us + event->system_us + event->max_rss_kib, 0);
        assert_int_equal(event->exit_code, -1);
        assert_int_equal(event->signal, 0);
        assert_int_equal(event->error, 0);
        assert_int_equal(event->delay_ms, 0);
        assert_int_equal(event->uptime_ms, 0);
    }
}

static void events_of_the_pool_report_how_many_workers(void **state) {
    struct host *host = *state;
    host->work = ends_at_once;
    assert_int_equal(host_begin(host, 3), 0);

    assert_int_equal(host_finishes(host), 0);

    static const int kinds[] = {PF_EVENT_STARTED, PF_EVENT_EXITED, PF_EVENT_DONE};
    assert_int_equal(board_find(host->board, PF_EVENT_STARTING, ANY_TASK, 0)->worker_count, 3);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        assert_int_equal(board_find(host->board, kinds[i], ANY_TASK, 0)->worker_count, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(events_that_are_taken_come_in_order),
        host_test(events_of_a_callback_come_in_order),
        host_test(a_host_that_is_slow_misses_nothing),
        host_test(a_host_that_takes_no_events_can_stop_the_pool),
        host_test(with_a_full_queue_stubborn_workers_are_killed_all_the_same),
        host_test(a_host_that_goes_on_taking_gets_its_workers),
        host_test(the_end_reports_what_the_worker_used),
        host_test(events_other_than_ends_report_no_use),
        host_test(events_of_the_pool_report_how_many_workers),
    };

    return run_group_with_each_backend("pool events", tests);
}
