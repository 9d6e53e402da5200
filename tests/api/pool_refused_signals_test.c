/*
 * pool_refused_signals_test.c - signals that the system does not let the supervisor send or handle
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "host.h"

enum { NOTE_GOT = KIND_NOTE, NOTE_SENT, NOTE_SENT_ALL, NOTE_RESULT, NOTE_FREED, NOTE_ALIVE };
enum { OTHER_USER = 61001, THIRD_USER = 61002 };
#define FREED_WITHIN_MS (time_scale() * (SANITIZED ? 12000U : 6000U))
/* In which a worker ends, or gets on the board. */
#define STOP_MS (time_scale() * 1000U)
#define READY_MS (time_scale() * 600U)

static struct board *handler_board;
static int filter_error;

static void note_signal(int signal) { board_note(handler_board, NOTE_GOT, signal); }

static int hears_user_signals(struct board *board, int task_id, int run) {
    handler_board = board;
    board_require(board, signal(SIGUSR1, note_signal) != SIG_ERR);
    return task_id == 1 ? ignores_term(board, task_id, run) : ends_on_term(board, task_id, run);
}

static uint64_t free_takes_ms(struct host *host) {
    uint64_t start = now_ms();

    host_close(host);
    return now_ms() - start;
}

/* ---- Signals by pidfd alone are refused ------------------------------------------------ */

static int host_without_pidfd_signals(struct board *board) {
    struct host host;

    board_require(board, filter_forbid(SYS_pidfd_send_signal, filter_error));
    host_open(&host, board);
    host.work = hears_user_signals;
    board_require(board, pf_pool_set_stop(host.pool, SIGTERM, STOP_MS) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    board_require(board, pf_pool_send_signal(host.pool, 0, SIGUSR1) == 0);
    board_require(board, host_reaches(&host, NOTE_GOT, 0, 1));
    board_require(board, pf_pool_send_signal(host.pool, -1, SIGUSR1) == 0);
    board_require(board, host_reaches(&host, NOTE_GOT, ANY_TASK, 3));
    board_require(board, kill(host_pid(&host, 1, 0), SIGSTOP) == 0);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void assert_pids_are_used_instead(struct scenario *run, int error) {
    filter_error = error;

    scenario_start_host(run, host_without_pidfd_signals);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 0, 0)->exit_code, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 1, 0)->signal, SIGKILL);
    assert_int_equal(board_count(run->board, PF_EVENT_KILLED, 1), 1);
}

static void without_signals_by_pidfd_pids_are_used(void **state) {
    assert_pids_are_used_instead(*state, ENOSYS);
}

static void where_signals_by_pidfd_are_forbidden_pids_are_used(void **state) {
    assert_pids_are_used_instead(*state, EPERM);
}

static int host_freed_without_pidfd_signals(struct board *board) {
    struct host host;

    board_require(board, filter_forbid(SYS_pidfd_send_signal, EPERM));
    host_open(&host, board);
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, ANY_TASK, 3));
    host_close(&host);
    board_require(board, children_alive() == 0);
    return 0;
}

static void a_free_uses_pids_as_well(void **state) {
    scenario_start_host(*state, host_freed_without_pidfd_signals);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- No signal can be sent ------------------------------------------------------------- */

/* In the supervisor alone, whose workers are there already. */
static void forbid_signals(struct board *board) {
    board_require(board, filter_forbid(SYS_pidfd_send_signal, EPERM));
    board_require(board, filter_forbid(SYS_kill, EPERM));
}

static int host_that_can_send_nothing(struct board *board) {
    struct host host;
    int status = 0;

    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_stop(host.pool, SIGTERM, 50) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    forbid_signals(board);
    board_note(board, NOTE_SENT, pf_pool_send_signal(host.pool, 1, SIGUSR1));
    board_note(board, NOTE_SENT_ALL, pf_pool_send_signal(host.pool, -1, 0));
    board_note(board, NOTE_RESULT, host_stops(&host));
    board_note(board, NOTE_ALIVE, pf_pool_alive_count(host.pool));
    board_require(board, pf_pool_worker_state(host.pool, 0) == PF_WORKER_STOPPING);
    board_note(board, NOTE_FREED, (int64_t)free_takes_ms(&host));
    while (waitpid(-1, &status, 0) > 0) { /* until the test has ended them */
        board_require(board, status == 0);
    }
    return 0;
}

static void end_left_worker(const struct board *board, int task_id) {
    assert_int_equal(kill(board_find(board, PF_EVENT_STARTED, task_id, 0)->pid, SIGTERM), 0);
}

static void assert_reported_as_refused(const struct board *board, int task_id) {
    const struct record *stop = board_find(board, PF_EVENT_UNRESPONSIVE, task_id, 0);
    const struct record *kill = board_find(board, PF_EVENT_UNRESPONSIVE, task_id, 1);

    assert_non_null(stop);
    assert_non_null(kill);
    assert_int_equal(stop->error, -EPERM);
    assert_int_equal(stop->signal, SIGTERM);
    assert_int_equal(kill->error, -EPERM);
    assert_int_equal(kill->signal, SIGKILL);
    assert_int_equal(board_count(board, PF_EVENT_UNRESPONSIVE, task_id), 2);
}

static void what_could_not_be_sent_is_reported_and_the_pool_ends(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_can_send_nothing);

    assert_true(board_reaches(run->board, NOTE_FREED, ANY_TASK, 1));
    assert_int_equal(board_find(run->board, NOTE_SENT, ANY_TASK, 0)->value, -EPERM);
    assert_int_equal(board_find(run->board, NOTE_SENT_ALL, ANY_TASK, 0)->value, -EPERM);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, -EPERM);
    assert_int_equal(board_find(run->board, NOTE_ALIVE, ANY_TASK, 0)->value, 2);
    assert_in_range(board_find(run->board, NOTE_FREED, ANY_TASK, 0)->value, 0, FREED_WITHIN_MS);
    assert_int_equal(board_count(run->board, PF_EVENT_KILLED, ANY_TASK), 0);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 0);
    assert_reported_as_refused(run->board, 0);
    assert_reported_as_refused(run->board, 1);
    assert_int_equal(board_find(run->board, PF_EVENT_DONE, ANY_TASK, 0)->error, -EPERM);
    run->output_taken = true;
    assert_non_null(strstr(scenario_output(run), "prefork: child 0 (pid "));
    assert_non_null(strstr(scenario_output(run), "prefork: child 1 (pid "));
    assert_non_null(strstr(scenario_output(run), "could not be killed, left behind: "));
    end_left_worker(run->board, 0);
    end_left_worker(run->board, 1);
    assert_exits(run, 0);
}

/* The stop descriptor needs no signal. */
static int ends_by_descriptor(struct board *board, int task_id, int run) {
    struct pollfd stop = {.fd = pf_worker_stop_fd(), .events = POLLIN};

    (void)task_id;
    (void)run;
    board_note(board, NOTE_READY, 0);
    board_require(board, poll(&stop, 1, -1) == 1);
    return 0;
}

static int host_whose_workers_watch_the_descriptor(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = ends_by_descriptor;
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 1));
    forbid_signals(board);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void a_worker_that_watches_its_stop_descriptor_needs_no_signal(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_whose_workers_watch_the_descriptor);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_UNRESPONSIVE, 0, 0)->error, -EPERM);
    assert_int_equal(board_find(run->board, PF_EVENT_DONE, ANY_TASK, 0)->error, 0);
}

/* A pool that runs goes on trying, and is quiet about it. */
static int host_of_a_worker_that_is_never_ready(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_ready_timeout(host.pool, READY_MS) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 1));
    forbid_signals(board);
    board_require(board, host_reaches(&host, PF_EVENT_UNRESPONSIVE, 0, 1));
    host_goes_on(&host, 1500);
    board_note(board, NOTE_ALIVE, pf_pool_alive_count(host.pool));
    board_require(board, host_reaches(&host, PF_EVENT_EXITED, 0, 1));
    host_close(&host); /* the next worker: it cannot be killed */
    board_note(board, NOTE_FREED, 0);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    return 0;
}

static void a_late_worker_that_can_not_be_killed_is_reported_once(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_of_a_worker_that_is_never_ready);

    assert_true(board_reaches(run->board, NOTE_ALIVE, ANY_TASK, 1));
    assert_int_equal(board_find(run->board, NOTE_ALIVE, ANY_TASK, 0)->value, 1);
    assert_int_equal(board_count(run->board, PF_EVENT_UNRESPONSIVE, 0), 1);
    assert_int_equal(board_find(run->board, PF_EVENT_UNRESPONSIVE, 0, 0)->error, -EPERM);
    assert_int_equal(board_find(run->board, PF_EVENT_UNRESPONSIVE, 0, 0)->signal, SIGKILL);
    end_left_worker(run->board, 0);
    assert_true(board_reaches(run->board, NOTE_FREED, ANY_TASK, 1));
    if (board_find(run->board, PF_EVENT_STARTED, 0, 1) != NULL) {
        (void)kill(board_find(run->board, PF_EVENT_STARTED, 0, 1)->pid, SIGKILL);
    }
    run->output_taken = true;
    assert_exits(run, 0);
}

/* ---- Workers of another user ----------------------------------------------------------- */

static int becomes_another_user(struct board *board, int task_id, int run) {
    board_require(board, setresuid(OTHER_USER, OTHER_USER, OTHER_USER) == 0);
    return ends_on_term(board, task_id, run);
}

static int host_of_another_user(struct board *board) {
    struct host host;

    leave_out_leak_check();
    host_open(&host, board);
    host.work = becomes_another_user;
    board_require(board, pf_pool_set_stop(host.pool, SIGTERM, 50) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 1));
    board_require(board, setresuid(THIRD_USER, THIRD_USER, 0) == 0);
    board_note(board, NOTE_SENT, pf_pool_send_signal(host.pool, 0, SIGUSR1));
    board_require(board, pf_pool_stop(host.pool) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_UNRESPONSIVE, 0, 2));
    /* With its rights back the next attempt succeeds. */
    board_require(board, setresuid(0, 0, 0) == 0);
    board_note(board, NOTE_RESULT, host_finishes(&host));
    host_close(&host);
    return 0;
}

static void a_kill_without_permission_is_tried_again(void **state) {
    struct scenario *run = *state;
    if (geteuid() != 0) {
        skip();
    }

    scenario_start_host(run, host_of_another_user);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_SENT, ANY_TASK, 0)->value, -EPERM);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_KILLED, ANY_TASK), 0);
    assert_reported_as_refused(run->board, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 0, 0)->signal, SIGKILL);
}

/* ---- Handlers ------------------------------------------------------------------------------ */

static int host_that_may_handle_no_signal(struct board *board) {
    struct host host;
    int task_id = 0;

    host_open(&host, board);
    host.work = ends_at_once;
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STOP_ONLY) == 0);
    board_require(board, pf_pool_set_workers(host.pool, 1) == 0);
    board_require(board, pf_pool_set_event_callback(host.pool, host_note_event, board, NULL) == 0);
    board_require(board, filter_forbid(SYS_rt_sigaction, EPERM));
    board_require(board, pf_pool_run(host.pool, &task_id) == 0);
    host_close(&host);
    return 0;
}

static void signals_that_may_not_be_handled_are_reported(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_that_may_handle_no_signal);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_SIGNAL_UNAVAILABLE, ANY_TASK), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(without_signals_by_pidfd_pids_are_used),
        scenario_test(where_signals_by_pidfd_are_forbidden_pids_are_used),
        scenario_test(a_free_uses_pids_as_well),
        scenario_test(what_could_not_be_sent_is_reported_and_the_pool_ends),
        scenario_test(a_worker_that_watches_its_stop_descriptor_needs_no_signal),
        scenario_test(a_late_worker_that_can_not_be_killed_is_reported_once),
        scenario_test(a_kill_without_permission_is_tried_again),
        scenario_test(signals_that_may_not_be_handled_are_reported),
    };

    return run_group_with_each_backend("pool refused signals", tests);
}
