/*
 * pool_resize_test.c - the number of slots changed while the pool runs
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

/* The ids are dense: each slot below the count has a worker, and there is none above. */
static void assert_slots(const struct host *host, int count) {
    assert_int_equal(pf_pool_worker_count(host->pool), count);
    assert_int_equal(pf_pool_alive_count(host->pool), count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_READY);
        assert_true(process_exists(pf_pool_worker_pid(host->pool, i)));
    }
    assert_int_equal(pf_pool_worker_state(host->pool, count), -EINVAL);
}

static void assert_resized(const struct host *host, unsigned nth, const char *message) {
    const struct record *resized = board_find(host->board, PF_EVENT_RESIZED, ANY_TASK, nth);

    assert_non_null(resized);
    assert_string_equal(resized->message, message);
}

static void it_grows_and_shrinks(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));
    pid_t first = host_pid(host, 0, 0);

    assert_int_equal(pf_pool_resize(host->pool, 5), 0);
    assert_int_equal(pf_pool_worker_count(host->pool), 5);
    assert_int_equal(pf_pool_worker_state(host->pool, 4), PF_WORKER_STARTING);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 5));
    assert_slots(host, 5);

    assert_int_equal(pf_pool_resize(host->pool, 3), 0);
    assert_int_equal(pf_pool_worker_count(host->pool), 3);
    assert_true(host_reaches_alive(host, 3));
    assert_slots(host, 3);
    (void)host_turn(host, 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(board_count(host->board, PF_EVENT_EXITED, i), i < 3 ? 0 : 1);
    }

    assert_int_equal(pf_pool_resize(host->pool, 4), 0);
    assert_true(host_reaches(host, NOTE_READY, 3, 2));
    assert_slots(host, 4);
    assert_int_equal(pf_pool_worker_pid(host->pool, 0), first);
    assert_resized(host, 0, "Resized to 5 processes");
    assert_resized(host, 1, "Resized to 3 processes");
    assert_resized(host, 2, "Resized to 4 processes");
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 6);
}

static void the_highest_ids_end_first_and_are_not_restarted(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_ALWAYS), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    assert_int_equal(host_begin(host, 6), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 6));

    assert_int_equal(pf_pool_resize(host->pool, 4), 0);
    assert_true(host_reaches_alive(host, 4));
    assert_int_equal(pf_pool_resize(host->pool, 1), 0);
    assert_true(host_reaches_alive(host, 1));
    (void)host_turn(host, 0);

    for (unsigned i = 0; i < 5; i++) {
        const struct record *end = board_find(host->board, PF_EVENT_EXITED, ANY_TASK, i);
        assert_in_range(end->task_id, i < 2 ? 4 : 1, i < 2 ? 5 : 3);
        assert_int_equal(end->signal, SIGTERM);
        assert_int_equal(end->level, 6);
        assert_int_equal(end->will_restart, 0);
        assert_int_equal(end->restarts, 0);
    }
    assert_slots(host, 1);
    assert_int_equal(host_stops(host), 0);
}

static void the_same_number_changes_nothing(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 3));

    assert_int_equal(pf_pool_resize(host->pool, 3), 0);
    host_goes_on(host, 20);

    assert_int_equal(board_count(host->board, PF_EVENT_RESIZED, ANY_TASK), 0);
    assert_slots(host, 3);
    assert_int_equal(host_stops(host), 0);
}

static void before_the_first_dispatch_it_works_too(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 2), 0);

    assert_int_equal(pf_pool_resize(host->pool, 4), 0);
    assert_int_equal(pf_pool_resize(host->pool, 3), 0);

    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 3));
    assert_slots(host, 3);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 3);
    assert_int_equal(host_stops(host), 0);
}

static int crashes_above_0(struct board *board, int task_id, int run) {
    return task_id > 0 ? 1 : ends_on_term(board, task_id, run);
}

static void slots_in_backoff_are_given_up_at_once(void **state) {
    struct host *host = *state;
    host->work = crashes_above_0;
    assert_int_equal(pf_pool_set_backoff(host->pool, 3600000, 3600000), 0);
    assert_int_equal(host_begin(host, 4), 0);
    assert_true(host_reaches(host, PF_EVENT_EXITED, ANY_TASK, 3));

    assert_int_equal(pf_pool_resize(host->pool, 2), 0);
    assert_int_equal(pf_pool_worker_count(host->pool), 2);
    assert_int_equal(pf_pool_worker_state(host->pool, 1), PF_WORKER_BACKOFF);
    assert_int_equal(pf_pool_resize(host->pool, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_slots(host, 1);

    /* They begin anew, with no delay of before. */
    assert_int_equal(pf_pool_resize(host->pool, 3), 0);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 1, 2));
    assert_true(host_reaches(host, PF_EVENT_STARTED, 2, 2));
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 3), 1);
    assert_int_equal(host_stops(host), 0);
}

static void a_slot_that_is_wanted_again_gets_its_worker_after_the_old_one(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 100), 0);
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 3));

    assert_int_equal(pf_pool_resize(host->pool, 1), 0);
    assert_int_equal(pf_pool_resize(host->pool, 3), 0);

    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 5));
    assert_slots(host, 3);
    for (int i = 1; i < 3; i++) {
        const struct record *end = board_find(host->board, PF_EVENT_EXITED, i, 0);
        assert_int_equal(end->signal, SIGKILL);
        assert_int_equal(end->level, 6);
        assert_int_equal(board_count(host->board, PF_EVENT_KILLED, i), 1);
        assert_true(end < board_find(host->board, PF_EVENT_STARTED, i, 1));
    }
    assert_int_equal(pf_pool_worker_restarts(host->pool, 1), 0); /* that was no restart */
    assert_int_equal(host_stops(host), 0);
}

static int ends_in_slot_1(struct board *board, int task_id, int run) {
    return task_id == 1 && run == 0 ? 0 : ends_on_term(board, task_id, run);
}

static void a_slot_that_was_done_begins_anew_when_it_comes_back(void **state) {
    struct host *host = *state;
    host->work = ends_in_slot_1;
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_true(host_reaches_state(host, 1, PF_WORKER_DONE));

    assert_int_equal(pf_pool_resize(host->pool, 1), 0);
    assert_int_equal(pf_pool_resize(host->pool, 2), 0);

    assert_true(host_reaches(host, NOTE_READY, 1, 1));
    assert_slots(host, 2);
    assert_int_equal(host_stops(host), 0);
}

static void it_ends_when_the_slots_that_are_left_are_done(void **state) {
    struct host *host = *state;
    host->work = ends_in_slot_1;
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));
    assert_true(host_reaches_state(host, 1, PF_WORKER_DONE));

    assert_int_equal(pf_pool_resize(host->pool, 2), 0);
    assert_int_equal(pf_pool_send_signal(host->pool, 0, SIGTERM), 0); /* it exits normally */

    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 0);
}

/* In a storm of changes nothing is lost or doubled: the story checks it. */
static void many_changes_come_to_the_last(void **state) {
    struct host *host = *state;
    static const int sizes[] = {9, 1, 20, 19, 3, 12, 1, 2, 30, 5};
    assert_int_equal(host_begin(host, 4), 0);

    for (int round = 0; round < 10; round++) {
        for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            assert_int_equal(pf_pool_resize(host->pool, sizes[i]), 0);
            if ((i + (unsigned)round) % 3 == 0) {
                (void)host_turn(host, 0);
            }
        }
    }

    for (int i = 0; i < 5; i++) {
        assert_true(host_reaches_state(host, i, PF_WORKER_READY));
    }
    assert_true(host_reaches_alive(host, 5));
    (void)host_turn(host, 0);
    assert_slots(host, 5);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK),
                     board_count(host->board, PF_EVENT_EXITED, ANY_TASK) + 5);
    assert_int_equal(host_stops(host), 0);
}

/* Nobody takes events, and so many changes cannot all have one of their own. */
static void changes_that_nobody_takes_notice_of_become_one(void **state) {
    struct host *host = *state;
    const struct record *last = NULL;
    assert_int_equal(host_begin(host, 1), 0);

    for (int i = 0; i < 2000; i++) {
        assert_int_equal(pf_pool_resize(host->pool, 2 + i % 2), 0);
        (void)pf_pool_dispatch(host->pool, 0);
    }

    assert_true(host_reaches_alive(host, 3));
    (void)host_turn(host, 0);
    unsigned count = board_count(host->board, PF_EVENT_RESIZED, ANY_TASK);
    assert_in_range(count, 2, 1999);
    last = board_find(host->board, PF_EVENT_RESIZED, ANY_TASK, count - 1);
    assert_string_equal(last->message, "Resized to 3 processes");
    assert_int_equal(host_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(it_grows_and_shrinks),
        host_test(the_highest_ids_end_first_and_are_not_restarted),
        host_test(the_same_number_changes_nothing),
        host_test(before_the_first_dispatch_it_works_too),
        host_test(slots_in_backoff_are_given_up_at_once),
        host_test(a_slot_that_is_wanted_again_gets_its_worker_after_the_old_one),
        host_test(a_slot_that_was_done_begins_anew_when_it_comes_back),
        host_test(it_ends_when_the_slots_that_are_left_are_done),
        host_test(many_changes_come_to_the_last),
        host_test(changes_that_nobody_takes_notice_of_become_one),
    };

    return run_group_with_each_backend("pool resize", tests);
}
