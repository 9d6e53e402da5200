/*
 * statuses_test.c - every way for a worker to end is told as it was
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scenario.h"

/* ---- Exit statuses ------------------------------------------------------------------- */

/* The first worker exits with 1, the next one with 2, and so on to 255, then 0. */
static int exits_with_the_next_status(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    return (run + 1) % 256;
}

static void each_of_256_exit_statuses_is_reported(void **state) {
    static const struct plan plan = {
        .workers = 1, .max_restarts = PF_UNLIMITED, .work = exits_with_the_next_status};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 256);
    for (unsigned i = 0; i < 256; i++) {
        const struct record *end = board_find(run->board, PF_EVENT_EXITED, 0, i);
        char expected[BOARD_MESSAGE_SIZE];
        int status = (int)((i + 1) % 256);
        assert_int_equal(end->exit_code, status);
        assert_int_equal(end->signal, 0);
        assert_int_equal(end->core_dumped, 0);
        assert_int_equal(end->will_restart, status != 0);
        (void)snprintf(expected, sizeof(expected),
                       status == 0 ? "child 0 (pid %d) exited normally"
                                   : "child 0 (pid %d) exited with status %d, restarting",
                       (int)end->pid, status);
        assert_string_equal(end->message, expected);
    }
}

/* ---- Signals ------------------------------------------------------------------------- */

/* Whether the default of a signal is to end the process. */
static bool terminates(int signal) {
    switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH: /* ignored */
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU: /* stop */
        return false;
    default:
        return true;
    }
}

/* The nth signal that terminates, from 0; 0: no more. */
static int nth_terminating_signal(int nth) {
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        if (terminates(signal) && nth-- == 0) {
            return signal;
        }
    }
    return 0;
}

/* End this process by a signal, by whatever number: the C library has two for itself. */
static void die_of(int number) {
    sigset_t none;

    /* Past the C library, which refuses its own two; make leaves those ignored in its children. */
    const unsigned long default_action[4] = {0};
    (void)syscall(SYS_rt_sigaction, number, default_action, NULL, 8);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)kill(getpid(), number);
    wait_for_ever();
}

/* What the system says of a process that dies of a signal with this core limit. */
static int status_of_reference(int number, rlim_t core_limit) {
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        struct rlimit limit = {.rlim_cur = core_limit, .rlim_max = core_limit};
        if (setrlimit(RLIMIT_CORE, &limit) != 0) {
            _exit(1);
        }
        die_of(number);
    }
    return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

static void forbid_core_dumps(struct board *board) {
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = 0};

    board_require(board, setrlimit(RLIMIT_CORE, &limit) == 0);
}

static int dies_of_the_next_signal(struct board *board, int task_id, int run) {
    int signal = nth_terminating_signal(run);

    (void)board;
    (void)task_id;
    if (signal > 0) {
        die_of(signal);
    }
    return 0;
}

static void each_terminating_signal_is_reported(void **state) {
    static const struct plan plan = {.workers = 1,
                                     .max_restarts = PF_UNLIMITED,
                                     .prepare = forbid_core_dumps,
                                     .work = dies_of_the_next_signal};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    int signal = 0;
    for (unsigned i = 0; (signal = nth_terminating_signal((int)i)) > 0; i++) {
        const struct record *end = board_find(run->board, PF_EVENT_EXITED, 0, i);
        char expected[BOARD_MESSAGE_SIZE];
        assert_int_equal(end->signal, signal);
        assert_int_equal(end->exit_code, -1);
        assert_int_equal(end->will_restart, 1);
        /* Where core dumps go to a program, the limit of 0 does not forbid them. */
        int reference = status_of_reference(signal, 0);
        assert_int_equal(WTERMSIG(reference), signal);
        assert_int_equal(end->core_dumped, WCOREDUMP(reference) ? 1 : 0);
        (void)snprintf(expected, sizeof(expected),
                       "child 0 (pid %d) killed by signal %d, restarting", (int)end->pid, signal);
        assert_string_equal(end->message, expected);
    }
    assert_true(board_count(run->board, PF_EVENT_EXITED, 0) >= 50); /* there are 56 on Linux */
}

/* ---- Core dumps ---------------------------------------------------------------------- */

enum { CORE_LIMIT = 1 << 26 };

static void allow_core_dumps(struct board *board) {
    struct rlimit limit = {.rlim_cur = CORE_LIMIT, .rlim_max = CORE_LIMIT};

    board_require(board, setrlimit(RLIMIT_CORE, &limit) == 0);
}

static const int core_signals[] = {SIGABRT, SIGSEGV, SIGQUIT, SIGTERM, SIGKILL};
enum { CORE_SIGNALS = sizeof(core_signals) / sizeof(core_signals[0]) };

static int dies_of_the_next_core_signal(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    if (run < CORE_SIGNALS) {
        die_of(core_signals[run]);
    }
    return 0;
}

static void a_core_dump_is_reported_when_there_is_one(void **state) {
    static const struct plan plan = {.workers = 1,
                                     .max_restarts = PF_UNLIMITED,
                                     .prepare = allow_core_dumps,
                                     .work = dies_of_the_next_core_signal};
    struct scenario *run = *state;
    char scratch[256];
    int expected[CORE_SIGNALS];
    int dumps = 0;

    scratch_enter(scratch, sizeof(scratch));
    for (unsigned i = 0; i < CORE_SIGNALS; i++) {
        int reference = status_of_reference(core_signals[i], CORE_LIMIT);
        expected[i] = WCOREDUMP(reference) ? 1 : 0;
        dumps += expected[i];
    }
    scenario_start(run, &plan);
    int status = scenario_wait(run);
    scratch_leave(scratch);

    assert_int_equal(status, 0);
    for (unsigned i = 0; i < CORE_SIGNALS; i++) {
        const struct record *end = board_find(run->board, PF_EVENT_EXITED, 0, i);
        assert_int_equal(end->signal, core_signals[i]);
        assert_int_equal(end->core_dumped, expected[i]);
    }
    if (dumps == 0) {
        print_message("skipped: this system makes no core dumps (core_pattern, or a limit)\n");
        skip();
    }
    assert_int_equal(dumps, 3); /* ABRT, SEGV and QUIT; TERM and KILL never leave one */
}

/* ---- Several at once ----------------------------------------------------------------- */

enum { CROWD = 32, CROWD_RUNS = 4 };

/* Each worker has a status of its own, so that none can be told of another. */
static int exits_with_its_own_status(struct board *board, int task_id, int run) {
    (void)board;
    return run < CROWD_RUNS ? 1 + task_id * CROWD_RUNS + run : 0;
}

static void statuses_of_a_crowd_are_not_mixed_up(void **state) {
    static const struct plan plan = {
        .workers = CROWD, .max_restarts = PF_UNLIMITED, .work = exits_with_its_own_status};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    for (int task_id = 0; task_id < CROWD; task_id++) {
        assert_int_equal(board_count(run->board, PF_EVENT_EXITED, task_id), CROWD_RUNS + 1);
        for (int i = 0; i < CROWD_RUNS; i++) {
            const struct record *end =
                board_find(run->board, PF_EVENT_EXITED, task_id, (unsigned)i);
            assert_int_equal(end->exit_code, 1 + task_id * CROWD_RUNS + i);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(each_of_256_exit_statuses_is_reported),
        scenario_test(each_terminating_signal_is_reported),
        scenario_test(a_core_dump_is_reported_when_there_is_one),
        scenario_test(statuses_of_a_crowd_are_not_mixed_up),
    };

    return cmocka_run_group_tests_name("statuses", tests, NULL, NULL);
}
