/*
 * spares_test.c - workers that are started ahead of need: pf_pool_set_spares()
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "forker.h"

enum { NOTE_HOST = KIND_NOTE + 1 };
enum { SHORT_MS = 300 };

static void begin(struct host *host, int workers, int spares) {
    assert_int_equal(pf_pool_set_spares(host->pool, spares), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, (unsigned)spares));
}

static pid_t spare_pid(const struct host *host, unsigned nth) {
    const struct record *record =
        board_find(host->board, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, nth);
    return record == NULL ? 0 : (pid_t)record->pid;
}

static void assert_spares(const struct host *host, uint64_t count) {
    assert_int_equal(pf_pool_counter(host->pool, PF_COUNT_SPARES), count);
}

static void assert_all_ends_reported(const struct host *host) {
    unsigned taken = 0;
    for (unsigned nth = 0; spare_pid(host, nth) != 0; nth++) {
        taken += board_find_pid(host->board, PF_EVENT_STARTED, spare_pid(host, nth)) != NULL;
    }
    assert_int_equal(board_count(host->board, PF_EVENT_SPARE_EXITED, ANY_TASK) + taken,
                     board_count(host->board, PF_EVENT_SPARE_STARTED, ANY_TASK));
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK),
                     board_count(host->board, PF_EVENT_EXITED, ANY_TASK));
}

static void assert_stops(struct host *host) {
    assert_int_equal(host_stops(host), 0);
    assert_spares(host, 0);
    assert_all_ends_reported(host);
}

/* ---- Forked spares --------------------------------------------------------------------------- */

static void a_spare_takes_the_slot_of_a_worker_that_dies(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 2, 1);
    assert_true(board_reaches(host->board, NOTE_READY, ANY_TASK, 2));
    assert_int_equal(pf_pool_alive_count(host->pool), 2);
    assert_spares(host, 1);

    assert_int_equal(kill(host_pid(host, 1, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 2));

    assert_int_equal(host_pid(host, 1, 1), spare_pid(host, 0));
    assert_true(board_reaches(host->board, KIND_WORKER, 1, 2));
    assert_int_equal(board_find(host->board, KIND_WORKER, 1, 1)->pid, spare_pid(host, 0));
    assert_true(board_reaches(host->board, NOTE_READY, 1, 2));
    assert_spares(host, 1);
    assert_stops(host);
}

static void a_spare_serves_nobody_before_it_has_a_slot(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 1, 2);
    assert_true(host_reaches(host, KIND_WORKER, 0, 1));

    host_goes_on(host, SHORT_MS);

    assert_int_equal(board_count(host->board, KIND_WORKER, ANY_TASK), 1);
    assert_int_equal(pf_pool_send_signal(host->pool, -1, SIGCONT), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_SPARE_EXITED, ANY_TASK), 0);
    assert_stops(host);
}

static void a_burst_uses_all_of_them_and_all_come_back(void **state) {
    enum { WORKERS = 5, SPARES = 2 };
    struct host *host = *state;
    begin(host, WORKERS, SPARES);
    for (int task_id = 0; task_id < WORKERS; task_id++) {
        assert_int_equal(kill(host_pid(host, task_id, 0), SIGKILL), 0);
    }

    assert_true(host_reaches(host, PF_EVENT_STARTED, ANY_TASK, 2 * WORKERS));
    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 2 * SPARES));

    assert_int_equal(pf_pool_alive_count(host->pool), WORKERS);
    assert_spares(host, SPARES);
    assert_stops(host);
}

static void a_spare_that_ends_is_started_again_uncounted(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 0), 0);
    begin(host, 1, 1);

    assert_int_equal(kill(spare_pid(host, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 2));

    const struct record *ended = board_find(host->board, PF_EVENT_SPARE_EXITED, PF_TASK_SPARE, 0);
    assert_int_equal(ended->signal, SIGKILL);
    assert_int_equal(ended->will_restart, 1);
    assert_int_equal(ended->restarts, 0);
    assert_in_range(ended->delay_ms, 9, 1000);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);
    assert_stops(host);
}

static void a_signal_ends_a_spare_as_it_ends_a_worker(void **state) {
    struct host *host = *state;
    begin(host, 1, 1);

    assert_int_equal(kill(spare_pid(host, 0), SIGTERM), 0);
    assert_true(host_reaches(host, PF_EVENT_SPARE_EXITED, PF_TASK_SPARE, 1));

    assert_int_equal(board_find(host->board, PF_EVENT_SPARE_EXITED, ANY_TASK, 0)->signal, SIGTERM);
    assert_stops(host);
}

/* No signal of the pool reaches it: it sees the end of its pipe. */
static void a_spare_that_is_not_needed_exits_normally(void **state) {
    struct host *host = *state;
    begin(host, 1, 2);

    assert_int_equal(pf_pool_set_spares(host->pool, 0), 0);
    assert_true(host_reaches(host, PF_EVENT_SPARE_EXITED, PF_TASK_SPARE, 2));

    assert_int_equal(board_find(host->board, PF_EVENT_SPARE_EXITED, ANY_TASK, 0)->exit_code, 0);
    assert_int_equal(board_find(host->board, PF_EVENT_SPARE_EXITED, ANY_TASK, 1)->exit_code, 0);
    assert_stops(host);
}

/* Stopped, it cannot read that it has the slot. */
static void a_spare_that_dies_while_it_takes_over_ends_as_the_worker(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 1, 1);
    assert_true(board_reaches(host->board, NOTE_READY, 0, 1));
    assert_int_equal(kill(spare_pid(host, 0), SIGSTOP), 0);
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));

    assert_int_equal(kill(spare_pid(host, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 3));

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 1)->pid, spare_pid(host, 0));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 1)->signal, SIGKILL);
    assert_true(board_reaches(host->board, KIND_WORKER, 0, 2));
    assert_stops(host);
}

static void a_dead_spare_takes_no_slot(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    siginfo_t info;
    begin(host, 1, 1);
    assert_true(board_reaches(host->board, NOTE_READY, 0, 1));
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_int_equal(kill(spare_pid(host, 0), SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)spare_pid(host, 0), &info, WEXITED | WNOWAIT), 0);

    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));
    assert_true(host_reaches(host, PF_EVENT_SPARE_EXITED, PF_TASK_SPARE, 1));

    assert_true(board_reaches(host->board, KIND_WORKER, 0, 2));
    assert_stops(host);
}

static void a_kill_ends_them_too(void **state) {
    struct host *host = *state;
    begin(host, 2, 3);

    assert_int_equal(pf_pool_kill(host->pool), 0);

    assert_int_equal(host_finishes(host), 0);
    assert_spares(host, 0);
    assert_all_ends_reported(host);
}

static void a_pool_whose_workers_are_done_ends_its_spares(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    begin(host, 1, 2);
    assert_true(board_reaches(host->board, NOTE_READY, 0, 1));

    assert_int_equal(kill(host_pid(host, 0, 0), SIGTERM), 0);

    assert_int_equal(host_finishes(host), 0);
    assert_all_ends_reported(host);
}

static void a_reload_takes_new_workers_of_new_spares(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    /* The old spare has to end, and a new one to start, before the last replacement begins. */
    assert_int_equal(pf_pool_set_min_uptime(host->pool, time_scale() * 400U), 0);
    begin(host, 3, 1);
    pid_t old = spare_pid(host, 0);
    board_note_task(host->board, KIND_REPLACED, ANY_TASK, 0);

    assert_int_equal(pf_pool_reload(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_RELOADED, ANY_TASK, 1));
    assert_true(host_reaches(host, PF_EVENT_SPARE_EXITED, PF_TASK_SPARE, 1));

    const struct record *ended = board_find_pid(host->board, PF_EVENT_SPARE_EXITED, old);
    assert_non_null(ended);
    assert_int_equal(ended->reason, PF_REASON_RELOAD);
    assert_null(board_find_pid(host->board, PF_EVENT_STARTED, old));
    unsigned taken = 0;
    for (unsigned nth = 1; spare_pid(host, nth) != 0; nth++) {
        taken += board_find_pid(host->board, PF_EVENT_STARTED, spare_pid(host, nth)) != NULL;
    }
    assert_true(taken > 0);
    assert_stops(host);
}

static void their_number_changes_while_the_pool_runs(void **state) {
    struct host *host = *state;
    begin(host, 1, 0);

    assert_int_equal(pf_pool_set_spares(host->pool, 3), 0);
    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 3));
    assert_int_equal(pf_pool_set_spares(host->pool, 1), 0);
    assert_true(host_reaches(host, PF_EVENT_SPARE_EXITED, PF_TASK_SPARE, 2));
    assert_spares(host, 1);
    assert_int_equal(pf_pool_resize(host->pool, 2), 0);
    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 4));
    assert_int_equal(host_pid(host, 1, 0), spare_pid(host, 0));
    assert_int_equal(pf_pool_set_spares(host->pool, 0), 0);
    assert_true(host_reaches(host, PF_EVENT_SPARE_EXITED, PF_TASK_SPARE, 3));

    assert_spares(host, 0);
    assert_int_equal(pf_pool_alive_count(host->pool), 2);
    assert_stops(host);
}

static void an_uptime_begins_with_the_slot(void **state) {
    struct host *host = *state;
    begin(host, 1, 1);
    host_goes_on(host, SHORT_MS);

    uint64_t killed_ms = now_ms();
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));

    uint64_t uptime_ms = pf_pool_worker_uptime_ms(host->pool, 0);
    assert_in_range(uptime_ms, 0, now_ms() - killed_ms + 1);
    assert_stops(host);
}

static void a_number_out_of_range_is_refused(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_spares(NULL, 1), -EINVAL);
    assert_int_equal(pf_pool_set_spares(host->pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_spares(host->pool, 65537), -EINVAL);
    begin(host, 1, 1);
    assert_int_equal(pf_pool_set_spares(host->pool, -1), -EINVAL);
    assert_stops(host);
    assert_int_equal(pf_pool_set_spares(host->pool, 1), -ECANCELED);
}

/* ---- Spares by exec -------------------------------------------------------------------------- */

static void an_executed_spare_waits_where_it_asks_who_it_is(void **state) {
    struct host *host = *state;
    executes(host, "ready", "retire", "run:", "ready", "wait", NULL);
    begin(host, 1, 1);
    assert_true(host_reports(host, "run  result=0 task=0", 1));
    assert_true(host_reports(host, text_of("is ready result=%d", -EAGAIN), 1));
    assert_true(host_reports(host, text_of("retires result=%d", -EAGAIN), 1));

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reports(host, "run  result=0 task=0", 2));

    assert_int_equal(host_pid(host, 0, 1), spare_pid(host, 0));
    assert_stops(host);
}

static void executed_spares_that_end_at_once_make_no_storm(void **state) {
    struct host *host = *state;
    executes(host, "exit:3", NULL);
    assert_int_equal(pf_pool_set_boot_limit(host->pool, 3), 0);
    assert_int_equal(pf_pool_set_spares(host->pool, 2), 0);
    uint64_t begin_ms = now_ms();
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    uint64_t later = 4 * (now_ms() - begin_ms) / 1000; /* of programs that take long to end */
    assert_in_range(board_count(host->board, PF_EVENT_SPARE_STARTED, ANY_TASK), 0, 12 + later);
    assert_all_ends_reported(host);
}

static void another_program_makes_other_spares(void **state) {
    struct host *host = *state;
    executes(host, "run:", "wait", NULL);
    begin(host, 1, 1);

    const char *arguments[] = {"exec_worker", "args", "run:", "wait", NULL};
    assert_int_equal(pf_pool_set_exec(host->pool, program_path("exec_worker"), arguments, NULL), 0);

    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 2));
    assert_non_null(board_find_pid(host->board, PF_EVENT_SPARE_EXITED, spare_pid(host, 0)));
    assert_stops(host);
}

/* ---- Spares that the host forks -------------------------------------------------------------- */

static void a_spare_of_the_hosts_fork_gets_a_slot(void **state) {
    struct host *host = *state;
    host->work = ends_on_term;
    assert_int_equal(pf_pool_set_spares(host->pool, 1), 0);
    assert_int_equal(forker_begin(host, 2), 0);
    assert_true(forker_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 1));
    assert_true(board_reaches(host->board, NOTE_READY, ANY_TASK, 2));

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(forker_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 2));

    assert_int_equal(host_pid(host, 0, 1), spare_pid(host, 0));
    assert_true(board_reaches(host->board, KIND_WORKER, 0, 2));
    assert_int_equal(forker_stops(host), 0);
    assert_all_ends_reported(host);
}

/* ---- The end of the supervisor --------------------------------------------------------------- */

static int host_of_spares(struct board *board) {
    struct host host;

    host_open(&host, board);
    board_require(board, pf_pool_set_parent_death_signal(host.pool, 0) == 0);
    board_require(board, pf_pool_set_spares(host.pool, 3) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 3));
    board_note(board, NOTE_HOST, 0);
    (void)host_finishes(&host);
    return 1;
}

static void spares_end_with_a_supervisor_that_is_killed(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_of_spares);
    assert_true(board_reaches(run->board, NOTE_HOST, ANY_TASK, 1));

    scenario_signal(run, SIGKILL);
    assert_dies_of(run, SIGKILL);

    /* They come to this process, which is a subreaper. */
    for (unsigned nth = 0; nth < 3; nth++) {
        int status = 0;
        pid_t pid = board_find(run->board, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, nth)->pid;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status)); /* not 0 if it had not come to its wait yet */
    }
    pid_t worker = board_find(run->board, PF_EVENT_STARTED, 0, 0)->pid;
    assert_int_equal(kill(worker, SIGKILL), 0); /* it watches nothing */
    assert_int_equal(waitpid(worker, NULL, 0), worker);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_spare_takes_the_slot_of_a_worker_that_dies),
        host_test(a_spare_serves_nobody_before_it_has_a_slot),
        host_test(a_burst_uses_all_of_them_and_all_come_back),
        host_test(a_spare_that_ends_is_started_again_uncounted),
        host_test(a_signal_ends_a_spare_as_it_ends_a_worker),
        host_test(a_spare_that_is_not_needed_exits_normally),
        host_test(a_spare_that_dies_while_it_takes_over_ends_as_the_worker),
        host_test(a_dead_spare_takes_no_slot),
        host_test(a_kill_ends_them_too),
        host_test(a_pool_whose_workers_are_done_ends_its_spares),
        host_test(a_reload_takes_new_workers_of_new_spares),
        host_test(their_number_changes_while_the_pool_runs),
        host_test(an_uptime_begins_with_the_slot),
        host_test(a_number_out_of_range_is_refused),
        executed_test(an_executed_spare_waits_where_it_asks_who_it_is),
        executed_test(executed_spares_that_end_at_once_make_no_storm),
        executed_test(another_program_makes_other_spares),
        host_test(a_spare_of_the_hosts_fork_gets_a_slot),
        scenario_test(spares_end_with_a_supervisor_that_is_killed),
    };
    return run_group_with_each_backend("spares", tests);
}
