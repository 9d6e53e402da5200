/*
 * notify_reload_test.c - what a pool tells the service manager of its reloads
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "manager.h"

enum { SLOTS = 3, GATE_OLD = 0, GATE_NEW, NOTE_WAITS = KIND_NOTE };

/* The next message that is no status. */
static const char *await_word(struct host *host) {
    const char *message = await_message(host);

    while (strncmp(message, "STATUS=", 7) == 0) {
        message = await_message(host);
    }
    return message;
}

static void assert_no_more_messages(struct host *host) {
    host_goes_on(host, 50);
    for (const char *message = next_message(); message[0] != '\0'; message = next_message()) {
        assert_memory_equal(message, "STATUS=", 7);
    }
}

static unsigned long long now_us(void) {
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (unsigned long long)now.tv_sec * 1000000U + (unsigned long long)now.tv_nsec / 1000U;
}

/* A manager that asked for the reload goes by its time: told of an earlier one, it waits on. */
static void assert_reloading(struct host *host, unsigned long long asked_us) {
    static const char begin[] = "RELOADING=1\nMONOTONIC_USEC=";
    const char *message = await_word(host);

    assert_memory_equal(message, begin, sizeof(begin) - 1);
    assert_in_range(strtoull(message + sizeof(begin) - 1, NULL, 10), asked_us, now_us());
}

static int serves(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    return ends_on_term(board, task_id, run);
}

/* All but the first workers wait to be let. */
static int serves_when_let(struct board *board, int task_id, int run) {
    if (run > 0) {
        board_note(board, NOTE_WAITS, 0);
        gate_wait(board, GATE_NEW);
    }
    return serves(board, task_id, run);
}

static int fails_in_slot_1(struct board *board, int task_id, int run) {
    return task_id == 1 && run == 1 ? 1 : serves(board, task_id, run);
}

static void begin(struct host *host, int (*work)(struct board *board, int task_id, int run)) {
    host->work = work;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);
    assert_string_equal(await_word(host), "READY=1");
    assert_int_equal(board_count(host->board, PF_EVENT_READY, ANY_TASK), SLOTS);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, SLOTS));
}

static void a_reload_lasts_until_all_are_replaced(void **state) {
    struct host *host = *state;
    begin(host, serves_when_let);
    unsigned long long asked_us = now_us();

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_reloading(host, asked_us);
    assert_true(host_reaches(host, NOTE_WAITS, ANY_TASK, 1));
    assert_no_more_messages(host);
    gate_open(host->board, GATE_NEW);
    assert_string_equal(await_word(host), "READY=1");
    assert_int_equal(board_count(host->board, PF_EVENT_RELOADED, ANY_TASK), 1);
    assert_no_more_messages(host);
}

static void a_reload_that_fails_ends_too(void **state) {
    struct host *host = *state;
    begin(host, fails_in_slot_1);
    unsigned long long asked_us = now_us();

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_reloading(host, asked_us);
    assert_string_equal(await_word(host), "READY=1");
    assert_int_equal(board_count(host->board, PF_EVENT_RELOAD_FAILED, ANY_TASK), 1);
    assert_no_more_messages(host);
}

static void one_that_was_asked_for_during_another_is_reported_in_its_turn(void **state) {
    struct host *host = *state;
    begin(host, serves_when_let);
    unsigned long long asked_us = now_us();
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_reloading(host, asked_us);
    assert_true(host_reaches(host, NOTE_WAITS, ANY_TASK, 1));

    asked_us = now_us();
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_no_more_messages(host);
    gate_open(host->board, GATE_NEW);

    const char *message = await_word(host);
    if (strcmp(message, "READY=1") == 0) { /* between the two: allowed, and of no use */
        message = await_word(host);
    }
    unsigned long long told_us = strtoull(strrchr(message, '=') + 1, NULL, 10);
    assert_memory_equal(message, "RELOADING=1", 11);
    assert_in_range(told_us, asked_us, now_us());
    assert_string_equal(await_word(host), "READY=1");
    assert_int_equal(board_count(host->board, PF_EVENT_RELOADED, ANY_TASK), 2);
    assert_no_more_messages(host);
}

static int ends_or_crashes_when_let(struct board *board, int task_id, int run) {
    board_require(board, pf_worker_ready() == 0);
    board_note(board, NOTE_READY, 0);
    gate_wait(board, GATE_OLD);
    return task_id == 0 ? ends_at_once(board, task_id, run) : crashes_at_once(board, task_id, run);
}

/* Whoever waits for the end of it must not wait for ever. */
static void one_that_has_nobody_to_replace_is_reported_too(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_backoff(host->pool, 3600000, 3600000), 0);
    begin(host, ends_or_crashes_when_let);
    gate_open(host->board, GATE_OLD);
    assert_true(host_reaches_alive(host, 0));
    unsigned long long asked_us = now_us();

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_reloading(host, asked_us);
    assert_string_equal(await_word(host), "READY=1");
    assert_no_more_messages(host);
}

static void a_stop_during_it_is_reported_and_no_more(void **state) {
    struct host *host = *state;
    begin(host, serves_when_let);
    unsigned long long asked_us = now_us();
    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_reloading(host, asked_us);

    assert_int_equal(pf_pool_stop(host->pool), 0);

    assert_string_equal(await_word(host), "STOPPING=1");
    assert_true(host_reaches_alive(host, 0));
    assert_no_more_messages(host);
}

/* READY=1 in its end would be untrue. */
static void one_that_begins_before_the_pool_is_ready_is_not_reported(void **state) {
    struct host *host = *state;
    host->work = serves;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, SLOTS), 0);

    assert_int_equal(pf_pool_reload(host->pool), 0);

    assert_string_equal(await_word(host), "READY=1");
    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_no_more_messages(host);
}

static void a_worker_that_is_replaced_alone_is_no_reload(void **state) {
    struct host *host = *state;
    begin(host, serves);

    assert_int_equal(host_replaces(host, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_READY, 1, 2));
    assert_no_more_messages(host);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        manager_test(a_reload_lasts_until_all_are_replaced),
        manager_test(a_reload_that_fails_ends_too),
        manager_test(one_that_was_asked_for_during_another_is_reported_in_its_turn),
        manager_test(one_that_has_nobody_to_replace_is_reported_too),
        manager_test(a_stop_during_it_is_reported_and_no_more),
        manager_test(one_that_begins_before_the_pool_is_ready_is_not_reported),
        manager_test(a_worker_that_is_replaced_alone_is_no_reload),
    };

    return cmocka_run_group_tests_name("notify of reloads", tests, NULL, NULL);
}
