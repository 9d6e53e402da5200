/*
 * pool_signals_test.c - signals that control a pool: PF_SIGNALS_STANDARD, PF_SIGNALS_STOP_ONLY
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_RESULT = KIND_NOTE, NOTE_STOP_SIGNAL, NOTE_GOT, NOTE_FORGED };

static const int standard[] = {SIGTERM, SIGINT,  SIGQUIT, SIGTTIN,
                               SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH};
enum { STANDARD = sizeof(standard) / sizeof(standard[0]) };

/* What the hosts of a test do; set before the scenario is started. */
static int (*work)(struct board *board, int task_id, int run);
static int wanted_workers = 2;
static int wanted_set = PF_SIGNALS_STANDARD;
static uint64_t stop_timeout_ms = 10000;

/* ---- Hosts ----------------------------------------------------------------------------- */

static void require_defaults(struct board *board) {
    for (int i = 0; i < STANDARD; i++) {
        struct sigaction action;
        board_require(board, sigaction(standard[i], NULL, &action) == 0);
        board_require(board, action.sa_handler == SIG_DFL);
    }
    board_require(board, process_signals(getpid(), "SigBlk") == 0);
}

/* SIGALRM makes it forge what a terminal sends to a job in the background. */
static struct board *handler_board;

static void forge_terminal_signals(int signal) {
    static const int forged[] = {SIGTTIN, SIGTTOU};

    (void)signal;
    for (int i = 0; i < 2; i++) {
        siginfo_t info;
        memset(&info, 0, sizeof(info));
        info.si_signo = forged[i];
        info.si_code = SI_KERNEL;
        board_require(handler_board, syscall(SYS_rt_sigqueueinfo, getpid(), forged[i], &info) == 0);
    }
    board_note(handler_board, NOTE_FORGED, 0);
}

static void open_standard(struct host *host, struct board *board) {
    handler_board = board;
    board_require(board, signal(SIGALRM, forge_terminal_signals) != SIG_ERR);
    host_open(host, board);
    host->work = work;
    board_require(board, pf_pool_set_signals(host->pool, wanted_set) == 0);
    board_require(board, pf_pool_set_stop(host->pool, SIGTERM, stop_timeout_ms) == 0);
    board_require(board, pf_pool_set_workers(host->pool, wanted_workers) == 0);
}

static int host_that_runs(struct board *board) {
    struct host host;
    int task_id = 0;

    open_standard(&host, board);
    board_require(board, pf_pool_set_event_callback(host.pool, host_note_event, board, NULL) == 0);
    host.result = pf_pool_run(host.pool, &task_id);
    require_defaults(board); /* given back at the end, before the pool is freed */
    board_note(board, NOTE_RESULT, host.result);
    board_note(board, NOTE_STOP_SIGNAL, pf_pool_stop_signal(host.pool));
    host_close(&host);
    return 0;
}

/* Waits in its own loop, where a signal must make the descriptor readable. */
static int host_that_dispatches(struct board *board) {
    struct host host;

    open_standard(&host, board);
    board_require(board, pf_pool_start(host.pool) == 0);
    while (host_turn(&host, -1)) {
    }
    require_defaults(board);
    board_note(board, NOTE_RESULT, host.result);
    board_note(board, NOTE_STOP_SIGNAL, pf_pool_stop_signal(host.pool));
    host_close(&host);
    return 0;
}

static void start(struct scenario *run, host_fn host,
                  int (*wanted_work)(struct board *, int, int)) {
    work = wanted_work;
    scenario_start_host(run, host);
    assert_true(board_reaches(run->board, NOTE_READY, ANY_TASK, (unsigned)wanted_workers));
    assert_true(process_reaches_state(run->supervisor, 'S'));
}

static void assert_stopped_by(struct scenario *run, int signal) {
    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, 0);
    assert_int_equal(board_find(run->board, NOTE_STOP_SIGNAL, ANY_TASK, 0)->value, signal);
    assert_int_equal(board_count(run->board, PF_EVENT_STOPPING, ANY_TASK), 1);
    assert_int_equal(board_find(run->board, PF_EVENT_STOPPING, ANY_TASK, 0)->signal, signal);
    assert_int_equal(board_count(run->board, PF_EVENT_DONE, ANY_TASK), 1);
}

static int scenario_setup_with_defaults(void **state) {
    wanted_workers = 2;
    wanted_set = PF_SIGNALS_STANDARD;
    stop_timeout_ms = 10000;
    return scenario_setup(state);
}

#define signals_test(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, scenario_setup_with_defaults, scenario_teardown)

/* ---- To stop --------------------------------------------------------------------------- */

static void term_stops_a_run_gracefully(void **state) {
    struct scenario *run = *state;
    start(run, host_that_runs, ends_on_term);

    scenario_signal(run, SIGTERM);

    assert_stopped_by(run, SIGTERM);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 0)->exit_code, 0);
    }
}

static void term_stops_a_dispatch_gracefully(void **state) {
    struct scenario *run = *state;
    start(run, host_that_dispatches, ends_on_term);

    scenario_signal(run, SIGTERM);

    assert_stopped_by(run, SIGTERM);
}

static void assert_stops(struct scenario *run, int signal) {
    wanted_set = PF_SIGNALS_STOP_ONLY;
    start(run, host_that_runs, ends_on_term);

    scenario_signal(run, signal);

    assert_stopped_by(run, signal);
}

static void term_is_among_those_that_stop(void **state) { assert_stops(*state, SIGTERM); }
static void int_is_among_those_that_stop(void **state) { assert_stops(*state, SIGINT); }
static void quit_is_among_those_that_stop(void **state) { assert_stops(*state, SIGQUIT); }
static void hup_is_among_those_that_stop(void **state) { assert_stops(*state, SIGHUP); }

/* The host dies of it, as by default. */
static void usr1_is_not_taken_with_them(void **state) {
    struct scenario *run = *state;
    wanted_set = PF_SIGNALS_STOP_ONLY;
    start(run, host_that_runs, ends_on_term);

    scenario_signal(run, SIGUSR1);

    assert_dies_of(run, SIGUSR1);
    for (int i = 0; i < wanted_workers; i++) {
        pid_t worker = board_find(run->board, NOTE_READY, i, 0)->author;
        assert_int_equal(waitpid(worker, NULL, 0), worker);
    }
}

static void assert_killed_after(struct scenario *run, int signal, uint64_t timeout_ms) {
    start(run, host_that_runs, ignores_term);

    scenario_signal(run, signal);

    assert_stopped_by(run, signal);
    assert_int_equal(board_count(run->board, PF_EVENT_KILLED, ANY_TASK), 2);
    const struct record *stopping = board_find(run->board, PF_EVENT_STOPPING, ANY_TASK, 0);
    const struct record *killed = board_find(run->board, PF_EVENT_KILLED, ANY_TASK, 0);
    assert_int_equal(killed->delay_ms, timeout_ms);
    assert_in_range(killed->time_ns - stopping->time_ns, 1000000 * timeout_ms,
                    1000000 * (timeout_ms + 8000));
}

static void int_gives_a_second_at_most(void **state) { assert_killed_after(*state, SIGINT, 1000); }

static void quit_gives_no_more_than_the_hosts_own_time(void **state) {
    stop_timeout_ms = 150;
    assert_killed_after(*state, SIGQUIT, 150);
}

static void int_gives_a_second_where_the_host_gives_no_end(void **state) {
    stop_timeout_ms = 0;
    assert_killed_after(*state, SIGINT, 1000);
}

static void a_second_signal_kills(void **state) {
    struct scenario *run = *state;
    start(run, host_that_runs, ignores_term);
    scenario_signal(run, SIGTERM);
    assert_true(board_reaches(run->board, PF_EVENT_STOPPING, ANY_TASK, 1));
    uint64_t first_ms = now_ms();
    while (now_ms() < first_ms + 250) {
        pause_ms(10); /* one that comes within 200 ms is taken for the same request */
    }
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 0);

    scenario_signal(run, SIGQUIT);

    assert_stopped_by(run, SIGTERM);
    assert_true(now_ms() < first_ms + 9000); /* long before the time-out */
    assert_int_equal(board_count(run->board, PF_EVENT_KILLED, ANY_TASK), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 0)->signal, SIGKILL);
    }
}

static int waits_for_the_gate(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, signal(SIGTERM, SIG_IGN) != SIG_ERR);
    board_note(board, NOTE_READY, 0);
    gate_wait(board, 0);
    return 0;
}

static void signals_close_together_are_one_request(void **state) {
    struct scenario *run = *state;
    uint64_t both = (UINT64_C(1) << (SIGTERM - 1)) | (UINT64_C(1) << (SIGQUIT - 1));
    start(run, host_that_runs, waits_for_the_gate);
    pid_t supervisor = run->supervisor;

    /* While it is stopped both gather; it then sees them within the same moment. */
    assert_int_equal(kill(supervisor, SIGSTOP), 0);
    assert_true(process_reaches_state(supervisor, 'T'));
    scenario_signal(run, SIGTERM);
    scenario_signal(run, SIGQUIT);
    assert_int_equal(kill(supervisor, SIGCONT), 0);
    assert_true(board_reaches(run->board, PF_EVENT_STOPPING, ANY_TASK, 1));
    while ((process_signals(supervisor, "ShdPnd") & both) != 0) {
        pause_ms(1);
    }
    assert_true(process_reaches_state(supervisor, 'S'));
    gate_open(run->board, 0);

    assert_exits(run, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 0)->exit_code, 0);
    }
}

/* As the terminal does it for Ctrl-C: workers that die of it are not restarted. */
static int dies_of_int(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_note(board, NOTE_READY, 0);
    wait_for_ever();
    return 0;
}

static void a_signal_to_the_whole_group_restarts_nothing(void **state) {
    struct scenario *run = *state;
    wanted_workers = 10;
    start(run, host_that_runs, dies_of_int);

    assert_int_equal(kill(-run->supervisor, SIGINT), 0);

    assert_stopped_by(run, SIGINT);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(board_find(run->board, PF_EVENT_EXITED, i, 0)->will_restart, 0);
    }
}

/* ---- One more, one fewer --------------------------------------------------------------- */

static void assert_resized_to(struct scenario *run, unsigned nth, const char *message) {
    assert_true(board_reaches(run->board, PF_EVENT_RESIZED, ANY_TASK, nth + 1));
    assert_string_equal(board_find(run->board, PF_EVENT_RESIZED, ANY_TASK, nth)->message, message);
}

static void ttin_and_ttou_change_the_number(void **state) {
    struct scenario *run = *state;
    start(run, host_that_runs, ends_on_term);

    scenario_signal(run, SIGTTIN);
    assert_resized_to(run, 0, "Resized to 3 processes");
    assert_true(board_reaches(run->board, NOTE_READY, 2, 1));
    scenario_signal(run, SIGTTOU);
    assert_resized_to(run, 1, "Resized to 2 processes");
    assert_true(board_reaches(run->board, PF_EVENT_EXITED, 2, 1));
    scenario_signal(run, SIGTTOU);
    assert_resized_to(run, 2, "Resized to 1 processes");
    assert_true(board_reaches(run->board, PF_EVENT_EXITED, 1, 1));
    scenario_signal(run, SIGTTOU); /* never below 1 */
    while ((process_signals(run->supervisor, "ShdPnd") & UINT64_C(1) << (SIGTTOU - 1)) != 0) {
        pause_ms(1);
    }
    /* Its handler has run. The pool knows of it when it waits again. */
    assert_true(process_reaches_state(run->supervisor, 'S'));
    scenario_signal(run, SIGTTIN);
    assert_resized_to(run, 3, "Resized to 2 processes");

    scenario_signal(run, SIGTERM);
    assert_stopped_by(run, SIGTERM);
    assert_int_equal(board_count(run->board, PF_EVENT_RESIZED, ANY_TASK), 4);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTED, 0), 1);
}

static void those_of_a_terminal_do_not(void **state) {
    struct scenario *run = *state;
    start(run, host_that_runs, ends_on_term);

    scenario_signal(run, SIGALRM);
    assert_true(board_reaches(run->board, NOTE_FORGED, ANY_TASK, 1));
    assert_true(process_reaches_state(run->supervisor, 'S'));
    scenario_signal(run, SIGTTIN);
    assert_resized_to(run, 0, "Resized to 3 processes");

    scenario_signal(run, SIGTERM);
    assert_stopped_by(run, SIGTERM);
    assert_int_equal(board_count(run->board, PF_EVENT_RESIZED, ANY_TASK), 1);
}

/* ---- Passed on ------------------------------------------------------------------------- */

static void note_signal(int signal) { board_note(handler_board, NOTE_GOT, signal); }

static int notes_signals(struct board *board, int task_id, int run) {
    handler_board = board;
    board_require(board, signal(SIGUSR1, note_signal) != SIG_ERR);
    board_require(board, signal(SIGUSR2, note_signal) != SIG_ERR);
    board_require(board, signal(SIGWINCH, note_signal) != SIG_ERR);
    return ends_on_term(board, task_id, run);
}

static void usr1_usr2_and_winch_reach_all_workers(void **state) {
    static const int passed[] = {SIGUSR1, SIGUSR2, SIGWINCH};
    struct scenario *run = *state;
    start(run, host_that_runs, notes_signals);

    for (unsigned i = 0; i < 3; i++) {
        scenario_signal(run, passed[i]);
        for (int task_id = 0; task_id < 2; task_id++) {
            assert_true(board_reaches(run->board, NOTE_GOT, task_id, i + 1));
            assert_int_equal(board_find(run->board, NOTE_GOT, task_id, i)->value, passed[i]);
        }
    }

    scenario_signal(run, SIGTERM);
    assert_stopped_by(run, SIGTERM);
    assert_int_equal(board_count(run->board, NOTE_GOT, ANY_TASK), 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        signals_test(term_stops_a_run_gracefully),
        signals_test(term_stops_a_dispatch_gracefully),
        signals_test(term_is_among_those_that_stop),
        signals_test(int_is_among_those_that_stop),
        signals_test(quit_is_among_those_that_stop),
        signals_test(hup_is_among_those_that_stop),
        signals_test(usr1_is_not_taken_with_them),
        signals_test(int_gives_a_second_at_most),
        signals_test(quit_gives_no_more_than_the_hosts_own_time),
        signals_test(int_gives_a_second_where_the_host_gives_no_end),
        signals_test(a_second_signal_kills),
        signals_test(signals_close_together_are_one_request),
        signals_test(a_signal_to_the_whole_group_restarts_nothing),
        signals_test(ttin_and_ttou_change_the_number),
        signals_test(those_of_a_terminal_do_not),
        signals_test(usr1_usr2_and_winch_reach_all_workers),
    };

    return run_group_with_each_backend("pool signals", tests);
}
