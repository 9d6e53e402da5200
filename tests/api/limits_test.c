/*
 * limits_test.c - how many restarts there are, and what giving up leaves behind
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scenario.h"

enum { NOTE_ENDED = KIND_NOTE, NOTE_LEFT, NOTE_SECOND_CALL, NOTE_STATE };

static int always_exits_with_7(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    return 7;
}

static void assert_gives_up_after(struct scenario *run, unsigned restarts) {
    const struct board *board = run->board;

    assert_exits(run, STATUS_RETURNED);
    assert_int_equal(board_find(board, KIND_RETURNED, ANY_TASK, 0)->value, PF_EGAVEUP);
    assert_int_equal(board_count(board, KIND_WORKER, ANY_TASK), restarts + 1);
    assert_int_equal(board_count(board, PF_EVENT_EXITED, ANY_TASK), restarts + 1);
    for (unsigned i = 0; i <= restarts; i++) {
        const struct record *end = board_find(board, PF_EVENT_EXITED, 0, i);
        assert_int_equal(end->exit_code, 7);
        assert_int_equal(end->will_restart, i < restarts);
    }
    assert_int_equal(board_count(board, PF_EVENT_GAVE_UP, ANY_TASK), 1);
    assert_int_equal(board_find(board, PF_EVENT_GAVE_UP, ANY_TASK, 0)->error, PF_EGAVEUP);
    assert_int_equal(board_find(board, PF_EVENT_DONE, ANY_TASK, 0)->error, PF_EGAVEUP);
}

static void two_allowed_restarts_are_exactly_two(void **state) {
    static const struct plan plan = {.workers = 1, .max_restarts = 2, .work = always_exits_with_7};

    scenario_start(*state, &plan);

    assert_gives_up_after(*state, 2);
}

static void no_allowed_restart_gives_up_at_the_first_crash(void **state) {
    static const struct plan plan = {.workers = 1, .max_restarts = 0, .work = always_exits_with_7};

    scenario_start(*state, &plan);

    assert_gives_up_after(*state, 0);
}

static void a_negative_number_of_restarts_means_a_hundred(void **state) {
    static const struct plan plan = {.workers = 1, .max_restarts = -1, .work = always_exits_with_7};

    scenario_start(*state, &plan);

    assert_gives_up_after(*state, 100);
}

static int crashes_300_times(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    return run < 300;
}

static void unlimited_restarts_have_no_end(void **state) {
    static const struct plan plan = {
        .workers = 1, .max_restarts = PF_UNLIMITED, .work = crashes_300_times};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, 0), 301);
}

/* The two slots crash in turn, so that each crash is judged before the next one comes. */
static int crashes_when_it_is_its_turn(struct board *board, int task_id, int run) {
    unsigned turn = 2 * (unsigned)run + (unsigned)task_id;

    board_require(board, board_reaches(board, PF_EVENT_EXITED, ANY_TASK, turn));
    return 7;
}

static void restarts_are_counted_over_all_slots_together(void **state) {
    static const struct plan plan = {
        .workers = 2, .max_restarts = 3, .work = crashes_when_it_is_its_turn};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, STATUS_RETURNED);
    unsigned crashes = 0;
    unsigned restarts = 0;
    const struct record *end = NULL;
    for (unsigned i = 0; (end = board_find(run->board, PF_EVENT_EXITED, ANY_TASK, i)) != NULL;
         i++) {
        crashes += end->level == 4 ? 1 : 0;
        restarts += end->will_restart == 1 ? 1 : 0;
    }
    assert_int_equal(crashes, 4);
    assert_int_equal(restarts, 3);
    assert_int_equal(board_count(run->board, PF_EVENT_GAVE_UP, ANY_TASK), 1);
}

/* ---- Giving up ----------------------------------------------------------------------- */

static struct board *worker_board;

static void end_gracefully(int signal) {
    (void)signal;
    board_note(worker_board, NOTE_ENDED, 0);
    _exit(0);
}

/* Worker 0 crashes as soon as its siblings are there, who have work to finish. */
static int crashes_beside_busy_siblings(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 0) {
        gate_wait(board, 0);
        return 1;
    }
    worker_board = board;
    (void)signal(SIGTERM, end_gracefully);
    board_note(board, NOTE_STATE, 0);
    wait_for_ever();
    return 0;
}

static void look_for_workers(struct board *board, int result) {
    (void)result;
    for (int i = 0; i < 4; i++) {
        const struct record *started = board_find(board, PF_EVENT_STARTED, i, 0);
        board_note_task(board, NOTE_LEFT, i, process_exists(started->pid));
    }
    board_require(board, waitpid(-1, NULL, WNOHANG) == -1);
    board_require(board, errno == ECHILD);
}

static void giving_up_stops_the_siblings_gracefully_before_the_call_returns(void **state) {
    static const struct plan plan = {
        .workers = 4, .work = crashes_beside_busy_siblings, .afterwards = look_for_workers};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, NOTE_STATE, ANY_TASK, 3));

    gate_open(run->board, 0);

    assert_exits(run, STATUS_RETURNED);
    assert_int_equal(board_find(run->board, KIND_RETURNED, ANY_TASK, 0)->value, PF_EGAVEUP);
    assert_int_equal(board_count(run->board, NOTE_ENDED, ANY_TASK), 3);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(board_find(run->board, NOTE_LEFT, i, 0)->value, 0);
    }
    const struct record *gave_up = board_find(run->board, PF_EVENT_GAVE_UP, ANY_TASK, 0);
    const struct record *stopping = board_find(run->board, PF_EVENT_STOPPING, ANY_TASK, 0);
    assert_true(board_find(run->board, PF_EVENT_EXITED, 0, 0) < gave_up);
    assert_true(gave_up < stopping);
    assert_true(stopping < board_find(run->board, PF_EVENT_EXITED, 1, 0));
    assert_string_equal(stopping->message, "Stopping 3 processes");
}

static int crashes_in_the_first_call_only(struct board *board, int task_id, int run) {
    (void)task_id;
    return board_count(board, KIND_RETURNED, ANY_TASK) == 0 ? 1 : run % 2;
}

static void call_again(struct board *board, int result) {
    static const struct plan again = {
        .workers = 2, .max_restarts = 2, .work = crashes_in_the_first_call_only};

    board_require(board, result == PF_EGAVEUP);
    board_note(board, NOTE_SECOND_CALL, 0);
    (void)plan_run(board, &again); /* ends this process */
    board_note(board, NOTE_SECOND_CALL, 1);
}

static void the_parent_may_call_again_after_giving_up(void **state) {
    static const struct plan plan = {.workers = 1,
                                     .max_restarts = 2,
                                     .work = crashes_in_the_first_call_only,
                                     .afterwards = call_again};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, NOTE_SECOND_CALL, ANY_TASK), 1);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTING, ANY_TASK), 2);
    assert_int_equal(board_count(run->board, PF_EVENT_DONE, ANY_TASK), 2);
    /* Slot 0 ran three times in the first call; its fourth worker crashes once more, so the
     * second call has a count of its own. */
    assert_int_equal(board_count(run->board, KIND_WORKER, 0), 5);
    assert_int_equal(board_count(run->board, KIND_WORKER, 1), 1);
    assert_int_equal(board_find(run->board, PF_EVENT_DONE, ANY_TASK, 1)->error, 0);
}

/* ---- Many ---------------------------------------------------------------------------- */

enum { MANY = SANITIZED ? 200 : 1000 };

static void a_thousand_workers_live_are_restarted_and_stop(void **state) {
    static const struct plan plan = {.workers = MANY, .max_restarts = 10};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, KIND_WORKER, ANY_TASK, MANY));
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(run->board->runs[i], 1);
    }

    for (int i = 0; i < 10; i++) {
        int task_id = i * (MANY / 10) + i;
        const struct record *worker = board_find(run->board, KIND_WORKER, task_id, 0);
        assert_int_equal(kill(worker->author, SIGKILL), 0);
        assert_true(board_reaches(run->board, KIND_WORKER, task_id, 2));
    }
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), MANY + 10);
    scenario_signal(run, SIGTERM);

    assert_dies_of(run, SIGTERM);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), MANY + 10);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), MANY + 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(two_allowed_restarts_are_exactly_two),
        scenario_test(no_allowed_restart_gives_up_at_the_first_crash),
        scenario_test(a_negative_number_of_restarts_means_a_hundred),
        scenario_test(unlimited_restarts_have_no_end),
        scenario_test(restarts_are_counted_over_all_slots_together),
        scenario_test(giving_up_stops_the_siblings_gracefully_before_the_call_returns),
        scenario_test(the_parent_may_call_again_after_giving_up),
        scenario_test(a_thousand_workers_live_are_restarted_and_stop),
    };

    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
