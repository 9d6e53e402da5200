/*
 * events_test.c - what the host is told, in which order, and by whom
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scenario.h"

enum { NOTE_RESULT = KIND_NOTE, NOTE_USER, NOTE_SECOND };

/* The nth event, from 0; NULL: there were not so many. */
static const struct record *nth_event(const struct board *board, unsigned nth) {
    for (uint32_t i = 0; i < board->used; i++) {
        const struct record *record = &board->records[i];
        if (record->ready != 0 && record->kind < KIND_WORKER && nth-- == 0) {
            return record;
        }
    }
    return NULL;
}

/* ---- Order --------------------------------------------------------------------------- */

static int exits_when_all_are_reported(struct board *board, int task_id, int run) {
    board_require(board, board_reaches(board, PF_EVENT_STARTED, ANY_TASK, 3));
    return task_id == 1 && run == 0 ? 2 : 0;
}

static void events_come_in_order(void **state) {
    static const struct plan plan = {
        .workers = 3, .max_restarts = 1, .work = exits_when_all_are_reported};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(nth_event(run->board, 0)->kind, PF_EVENT_STARTING);
    for (int i = 0; i < 3; i++) {
        const struct record *started = nth_event(run->board, 1 + (unsigned)i);
        assert_int_equal(started->kind, PF_EVENT_STARTED);
        assert_int_equal(started->task_id, i);
    }
    const struct record *crash = board_find(run->board, PF_EVENT_EXITED, 1, 0);
    const struct record *restart = board_find(run->board, PF_EVENT_STARTED, 1, 1);
    assert_true(crash < restart);
    assert_int_equal(nth_event(run->board, 9)->kind, PF_EVENT_DONE);
    assert_null(nth_event(run->board, 10));
}

static int crashes_beside_a_sibling(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 0) {
        board_require(board, board_reaches(board, PF_EVENT_STARTED, ANY_TASK, 2));
        board_require(board, board_reaches(board, KIND_WORKER, 1, 1));
        return 9;
    }
    wait_for_ever();
    return 0;
}

static void events_of_giving_up_come_in_order(void **state) {
    static const struct plan plan = {.workers = 2, .work = crashes_beside_a_sibling};
    static const int expected[] = {PF_EVENT_STARTING, PF_EVENT_STARTED, PF_EVENT_STARTED,
                                   PF_EVENT_EXITED,   PF_EVENT_GAVE_UP, PF_EVENT_STOPPING,
                                   PF_EVENT_EXITED,   PF_EVENT_DONE};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, STATUS_RETURNED);
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(nth_event(run->board, i)->kind, expected[i]);
    }
    assert_null(nth_event(run->board, 8));
}

/* ---- Fields -------------------------------------------------------------------------- */

/* All fields of an event that is none of a worker's end, other than those given. */
static void assert_fields(const struct record *event, int task_id, int32_t pid, int error) {
    assert_int_equal(event->task_id, task_id);
    assert_int_equal(event->pid, pid);
    assert_int_equal(event->error, error);
    assert_int_equal(event->exit_code, -1);
    assert_int_equal(event->signal, 0);
    assert_int_equal(event->core_dumped, 0);
    assert_int_equal(event->will_restart, 0);
    assert_int_equal(event->delay_ms, 0);
    assert_int_equal(event->uptime_ms, 0);
    assert_int_equal(event->user_us, 0);
    assert_int_equal(event->system_us, 0);
    assert_int_equal(event->max_rss_kib, 0);
}

static void fields_that_mean_nothing_have_the_value_for_none(void **state) {
    static const struct plan plan = {
        .workers = 2, .max_restarts = 0, .work = crashes_beside_a_sibling};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, STATUS_RETURNED);
    const struct board *board = run->board;
    assert_fields(board_find(board, PF_EVENT_STARTING, ANY_TASK, 0), -1, 0, 0);
    for (int i = 0; i < 2; i++) {
        const struct record *started = board_find(board, PF_EVENT_STARTED, i, 0);
        assert_fields(started, i, board_find(board, KIND_WORKER, i, 0)->author, 0);
    }
    assert_fields(board_find(board, PF_EVENT_GAVE_UP, ANY_TASK, 0), -1, 0, PF_EGAVEUP);
    assert_fields(board_find(board, PF_EVENT_STOPPING, ANY_TASK, 0), -1, 0, 0);
    assert_fields(board_find(board, PF_EVENT_DONE, ANY_TASK, 0), -1, 0, PF_EGAVEUP);
}

static int crashes_three_times(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    return run < 3 ? 1 : 0;
}

static void restarts_are_counted_in_the_events(void **state) {
    static const struct plan plan = {.workers = 1, .max_restarts = 3, .work = crashes_three_times};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_STARTED, 0, 0)->restarts, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 0, i)->restarts, i + 1);
        assert_int_equal(board_find(run->board, PF_EVENT_STARTED, 0, i + 1)->restarts, i + 1);
    }
    assert_int_equal(board_find(run->board, PF_EVENT_DONE, ANY_TASK, 0)->restarts, 3);
}

enum { LIFE_MS = 120, CPU_MS = 60, MEMORY_MIB = 24 };

static uint64_t own_cpu_ms(void) {
    struct timespec used;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used); /* cannot fail for this clock */
    return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

/* Uses time and memory. */
static int works_a_while(struct board *board, int task_id, int run) {
    size_t size = (size_t)MEMORY_MIB << 20;
    volatile char *memory = malloc(size);

    (void)task_id;
    (void)run;
    board_require(board, memory != NULL);
    /* The supervisor may be late, and its clock with it. */
    board_require(board, board_reaches(board, PF_EVENT_STARTED, ANY_TASK, 1));
    uint64_t start_ms = now_ms();
    for (size_t i = 0; memory != NULL && i < size; i += 1024) {
        memory[i] = 1;
    }
    while (own_cpu_ms() < CPU_MS) {
    }
    while (now_ms() < start_ms + LIFE_MS) {
        pause_ms(1);
    }
    free((void *)(uintptr_t)memory);
    return 0;
}

static void the_end_of_a_worker_reports_what_it_used(void **state) {
    static const struct plan plan = {.workers = 1, .work = works_a_while};
    struct scenario *run = *state;
    uint64_t before_ns = now_ns();

    scenario_start(run, &plan);

    assert_exits(run, 0);
    uint64_t after_ns = now_ns();
    const struct record *started = board_find(run->board, PF_EVENT_STARTED, 0, 0);
    const struct record *end = board_find(run->board, PF_EVENT_EXITED, 0, 0);
    assert_in_range(end->uptime_ms, LIFE_MS, (after_ns - before_ns) / 1000000);
    assert_in_range(end->user_us + end->system_us, (CPU_MS - 10) * 1000, end->uptime_ms * 1000);
    assert_true(end->max_rss_kib >= MEMORY_MIB * 1024);
    assert_in_range(started->time_ns, before_ns, after_ns);
    assert_in_range(end->time_ns, started->time_ns, after_ns);
}

/* ---- The callback -------------------------------------------------------------------- */

static void call_from_callback(struct board *board, const pf_event *event) {
    board_note_task(board, NOTE_RESULT, pf_event_type(event), pf_fork_processes(1, 0));
}

static void a_call_from_a_callback_is_refused(void **state) {
    static const struct plan plan = {
        .workers = 2, .work = crashes_beside_a_sibling, .on_event = call_from_callback};
    static const int types[] = {PF_EVENT_STARTING, PF_EVENT_STARTED,  PF_EVENT_EXITED,
                                PF_EVENT_GAVE_UP,  PF_EVENT_STOPPING, PF_EVENT_DONE};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, STATUS_RETURNED);
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        assert_int_equal(board_find(run->board, NOTE_RESULT, types[i], 0)->value, -EBUSY);
    }
    assert_int_equal(board_count(run->board, NOTE_RESULT, ANY_TASK), 8);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 2);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTING, ANY_TASK), 1);
}

static void note_user(const pf_event *event, void *user) {
    board_note_task(user, NOTE_USER, -1, pf_event_type(event));
}

static void note_second(const pf_event *event, void *user) {
    board_note_task(user, NOTE_SECOND, -1, pf_event_type(event));
}

/* Chooses another callback in the middle of the call. */
static void note_and_choose_another(const pf_event *event, void *user) {
    note_user(event, user);
    pf_set_event_callback(note_second, user);
}

static int host_that_changes_its_mind(struct board *board) {
    for (int i = 0; i < 2; i++) {
        if (i == 0) {
            pf_set_event_callback(note_and_choose_another, board);
        }
        if (pf_fork_processes(1, 0) >= 0) {
            _exit(1);
        }
    }
    return 0;
}

static void the_callback_is_the_one_from_the_begin_of_the_call(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_changes_its_mind);

    assert_exits(run, 0);
    /* STARTING, STARTED, EXITED, GAVE_UP, DONE of each call. */
    assert_int_equal(board_count(run->board, NOTE_USER, ANY_TASK), 5);
    assert_int_equal(board_count(run->board, NOTE_SECOND, ANY_TASK), 5);
}

static void note_signals(struct board *board, const pf_event *event) {
    (void)event;
    board_note(board, NOTE_RESULT, (int64_t)process_signals(getpid(), "SigBlk"));
}

static void callbacks_run_with_the_hosts_signal_mask(void **state) {
    static const struct plan plan = {
        .workers = 2, .work = crashes_beside_a_sibling, .on_event = note_signals};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, STATUS_RETURNED);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, i)->value, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(events_come_in_order),
        scenario_test(events_of_giving_up_come_in_order),
        scenario_test(fields_that_mean_nothing_have_the_value_for_none),
        scenario_test(restarts_are_counted_in_the_events),
        scenario_test(the_end_of_a_worker_reports_what_it_used),
        scenario_test(a_call_from_a_callback_is_refused),
        scenario_test(the_callback_is_the_one_from_the_begin_of_the_call),
        scenario_test(callbacks_run_with_the_hosts_signal_mask),
    };

    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
