/*
 * heartbeat_test.c - workers that give signs of life, and those that stop: pf_worker_heartbeat()
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_RESULT = KIND_NOTE, NOTE_ABORTED = KIND_NOTE + 1, NOTE_HANGS = KIND_NOTE + 2 };
enum { BEAT_MS = 5 };
/* A worker that beats may be without a processor so long. Each case takes several times that. */
#define TIMEOUT_MS ((SANITIZED ? 800U : 400U) + (time_scale() - 1) * 150U)
#define STOP_MS (time_scale() * 100U)

static struct board *worker_board;

static void begin(struct host *host, int workers) {
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, TIMEOUT_MS), 0);
    assert_int_equal(host_begin(host, workers), 0);
}

static void beat(struct board *board) { board_require(board, pf_worker_heartbeat() == 0); }

static void beat_for_ever(struct board *board) {
    for (;;) {
        beat(board);
        pause_ms(BEAT_MS);
    }
}

/* A dump of this process would tell nothing. */
static void leave_no_core(struct board *board) {
    struct rlimit none = {0, 0};

    board_require(board, setrlimit(RLIMIT_CORE, &none) == 0);
}

static void hang(struct board *board) {
    leave_no_core(board);
    beat(board);
    board_note(board, NOTE_HANGS, 0);
    wait_for_ever();
}

/* ---- A heart that beats ---------------------------------------------------------------- */

static int beats(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    beat_for_ever(board);
    return 1;
}

static int hangs_in_slot_1_at_first(struct board *board, int task_id, int run) {
    if (task_id == 1 && run == 0) {
        hang(board);
    }
    return beats(board, task_id, run);
}

static void who_hangs_is_aborted_and_restarted_and_nobody_else_is(void **state) {
    struct host *host = *state;
    host->work = hangs_in_slot_1_at_first;
    begin(host, 3);

    assert_true(host_reaches(host, KIND_WORKER, 1, 2));
    host_goes_on(host, 3 * TIMEOUT_MS);

    const struct record *exited = board_find(host->board, PF_EVENT_EXITED, 1, 0);
    const struct record *hangs = board_find(host->board, NOTE_HANGS, 1, 0);
    const struct record *told = board_find(host->board, PF_EVENT_UNRESPONSIVE, 1, 0);
    assert_int_equal(told->pid, exited->pid);
    assert_true(told->time_ns - hangs->time_ns >= TIMEOUT_MS * 3ULL / 4 * 1000000U);
    assert_int_equal(exited->signal, SIGABRT);
    assert_int_equal(exited->will_restart, 1);
    assert_int_equal(exited->restarts, 1);
    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, ANY_TASK), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

static int beats_once_it_may(struct board *board, int task_id, int run) {
    if (task_id == 0) {
        leave_no_core(board);
        gate_wait(board, 0);
        board_require(board, pf_worker_ready() == 0);
        wait_for_ever();
    }
    return beats(board, task_id, run);
}

static void without_a_ready_time_out_the_clock_starts_at_the_first_beat(void **state) {
    struct host *host = *state;
    begin(host, 2); /* they wait for ever, without a beat */

    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));
    host_goes_on(host, 3 * TIMEOUT_MS);

    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

static void with_a_ready_time_out_the_clock_starts_when_it_is_ready(void **state) {
    struct host *host = *state;
    host->work = beats_once_it_may;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    begin(host, 1);
    assert_true(host_reaches(host, KIND_WORKER, 0, 1));
    host_goes_on(host, 2 * TIMEOUT_MS);
    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, ANY_TASK), 0);

    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_UNRESPONSIVE, 0, 1));
    const struct record *ready = board_find(host->board, PF_EVENT_READY, 0, 0);
    const struct record *told = board_find(host->board, PF_EVENT_UNRESPONSIVE, 0, 0);
    assert_true(told->time_ns - ready->time_ns >= TIMEOUT_MS * 1000000ULL);
    assert_true(host_reaches(host, KIND_WORKER, 0, 2));
    assert_int_equal(host_stops(host), 0);
}

static void without_a_heartbeat_time_out_nobody_listens(void **state) {
    struct host *host = *state;
    host->work = hangs_in_slot_1_at_first;
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_HANGS, 1, 1));

    host_goes_on(host, 2 * TIMEOUT_MS);

    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

/* ---- The end of one that hangs --------------------------------------------------------- */

static void note_abort(int signal) {
    (void)signal;
    board_note(worker_board, NOTE_ABORTED, 0);
}

static int hangs_through_an_abort(struct board *board, int task_id, int run) {
    worker_board = board;
    if (run == 0) {
        board_require(board, signal(SIGABRT, note_abort) != SIG_ERR);
        hang(board);
    }
    return beats(board, task_id, run);
}

static void who_survives_the_abort_is_killed(void **state) {
    struct host *host = *state;
    host->work = hangs_through_an_abort;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, STOP_MS), 0);
    begin(host, 1);

    assert_true(host_reaches(host, KIND_WORKER, 0, 2));

    const struct record *exited = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    const struct record *killed = board_find(host->board, PF_EVENT_KILLED, 0, 0);
    const struct record *told = board_find(host->board, PF_EVENT_UNRESPONSIVE, 0, 0);
    assert_int_equal(board_count(host->board, NOTE_ABORTED, 0), 1);
    assert_int_equal(killed->delay_ms, STOP_MS);
    assert_true(killed->time_ns - told->time_ns >= STOP_MS * 1000000ULL);
    assert_int_equal(exited->signal, SIGKILL);
    assert_int_equal(exited->restarts, 1);
    assert_int_equal(host_stops(host), 0);
}

static void one_that_is_stopped_hangs_too(void **state) {
    struct host *host = *state;
    host->work = beats;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, PATIENCE_MS), 0);
    begin(host, 2);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));
    host_goes_on(host, TIMEOUT_MS);

    assert_int_equal(kill(host_pid(host, 0, 0), SIGSTOP), 0);

    assert_true(host_reaches(host, KIND_WORKER, 0, 2));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGABRT);
    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, 0), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, 0), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, 1), 0);
    assert_int_equal(host_stops(host), 0);
}

static void exit_normally(int signal) {
    (void)signal;
    _exit(0);
}

static int ends_well_when_aborted(struct board *board, int task_id, int run) {
    if (run < 2) {
        board_require(board, signal(SIGABRT, exit_normally) != SIG_ERR);
        hang(board);
    }
    return beats(board, task_id, run);
}

static void such_an_end_is_abnormal_whatever_the_status(void **state) {
    struct host *host = *state;
    host->work = ends_well_when_aborted;
    begin(host, 1);

    assert_true(host_reaches(host, KIND_WORKER, 0, 3));

    for (unsigned i = 0; i < 2; i++) {
        const struct record *exited = board_find(host->board, PF_EVENT_EXITED, 0, i);
        assert_int_equal(exited->exit_code, 0);
        assert_int_equal(exited->level, 4);
        assert_int_equal(exited->will_restart, 1);
        assert_int_equal(exited->restarts, i + 1);
    }
    assert_int_equal(host_stops(host), 0);
}

static void a_stop_waits_for_one_that_hangs_no_longer_than_for_others(void **state) {
    struct host *host = *state;
    host->work = hangs_through_an_abort;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 2 * STOP_MS), 0);
    begin(host, 1);
    assert_true(host_reaches(host, NOTE_ABORTED, 0, 1));

    assert_int_equal(host_stops(host), 0);

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGKILL);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, 0), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 1);
}

/* ---- A supervisor that does not look --------------------------------------------------- */

static int host_to_be_stopped(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = beats;
    board_require(board, pf_pool_set_heartbeat_timeout(host.pool, TIMEOUT_MS) == 0);
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, ANY_TASK, 3));
    board_note(board, NOTE_RESULT, 0);
    for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end && host_turn(&host, 5);) {
        if (board_count(board, NOTE_ABORTED, ANY_TASK) > 0) {
            (void)pf_pool_stop(host.pool);
        }
    }
    board_require(board, host.result == 0);
    host_close(&host);
    return 0;
}

static void assert_kills_nobody(struct scenario *run, bool workers_too) {
    scenario_start_host(run, host_to_be_stopped);
    assert_true(board_reaches(run->board, NOTE_RESULT, ANY_TASK, 1));
    pid_t supervisor = run->supervisor; /* and the number of its group */

    for (int i = 0; i < 3; i++) {
        assert_int_equal(kill(workers_too ? -supervisor : supervisor, SIGSTOP), 0);
        assert_true(process_reaches_state(supervisor, 'T'));
        pause_ms(TIMEOUT_MS * (unsigned)(5 + 2 * i) / 4);
        assert_int_equal(kill(workers_too ? -supervisor : supervisor, SIGCONT), 0);
        pause_ms(TIMEOUT_MS / 3);
    }
    pause_ms(TIMEOUT_MS * 3 / 2);

    board_note(run->board, NOTE_ABORTED, 0); /* enough */
    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_UNRESPONSIVE, ANY_TASK), 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), 3);
}

static void a_supervisor_that_was_stopped_kills_nobody_healthy(void **state) {
    assert_kills_nobody(*state, false);
}

static void nor_does_one_that_was_stopped_with_its_workers(void **state) {
    assert_kills_nobody(*state, true);
}

static void a_host_that_looks_late_takes_nobody_for_hung(void **state) {
    struct host *host = *state;
    host->work = beats;
    begin(host, 2);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));

    for (int i = 0; i < 4; i++) {
        pause_ms(TIMEOUT_MS * (unsigned)(2 + i) / 2);
        host_goes_on(host, TIMEOUT_MS / 2);
    }

    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(who_hangs_is_aborted_and_restarted_and_nobody_else_is),
        host_test(without_a_ready_time_out_the_clock_starts_at_the_first_beat),
        host_test(with_a_ready_time_out_the_clock_starts_when_it_is_ready),
        host_test(without_a_heartbeat_time_out_nobody_listens),
        host_test(who_survives_the_abort_is_killed),
        host_test(one_that_is_stopped_hangs_too),
        host_test(such_an_end_is_abnormal_whatever_the_status),
        host_test(a_stop_waits_for_one_that_hangs_no_longer_than_for_others),
        scenario_test(a_supervisor_that_was_stopped_kills_nobody_healthy),
        scenario_test(nor_does_one_that_was_stopped_with_its_workers),
        host_test(a_host_that_looks_late_takes_nobody_for_hung),
    };

    return run_group_with_each_backend("heartbeat", tests);
}
