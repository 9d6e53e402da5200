/*
 * ready_test.c - workers that say when they serve: pf_worker_ready() and its time-out
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_RESULT = KIND_NOTE, NOTE_WAITS = KIND_NOTE + 1 };
enum { WAITED_OUT_MS = 200 };
#define SHORT_MS (time_scale() * 300U) /* in which a worker gets ready */
#define LONG_MS PATIENCE_MS

static void say_ready(struct board *board) { board_note(board, NOTE_RESULT, pf_worker_ready()); }

static void begin(struct host *host, int workers, uint64_t timeout_ms) {
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, timeout_ms), 0);
    assert_int_equal(host_begin(host, workers), 0);
}

static void assert_all_results(const struct board *board, unsigned count, int64_t result) {
    assert_int_equal(board_count(board, NOTE_RESULT, ANY_TASK), count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(board_find(board, NOTE_RESULT, ANY_TASK, i)->value, result);
    }
}

/* ---- Saying so ------------------------------------------------------------------------- */

static int is_ready_after_the_gate(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    gate_wait(board, 0);
    say_ready(board);
    say_ready(board);
    wait_for_ever();
    return 1;
}

static void a_worker_is_starting_until_it_says_that_it_is_ready(void **state) {
    struct host *host = *state;
    host->work = is_ready_after_the_gate;
    begin(host, 2, LONG_MS);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));
    host_goes_on(host, 20);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_STARTING);
    assert_int_equal(board_count(host->board, PF_EVENT_READY, ANY_TASK), 0);

    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, 2));
    assert_true(host_reaches(host, NOTE_RESULT, ANY_TASK, 4));
    host_goes_on(host, 20);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pf_pool_worker_state(host->pool, i), PF_WORKER_READY);
        assert_int_equal(board_count(host->board, PF_EVENT_READY, i), 1); /* though said twice */
        assert_int_equal(board_find(host->board, PF_EVENT_READY, i, 0)->pid, host_pid(host, i, 0));
    }
    assert_all_results(host->board, 4, 0);
    assert_int_equal(host_stops(host), 0);
}

static void without_a_time_out_a_worker_is_ready_once_it_has_started(void **state) {
    struct host *host = *state;
    host->work = is_ready_after_the_gate;
    begin(host, 1, 0);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 1));
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_READY);

    gate_open(host->board, 0);

    assert_true(host_reaches(host, NOTE_RESULT, 0, 2));
    host_goes_on(host, 20);
    assert_all_results(host->board, 2, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_READY, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

static int is_ready_at_once(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    say_ready(board);
    wait_for_ever();
    return 1;
}

/* More of them than a socket takes messages: the host does not look meanwhile. */
static void all_are_heard_however_many_say_it_at_a_time(void **state) {
    enum { MANY = 150 };
    struct host *host = *state;
    host->work = is_ready_after_the_gate;
    begin(host, MANY, LONG_MS);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, MANY));

    gate_open(host->board, 0);

    assert_true(board_reaches(host->board, NOTE_RESULT, ANY_TASK, 2 * MANY));
    uint64_t begun = now_ms();
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, MANY));
    assert_true(now_ms() - begun < LONG_MS / 4);
    assert_all_results(host->board, 2 * MANY, 0);
    assert_int_equal(host_stops(host), 0);
}

enum { THREADS = 8 };
static struct board *thread_board;

static void *says_ready(void *unused) {
    gate_wait(thread_board, 0);
    say_ready(thread_board);
    return unused;
}

static int count_descriptors(void) {
    int count = 0;

    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

static int threads_say_it_together(struct board *board, int task_id, int run) {
    pthread_t threads[THREADS];
    int before = count_descriptors();

    (void)task_id;
    (void)run;
    thread_board = board;
    for (int i = 0; i < THREADS; i++) {
        board_require(board, pthread_create(&threads[i], NULL, says_ready, NULL) == 0);
    }
    gate_open(board, 0);
    for (int i = 0; i < THREADS; i++) {
        board_require(board, pthread_join(threads[i], NULL) == 0);
    }
    board_require(board, count_descriptors() == before);
    wait_for_ever();
    return 1;
}

static void several_threads_may_say_it(void **state) {
    struct host *host = *state;
    host->work = threads_say_it_together;
    begin(host, 1, LONG_MS);

    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_true(host_reaches(host, NOTE_RESULT, 0, THREADS));
    host_goes_on(host, 20);

    assert_all_results(host->board, THREADS, 0);
    assert_int_equal(board_count(host->board, PF_EVENT_READY, 0), 1);
    assert_int_equal(host_stops(host), 0);
}

static int lacks_descriptors(struct board *board, int task_id, int run) {
    struct rlimit limit;
    struct rlimit none = {.rlim_cur = 3, .rlim_max = 0};

    (void)task_id;
    (void)run;
    board_require(board, getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none.rlim_max = limit.rlim_max;
    board_require(board, setrlimit(RLIMIT_NOFILE, &none) == 0);
    say_ready(board);
    board_require(board, setrlimit(RLIMIT_NOFILE, &limit) == 0);
    wait_for_ever();
    return 1;
}

static void it_needs_no_descriptor(void **state) {
    struct host *host = *state;
    host->work = lacks_descriptors;
    begin(host, 1, LONG_MS);

    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_true(host_reaches(host, NOTE_RESULT, 0, 1)); /* which the worker notes after that */
    assert_all_results(host->board, 1, 0);
    assert_int_equal(host_stops(host), 0);
}

/* ---- The time-out ---------------------------------------------------------------------- */

static int ignores_term_at_first(struct board *board, int task_id, int run) {
    if (run == 0) {
        return ignores_term(board, task_id, run);
    }
    return is_ready_at_once(board, task_id, run);
}

static void who_never_gets_ready_is_killed_and_counted(void **state) {
    struct host *host = *state;
    host->work = ignores_term_at_first;
    begin(host, 1, SHORT_MS);

    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));

    const struct record *exited = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(board_find(host->board, PF_EVENT_UNRESPONSIVE, 0, 0)->pid, exited->pid);
    assert_int_equal(exited->signal, SIGKILL);
    assert_int_equal(exited->will_restart, 1);
    assert_int_equal(exited->restarts, 1);
    assert_true(exited->uptime_ms >= SHORT_MS);
    assert_int_equal(pf_pool_worker_restarts(host->pool, 0), 1);
    host_goes_on(host, 2 * SHORT_MS); /* nothing is awaited of one that is ready */
    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, ANY_TASK), 1);
    assert_int_equal(host_stops(host), 0);
}

static void pools_give_up_workers_that_never_get_ready(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 1), 0);
    begin(host, 1, WAITED_OUT_MS);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, 0), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_GAVE_UP, ANY_TASK), 1);
}

/* Where the C library has seconds of 32 bits, these are too many for it. */
static void a_time_out_of_a_hundred_years_is_one(void **state) {
    struct host *host = *state;
    const uint64_t hundred_years_ms = UINT64_C(3155760000) * 1000U;
    host->work = is_ready_after_the_gate;
    begin(host, 1, hundred_years_ms);
    assert_true(host_reaches(host, KIND_WORKER, 0, 1));
    host_goes_on(host, 20);
    assert_int_equal(pf_pool_worker_state(host->pool, 0), PF_WORKER_STARTING);

    gate_open(host->board, 0);

    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_int_equal(host_stops(host), 0);
}

static void a_stop_comes_before_the_time_out(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 1, LONG_MS);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    assert_int_equal(host_stops(host), 0);

    assert_int_equal(board_count(host->board, PF_EVENT_UNRESPONSIVE, ANY_TASK), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->exit_code, 0);
}

static void a_host_that_looks_late_takes_nobody_for_late(void **state) {
    struct host *host = *state;
    host->work = is_ready_at_once;
    begin(host, 4, WAITED_OUT_MS);
    assert_true(host_turn(host, 0)); /* they start */

    assert_true(board_reaches(host->board, NOTE_RESULT, ANY_TASK, 4));
    pause_ms(3 * WAITED_OUT_MS);

    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, 4));
    host_goes_on(host, 2 * WAITED_OUT_MS);
    assert_int_equal(board_count(host->board, PF_EVENT_READY, ANY_TASK), 4);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);
    assert_int_equal(host_stops(host), 0);
}

/* The host sleeps in the kernel when it is stopped, and its workers are just not ready then. */
static int host_to_be_stopped(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = is_ready_after_the_gate;
    board_require(board, pf_pool_set_ready_timeout(host.pool, (uint64_t)3 * SHORT_MS) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, ANY_TASK, 2));
    board_note(board, NOTE_WAITS, 0);
    board_require(board, host_reaches(&host, PF_EVENT_READY, ANY_TASK, 2));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void a_supervisor_that_was_stopped_kills_nobody_who_is_ready_soon(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_to_be_stopped);
    assert_true(board_reaches(run->board, NOTE_WAITS, ANY_TASK, 1));
    scenario_signal(run, SIGSTOP);
    assert_true(process_reaches_state(run->supervisor, 'T'));

    pause_ms(5 * SHORT_MS);
    scenario_signal(run, SIGCONT);
    pause_ms(WAITED_OUT_MS);
    gate_open(run->board, 0);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_UNRESPONSIVE, ANY_TASK), 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, ANY_TASK), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_worker_is_starting_until_it_says_that_it_is_ready),
        host_test(without_a_time_out_a_worker_is_ready_once_it_has_started),
        host_test(all_are_heard_however_many_say_it_at_a_time),
        host_test(several_threads_may_say_it),
        host_test(it_needs_no_descriptor),
        host_test(who_never_gets_ready_is_killed_and_counted),
        host_test(pools_give_up_workers_that_never_get_ready),
        host_test(a_time_out_of_a_hundred_years_is_one),
        host_test(a_stop_comes_before_the_time_out),
        host_test(a_host_that_looks_late_takes_nobody_for_late),
        scenario_test(a_supervisor_that_was_stopped_kills_nobody_who_is_ready_soon),
    };

    return run_group_with_each_backend("ready", tests);
}
