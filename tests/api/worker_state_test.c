/*
 * worker_state_test.c - in what state a worker comes out of the call
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"
#include "scenario.h"

enum { NOTE_NUMBER = KIND_NOTE }; /* and the two after it */

/* ---- Descriptors --------------------------------------------------------------------- */

static struct descriptors host_descriptors;

/* Leaves holes between the descriptors, which the library's own may fill. */
static void take_picture(struct board *board) {
    int holes[4];

    for (int i = 0; i < 4; i++) {
        holes[i] = open("/dev/null", i % 2 == 0 ? O_RDONLY : O_RDONLY | O_CLOEXEC);
        board_require(board, holes[i] >= 0);
    }
    board_require(board, dup2(holes[0], 200) == 200);
    board_require(board, close(holes[1]) == 0);
    descriptors_take(&host_descriptors);
}

static int compares_descriptors(struct board *board, int task_id, int run) {
    struct descriptors own;

    (void)task_id;
    descriptors_take(&own);
    worker_has_descriptors_of(board, &own, &host_descriptors);
    return run < 2 ? 1 : 0;
}

static void workers_have_the_hosts_descriptors_and_no_other(void **state) {
    static const struct plan plan = {
        .workers = 8, .max_restarts = 16, .prepare = take_picture, .work = compares_descriptors};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 24);
}

/* The same behind an ignored SIGCHLD, where workers are started in another way. */
static void take_picture_and_ignore_sigchld(struct board *board) {
    board_require(board, signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    take_picture(board);
}

static void workers_have_no_other_descriptors_when_sigchld_is_ignored(void **state) {
    static const struct plan plan = {.workers = 8,
                                     .max_restarts = PF_UNLIMITED,
                                     .prepare = take_picture_and_ignore_sigchld,
                                     .work = compares_descriptors};
    struct scenario *run = *state;
    if (!kernel_keeps_statuses()) {
        print_message("skipped: this kernel forgets the status of a process reaped by others\n");
        skip();
    }

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 24);
}

static void compare_host_descriptors(struct board *board, int result) {
    struct descriptors own;

    (void)result;
    descriptors_take(&own);
    board_require(board, strcmp(own.text, host_descriptors.text) == 0);
}

static void the_host_has_its_own_descriptors_after_a_failure(void **state) {
    static const struct plan plan = {.workers = 8,
                                     .max_restarts = 3,
                                     .prepare = take_picture,
                                     .work = compares_descriptors,
                                     .afterwards = compare_host_descriptors};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, STATUS_RETURNED);
}

/* ---- Buffered output ----------------------------------------------------------------- */

static FILE *log_file;

static void print_without_flush(struct board *board) {
    log_file = fopen("log", "we");
    board_require(board, log_file != NULL);
    board_require(board, fputs("host\n", log_file) >= 0);
}

static int prints_and_exits(struct board *board, int task_id, int run) {
    (void)fprintf(log_file, "worker %d.%d\n", task_id, run);
    board_require(board, fflush(log_file) == 0);
    exit(run == 0 ? 1 : 0); /* flushes whatever a worker has inherited */
}

static unsigned count_in(const char *text, const char *line) {
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
        count++;
    }
    return count;
}

static void print_more_without_flush(struct board *board, const pf_event *event) {
    if (pf_event_type(event) == PF_EVENT_EXITED) {
        board_require(board, fputs("event\n", log_file) >= 0);
    }
}

static void what_the_host_had_buffered_is_written_once(void **state) {
    static const struct plan plan = {.workers = 4,
                                     .max_restarts = 4,
                                     .prepare = print_without_flush,
                                     .work = prints_and_exits,
                                     .on_event = print_more_without_flush};
    struct scenario *run = *state;
    char scratch[256];
    char text[4096] = "";
    scratch_enter(scratch, sizeof(scratch));

    scenario_start(run, &plan);
    int status = scenario_wait(run);
    FILE *written = fopen("log", "re");
    if (written != NULL) {
        text[fread(text, 1, sizeof(text) - 1, written)] = '\0';
        (void)fclose(written); /* nothing was written */
    }
    scratch_leave(scratch);

    assert_int_equal(status, 0);
    assert_int_equal(count_in(text, "host\n"), 1);
    assert_int_equal(count_in(text, "event\n"), 8);
    assert_int_equal(count_in(text, "worker "), 8);
    for (int i = 0; i < 4; i++) {
        char line[32];
        (void)snprintf(line, sizeof(line), "worker %d.0\n", i);
        assert_int_equal(count_in(text, line), 1);
    }
}

/* ---- Random numbers ------------------------------------------------------------------ */

enum { NUMBERS = 3 };

static void draw_numbers(int64_t numbers[NUMBERS]) {
    numbers[0] = (int64_t)rand() << 31 | rand();
    numbers[1] = (int64_t)random() << 31 | random();
    numbers[2] = (int64_t)(drand48() * 9007199254740992.0);
}

static int draws_numbers(struct board *board, int task_id, int run) {
    int64_t numbers[NUMBERS];

    draw_numbers(numbers);
    for (int i = 0; i < NUMBERS; i++) {
        board_note_task(board, NOTE_NUMBER + i, task_id, numbers[i]);
    }
    return run < 3 ? 1 : 0;
}

static void seed_generators(struct board *board) {
    (void)board;
    srand(1);
    srandom(1);
    srand48(1);
}

/* The host's own sequences are as if there had been no worker. */
static void draw_in_host(struct board *board, int result) {
    int64_t numbers[NUMBERS];
    int64_t expected[NUMBERS];

    (void)result;
    draw_numbers(numbers);
    seed_generators(board);
    draw_numbers(expected);
    board_require(board, memcmp(numbers, expected, sizeof(numbers)) == 0);
}

static void random_numbers_differ_between_workers_and_over_restarts(void **state) {
    static const struct plan plan = {.workers = 6,
                                     .max_restarts = PF_UNLIMITED,
                                     .prepare = seed_generators,
                                     .work = draws_numbers};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    for (int i = 0; i < NUMBERS; i++) {
        int kind = NOTE_NUMBER + i;
        assert_int_equal(board_count(run->board, kind, ANY_TASK), 24);
        for (unsigned j = 0; j < 24; j++) {
            for (unsigned k = 0; k < j; k++) {
                assert_true(board_find(run->board, kind, ANY_TASK, j)->value !=
                            board_find(run->board, kind, ANY_TASK, k)->value);
            }
        }
    }
}

static void the_hosts_own_random_numbers_are_left_alone(void **state) {
    static const struct plan plan = {.workers = 2,
                                     .max_restarts = 1,
                                     .prepare = seed_generators,
                                     .work = draws_numbers,
                                     .afterwards = draw_in_host};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, STATUS_RETURNED);
}

/* ---- A process like another ---------------------------------------------------------- */

static int has_a_child_of_its_own(struct board *board, int task_id, int run) {
    int status = 0;

    (void)run;
    board_require(board, getpgrp() == getppid());
    board_require(board, getsid(0) == getppid());
    pid_t child = fork();
    if (child == 0) {
        _exit(20 + task_id);
    }
    board_require(board, waitpid(-1, &status, 0) == child);
    board_require(board, status == (20 + task_id) << 8);
    return 0;
}

static void workers_stay_in_the_group_and_can_have_children(void **state) {
    static const struct plan plan = {.workers = 3, .work = has_a_child_of_its_own};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(workers_have_the_hosts_descriptors_and_no_other),
        scenario_test(workers_have_no_other_descriptors_when_sigchld_is_ignored),
        scenario_test(the_host_has_its_own_descriptors_after_a_failure),
        scenario_test(what_the_host_had_buffered_is_written_once),
        scenario_test(random_numbers_differ_between_workers_and_over_restarts),
        scenario_test(the_hosts_own_random_numbers_are_left_alone),
        scenario_test(workers_stay_in_the_group_and_can_have_children),
    };

    return cmocka_run_group_tests_name("worker state", tests, NULL, NULL);
}
