/*
 * pool_kill_test.c - workers that do not end when asked to, and hosts that do not wait
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

static void assert_ended_by(const struct host *host, int task_id, int signal) {
    const struct record *end = board_find(host->board, PF_EVENT_EXITED, task_id, 0);

    assert_non_null(end);
    assert_int_equal(end->signal, signal);
    assert_int_equal(end->level, 6);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, task_id), 1);
}

/* ---- The time-out ---------------------------------------------------------------------- */

/* Those that obey end in it; the other one is only waited out. */
#define TIMEOUT_MS (time_scale() * 1000U)
enum { SHORT_TIMEOUT_MS = 150 };

/* Worker 1 obeys, the others do not. */
static int ignores_term_mostly(struct board *board, int task_id, int run) {
    return task_id == 1 ? ends_on_term(board, task_id, run) : ignores_term(board, task_id, run);
}

static void workers_that_ignore_the_signal_are_killed_in_time(void **state) {
    struct host *host = *state;
    host->work = ignores_term_mostly;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, TIMEOUT_MS), 0);
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 3));

    assert_int_equal(host_stops(host), 0);

    const struct record *stopping = board_find(host->board, PF_EVENT_STOPPING, ANY_TASK, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 2);
    for (int i = 0; i < 3; i += 2) {
        const struct record *killed = board_find(host->board, PF_EVENT_KILLED, i, 0);
        assert_int_equal(killed->pid, host_pid(host, i, 0));
        assert_int_equal(killed->delay_ms, TIMEOUT_MS);
        assert_in_range(killed->time_ns - stopping->time_ns, UINT64_C(1000000) * TIMEOUT_MS,
                        UINT64_C(1000000) * PATIENCE_MS);
        assert_ended_by(host, i, SIGKILL);
    }
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 1, 0)->exit_code, 0);
}

static int first_ignores_term(struct board *board, int task_id, int run) {
    if (task_id == 0) {
        return ignores_term(board, task_id, run);
    }
    board_note(board, NOTE_READY, 0);
    wait_for_ever();
    return 1;
}

static void a_stopped_worker_is_killed_in_time(void **state) {
    struct host *host = *state;
    host->work = first_ignores_term;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, TIMEOUT_MS), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));
    pid_t stopped = host_pid(host, 0, 0);
    assert_int_equal(kill(stopped, SIGSTOP), 0);
    assert_true(process_reaches_state(stopped, 'T'));
    host_goes_on(host, 20);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0); /* no end, no news */

    assert_int_equal(host_stops(host), 0);

    assert_ended_by(host, 0, SIGKILL);
    assert_ended_by(host, 1, SIGTERM);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 1);
}

static void another_stop_does_not_lengthen_the_time(void **state) {
    struct host *host = *state;
    uint64_t deadline = now_ms() + PATIENCE_MS;
    host->work = ignores_term;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, SHORT_TIMEOUT_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 1));

    while (host->result == 1 && now_ms() < deadline) {
        assert_int_equal(pf_pool_stop(host->pool), 0);
        (void)host_turn(host, SHORT_TIMEOUT_MS / 10);
    }

    assert_int_equal(host->result, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 1);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 1);
}

static void without_a_time_out_nobody_is_killed(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, 0), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));
    assert_int_equal(pf_pool_stop(host->pool), 0);

    host_goes_on(host, 200);

    assert_int_equal(pf_pool_alive_count(host->pool), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 0);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
}

/* ---- The host's own kill --------------------------------------------------------------- */

static void a_kill_escalates_a_stop(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 3));
    assert_int_equal(pf_pool_stop(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_STOPPING, ANY_TASK, 1));
    uint64_t stopped_ms = now_ms();

    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(pf_pool_kill(host->pool), 0);

    assert_int_equal(host_finishes(host), 0);
    assert_true(now_ms() - stopped_ms < 9000); /* long before the time-out */
    for (int i = 0; i < 3; i++) {
        assert_ended_by(host, i, SIGKILL);
    }
    /* KILLED tells of a time-out, and there was none. */
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 1);
}

static void a_kill_needs_no_stop_before(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 3));

    assert_int_equal(pf_pool_kill(host->pool), 0);
    (void)host_turn(host, 0);
    assert_int_equal(pf_pool_stop(host->pool), 0);

    assert_int_equal(host_finishes(host), 0);
    for (int i = 0; i < 3; i++) {
        assert_ended_by(host, i, SIGKILL);
    }
    assert_int_equal(board_count(host->board, PF_EVENT_STOPPING, ANY_TASK), 1);
}

static void a_kill_during_backoff_is_immediate(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_backoff(host->pool, 3600000, 3600000), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, PF_EVENT_EXITED, ANY_TASK, 2));

    assert_int_equal(pf_pool_kill(host->pool), 0);

    assert_int_equal(pf_pool_dispatch(host->pool, 0), 0);
}

/* ---- A pool freed while it runs -------------------------------------------------------- */

static pid_t pids[8];

static void remember_pids(const struct host *host) {
    for (int i = 0; i < 8; i++) {
        pids[i] = pf_pool_worker_pid(host->pool, i);
        assert_true(pids[i] > 0);
    }
}

/* Neither the processes nor zombies, and nothing that the test process could wait for. */
static void assert_nobody_is_left(void) {
    for (int i = 0; i < 8; i++) {
        assert_false(process_exists(pids[i]));
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void a_free_kills_and_reaps_all(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(host_begin(host, 8), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 8));
    remember_pids(host);

    host_close(host);

    assert_nobody_is_left();
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);
}

static void a_free_kills_stopped_workers_too(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 8), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 8));
    remember_pids(host);
    for (int i = 0; i < 8; i += 2) {
        assert_int_equal(kill(pids[i], SIGSTOP), 0);
        assert_true(process_reaches_state(pids[i], 'T'));
    }

    host_close(host);

    assert_nobody_is_left();
}

static void a_free_reaps_those_that_have_ended_untold(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 8), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 8));
    remember_pids(host);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(kill(pids[i], SIGKILL), 0);
        assert_true(process_reaches_state(pids[i], 'Z'));
    }

    host_close(host);

    assert_nobody_is_left();
}

static void a_free_in_the_midst_of_a_stop(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(host_begin(host, 8), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 8));
    remember_pids(host);
    assert_int_equal(pf_pool_stop(host->pool), 0);
    (void)host_turn(host, 0);

    host_close(host);

    assert_nobody_is_left();
}

static void a_free_right_after_the_start_has_nothing_to_kill(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 8), 0);

    host_close(host);

    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(board_count(host->board, KIND_WORKER, ANY_TASK), 0);
}

/* Children of the host are not the pool's. */
static void a_free_leaves_the_hosts_children_alone(void **state) {
    struct host *host = *state;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        gate_wait(host->board, 0);
        _exit(4);
    }
    assert_int_equal(host_begin(host, 8), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 8));

    host_close(host);

    assert_int_equal(waitpid(-1, &status, WNOHANG), 0);
    gate_open(host->board, 0);
    assert_int_equal(waitpid(-1, &status, 0), child);
    assert_int_equal(status, 4 << 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(workers_that_ignore_the_signal_are_killed_in_time),
        host_test(a_stopped_worker_is_killed_in_time),
        host_test(another_stop_does_not_lengthen_the_time),
        host_test(without_a_time_out_nobody_is_killed),
        host_test(a_kill_escalates_a_stop),
        host_test(a_kill_needs_no_stop_before),
        host_test(a_kill_during_backoff_is_immediate),
        host_test(a_free_kills_and_reaps_all),
        host_test(a_free_kills_stopped_workers_too),
        host_test(a_free_reaps_those_that_have_ended_untold),
        host_test(a_free_in_the_midst_of_a_stop),
        host_test(a_free_right_after_the_start_has_nothing_to_kill),
        host_test(a_free_leaves_the_hosts_children_alone),
    };

    return run_group_with_each_backend("pool kill", tests);
}
