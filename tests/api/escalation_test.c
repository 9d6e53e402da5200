/*
 * escalation_test.c - workers that do not end when asked to are killed after ten seconds
 *
 * This is the one test that waits for the time-out: 10 s, with two pools at the same time.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scenario.h"

enum { NOTE_READY = KIND_NOTE };
enum { TIMEOUT_MS = 10000 };
#define LATE_MS (TIMEOUT_MS + PATIENCE_MS / 2)

/* Worker 0 ignores the request; worker 1, stopped by SIGSTOP, goes on and obeys; worker 2 obeys. */
static int is_stubborn_or_not(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 0) {
        (void)signal(SIGTERM, SIG_IGN);
    }
    board_note(board, NOTE_READY, 0);
    wait_for_ever();
    return 0;
}

/* The last worker makes the pool give up while worker 0 ignores the request. */
static int is_stubborn_or_crashes(struct board *board, int task_id, int run) {
    if (task_id == 2) {
        gate_wait(board, 0);
        return 5;
    }
    return is_stubborn_or_not(board, task_id, run);
}

/* Worker 0 was killed when its time was over, and not before. */
static void assert_escalated(const struct board *board, int task_id) {
    const struct record *stopping = board_find(board, PF_EVENT_STOPPING, ANY_TASK, 0);
    const struct record *killed = board_find(board, PF_EVENT_KILLED, task_id, 0);
    const struct record *end = board_find(board, PF_EVENT_EXITED, task_id, 0);

    assert_non_null(killed);
    assert_int_equal(killed->pid, end->pid);
    uint64_t waited_ms = (killed->time_ns - stopping->time_ns) / 1000000;
    assert_in_range(waited_ms, TIMEOUT_MS - 100, LATE_MS);
    assert_true(killed < end);
    assert_int_equal(end->signal, SIGKILL);
    assert_int_equal(end->will_restart, 0);
}

static void stubborn_workers_are_killed_after_ten_seconds(void **state) {
    static const struct plan plan = {.workers = 3, .work = is_stubborn_or_not};
    static const struct plan plan_that_gives_up = {.workers = 3, .work = is_stubborn_or_crashes};
    struct scenario *asked = *state;
    struct scenario gave_up;
    assert_true(scenario_open(&gave_up));
    scenario_start(asked, &plan);
    scenario_start(&gave_up, &plan_that_gives_up);
    bool ready = board_reaches(asked->board, NOTE_READY, ANY_TASK, 3) &&
                 board_reaches(gave_up.board, NOTE_READY, ANY_TASK, 2);
    const struct record *stopped = board_find(asked->board, KIND_WORKER, 1, 0);
    if (ready && kill(stopped->author, SIGSTOP) == 0) {
        ready = process_reaches_state(stopped->author, 'T');
    }

    gate_open(gave_up.board, 0);
    scenario_signal(asked, SIGTERM);

    /* What the second pool did is kept until both have ended, so that a failed assert leaves
     * no process behind. */
    int status = scenario_wait(asked);
    int status_gave_up = scenario_wait(&gave_up);
    struct board *board = board_new();
    assert_non_null(board);
    memcpy(board, gave_up.board, sizeof(*board));
    assert_true(scenario_close(&gave_up));
    assert_true(ready);

    assert_int_equal(status, SIGTERM);
    assert_escalated(asked->board, 0);
    assert_int_equal(board_find(asked->board, PF_EVENT_EXITED, 1, 0)->signal, SIGTERM);
    assert_int_equal(board_find(asked->board, PF_EVENT_EXITED, 2, 0)->signal, SIGTERM);
    assert_int_equal(board_count(asked->board, PF_EVENT_KILLED, ANY_TASK), 1);
    assert_int_equal(board_find(asked->board, PF_EVENT_EXITED, ANY_TASK, 2)->task_id, 0);

    assert_int_equal(status_gave_up, STATUS_RETURNED << 8);
    assert_int_equal(board_find(board, KIND_RETURNED, ANY_TASK, 0)->value, PF_EGAVEUP);
    assert_escalated(board, 0);
    assert_int_equal(board_count(board, PF_EVENT_KILLED, ANY_TASK), 1);
    board_free(board);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(stubborn_workers_are_killed_after_ten_seconds),
    };

    return cmocka_run_group_tests_name("escalation", tests, NULL, NULL);
}
