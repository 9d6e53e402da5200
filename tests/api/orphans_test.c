/*
 * orphans_test.c - no worker outlives its supervisor, however that ends
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scenario.h"

enum { NOTE_CHILD = KIND_NOTE, NOTE_DEATH_SIGNAL };
enum { ROUNDS = SANITIZED ? 15 : 40 };

static unsigned seed;

/* A fresh order of events at each run; the seed is printed so that one can have it again. */
static int print_seed(void **state) {
    const char *wanted = getenv("SEED");

    (void)state;
    seed = wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10) : (unsigned)(now_ns() >> 10);
    print_message("SEED=%u\n", seed);
    return 0;
}

static unsigned draw(unsigned below) {
    seed = seed * 1103515245U + 12345U;
    return (seed >> 16) % below;
}

/* All that the supervisor left behind ends, by the signal for it or, before the worker came out
 * of the call, with status 1. Returns how many came out of the call and were told. */
static int reap_told_workers(void) {
    uint64_t deadline = now_ms() + PATIENCE_MS;
    int count = 0;
    int status = 0;

    for (;;) {
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0) {
            assert_true(status == SIGTERM || status == 1 << 8);
            count += status == SIGTERM ? 1 : 0;
        } else if (pid < 0) {
            assert_int_equal(errno, ECHILD);
            return count;
        } else {
            assert_true(now_ms() < deadline);
            pause_ms(1);
        }
    }
}

static void workers_end_when_the_supervisor_is_killed(void **state) {
    static const struct plan plan = {.workers = 5};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 5));

    scenario_signal(run, SIGKILL);

    assert_dies_of(run, SIGKILL);
    assert_int_equal(reap_told_workers(), 5);
}

/* A child of the host's own, which has whatever the supervisor had open at that time. */
static void fork_child_that_lives_on(struct board *board) {
    pid_t child = fork();

    board_require(board, child >= 0);
    if (child == 0) {
        (void)signal(SIGTERM, SIG_IGN);
        board_note(board, NOTE_CHILD, 0);
        wait_for_ever();
    }
}

static void fork_child_at_the_last_start(struct board *board, const pf_event *event) {
    if (pf_event_type(event) == PF_EVENT_STARTED && pf_event_task_id(event) == 3) {
        fork_child_that_lives_on(board);
    }
}

static void workers_end_though_children_of_the_host_live_on(void **state) {
    static const struct plan plan = {.workers = 4,
                                     .prepare = fork_child_that_lives_on,
                                     .on_event = fork_child_at_the_last_start};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, 4));
    assert_true(board_reaches(run->board, NOTE_CHILD, ANY_TASK, 2));

    scenario_signal(run, SIGKILL);
    assert_dies_of(run, SIGKILL);

    for (int i = 0; i < 4; i++) {
        pid_t worker = board_find(run->board, KIND_WORKER, i, 0)->author;
        int status = 0;
        assert_true(process_reaches_state(worker, 'Z'));
        assert_int_equal(waitpid(worker, &status, 0), worker);
        assert_int_equal(status, SIGTERM);
    }
    for (unsigned i = 0; i < 2; i++) {
        pid_t child = board_find(run->board, NOTE_CHILD, ANY_TASK, i)->author;
        int status = 0;
        assert_int_equal(children_alive(), 2 - (int)i); /* these were left alone */
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
    }
}

static void killed_at_the_first_report(struct board *board, const pf_event *event) {
    if (pf_event_type(event) == PF_EVENT_STARTED) {
        board_require(board, kill(getpid(), SIGKILL) == 0);
    }
}

/* The workers have been forked by then, but hardly one has run yet. */
static void workers_end_when_the_supervisor_is_killed_right_after_the_start(void **state) {
    static const struct plan plan = {.workers = 40, .on_event = killed_at_the_first_report};
    struct scenario *run = *state;

    for (int round = 0; round < 5; round++) {
        scenario_start(run, &plan);
        assert_dies_of(run, SIGKILL);
        (void)reap_told_workers(); /* some may have been told before the test was their parent */
    }
}

/* Kills the supervisor of such a pool after a moment that differs from round to round. */
static void kill_at_any_moment(struct scenario *run, const struct plan *plan) {
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start_ns = now_ns();
        uint64_t span_ns = draw(4000) * UINT64_C(1000) * (SANITIZED ? 10 : 1);
        struct scenario once;
        int unexpected = 0;
        int status = 0;

        assert_true(scenario_open(&once));
        scenario_start(&once, plan);
        while (now_ns() < start_ns + span_ns) {
        }
        scenario_signal(&once, SIGKILL);
        int ended = scenario_wait(&once);
        uint64_t deadline = now_ms() + PATIENCE_MS;
        pid_t pid = 0;
        while ((pid = waitpid(-1, &status, WNOHANG)) >= 0 && now_ms() < deadline) {
            if (pid == 0) {
                pause_ms(1);
            } else if (status != SIGTERM && status != 1 << 8) {
                unexpected++;
            }
        }
        board_free(once.board); /* its story stops in the middle */
        (void)close(once.output);
        assert_int_equal(ended, SIGKILL);
        assert_int_equal(pid, -1);
        assert_int_equal(unexpected, 0);
    }
    (void)run;
}

static void workers_end_when_the_supervisor_is_killed_at_any_moment(void **state) {
    static const struct plan plan = {.workers = 10};

    kill_at_any_moment(*state, &plan);
}

/* Seldom in the end: a test that waits long for a processor is not to find its board full. */
static int crashes_at_once(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    if (run >= 200) {
        pause_ms(100);
    }
    return 1;
}

static void workers_end_when_the_supervisor_is_killed_in_a_storm_of_restarts(void **state) {
    static const struct plan plan = {
        .workers = 6, .max_restarts = PF_UNLIMITED, .work = crashes_at_once};

    kill_at_any_moment(*state, &plan);
}

static int supervisor_ends_by;

static void end_supervisor(struct board *board, const pf_event *event) {
    if (pf_event_type(event) == PF_EVENT_STARTED && pf_event_task_id(event) == 2) {
        if (supervisor_ends_by == 0) {
            _exit(3);
        }
        board_require(board, kill(getpid(), supervisor_ends_by) == 0);
    }
}

static void workers_end_however_the_supervisor_ends(void **state) {
    static const struct plan plan = {.workers = 3, .on_event = end_supervisor};
    static const int ends[] = {0, SIGSEGV, SIGABRT, SIGALRM};
    struct scenario *run = *state;

    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        supervisor_ends_by = ends[i];
        scenario_start(run, &plan);
        assert_int_equal(scenario_wait(run) & ~0x80, ends[i] == 0 ? 3 << 8 : ends[i]);
        (void)reap_told_workers();
    }
}

static int notes_death_signal(struct board *board, int task_id, int run) {
    int signal = -1;

    (void)task_id;
    (void)run;
    board_require(board, prctl(PR_GET_PDEATHSIG, &signal) == 0);
    board_note(board, NOTE_DEATH_SIGNAL, signal);
    return run == 0 ? 1 : 0;
}

static void the_kernel_reports_workers_with_term(void **state) {
    static const struct plan plan = {.workers = 2, .max_restarts = 2, .work = notes_death_signal};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, NOTE_DEATH_SIGNAL, ANY_TASK), 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(board_find(run->board, NOTE_DEATH_SIGNAL, ANY_TASK, i)->value, SIGTERM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(workers_end_when_the_supervisor_is_killed),
        scenario_test(workers_end_though_children_of_the_host_live_on),
        scenario_test(workers_end_when_the_supervisor_is_killed_right_after_the_start),
        scenario_test(workers_end_when_the_supervisor_is_killed_at_any_moment),
        scenario_test(workers_end_when_the_supervisor_is_killed_in_a_storm_of_restarts),
        scenario_test(workers_end_however_the_supervisor_ends),
        scenario_test(the_kernel_reports_workers_with_term),
    };

    return cmocka_run_group_tests_name("orphans", tests, print_seed, NULL);
}
