/*
 * pool_worker_test.c - in what state a pool's worker runs, and how it leaves
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_EXIT = KIND_NOTE };

/* ---- The way out ----------------------------------------------------------------------- */

static const int results[] = {0, 1, 7, 255, 256, 511, -1};
enum { RESULTS = sizeof(results) / sizeof(results[0]) };

static int returns_its_result(struct board *board, int task_id, int run) {
    (void)board;
    (void)run;
    return results[task_id];
}

static void what_the_function_returns_is_the_exit_status(void **state) {
    struct host *host = *state;
    host->work = returns_its_result;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    assert_int_equal(host_begin(host, RESULTS), 0);

    assert_int_equal(host_finishes(host), 0);

    for (int i = 0; i < RESULTS; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, i, 0)->exit_code,
                         results[i] & 0xff);
    }
}

static FILE *log_file;
static struct board *exit_board;

static void note_exit(void) { board_note(exit_board, NOTE_EXIT, getpid()); }

static int prints(struct board *board, int task_id, int run) {
    (void)board;
    board_require(board, fprintf(log_file, "worker %d.%d\n", task_id, run) > 0);
    return run == 0 ? 1 : 0;
}

static int host_that_prints(struct board *board) {
    struct host host;

    exit_board = board;
    board_require(board, atexit(note_exit) == 0);
    log_file = fopen("log", "we");
    board_require(board, log_file != NULL && fputs("host\n", log_file) >= 0);
    host_open(&host, board);
    host.work = prints;
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_finishes(&host) == 0);
    board_require(board, fputs("end\n", log_file) >= 0);
    host_close(&host);
    return fclose(log_file);
}

static unsigned count_in(const char *text, const char *line) {
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
        count++;
    }
    return count;
}

static void stdio_is_written_once_and_atexit_is_the_hosts(void **state) {
    struct scenario *run = *state;
    char scratch[256];
    char text[4096] = "";
    scratch_enter(scratch, sizeof(scratch));

    scenario_start_host(run, host_that_prints);
    pid_t supervisor = run->supervisor;
    int status = scenario_wait(run);
    FILE *written = fopen("log", "re");
    if (written != NULL) {
        text[fread(text, 1, sizeof(text) - 1, written)] = '\0';
        (void)fclose(written); /* nothing was written */
    }
    scratch_leave(scratch);

    assert_int_equal(status, 0);
    assert_int_equal(count_in(text, "host\n"), 1);
    assert_int_equal(count_in(text, "end\n"), 1);
    assert_int_equal(count_in(text, "worker "), 6);
    assert_int_equal(board_count(run->board, NOTE_EXIT, ANY_TASK), 1);
    assert_int_equal(board_find(run->board, NOTE_EXIT, ANY_TASK, 0)->value, supervisor);
}

/* ---- What it inherits ------------------------------------------------------------------ */

static struct descriptors host_descriptors;
static sigset_t host_mask;

static int compares_with_host(struct board *board, int task_id, int run) {
    struct descriptors own;
    sigset_t mask;
    struct sigaction action;

    board_require(board, pf_task_id() == task_id);
    descriptors_take(&own);
    worker_has_descriptors_of(board, &own, &host_descriptors);
    board_require(board, sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    for (int number = 1; number < NSIG; number++) {
        board_require(board, sigismember(&mask, number) == sigismember(&host_mask, number));
    }
    for (int number = 1; number <= 31; number++) {
        board_require(board, sigaction(number, NULL, &action) == 0);
        bool ignored = number == SIGUSR2;
        board_require(board, SANITIZED || action.sa_handler == (ignored ? SIG_IGN : SIG_DFL));
    }
    return run < 2 ? 1 : 0;
}

static int host_with_a_mask(struct board *board) {
    struct host host;
    int hole = open("/dev/null", O_RDONLY | O_CLOEXEC);

    board_require(board, hole >= 0 && dup2(hole, 100) == 100);
    board_require(board, close(hole) == 0); /* the library's own go there */
    (void)sigemptyset(&host_mask);
    (void)sigaddset(&host_mask, SIGUSR1);
    (void)sigaddset(&host_mask, SIGRTMIN + 2);
    board_require(board, sigprocmask(SIG_SETMASK, &host_mask, NULL) == 0);
    board_require(board, signal(SIGUSR2, SIG_IGN) != SIG_ERR);
    descriptors_take(&host_descriptors);
    host_open(&host, board);
    host.work = compares_with_host;
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, host_begin(&host, 6) == 0);
    board_require(board, host_finishes(&host) == 0);
    host_close(&host);
    struct descriptors after;
    descriptors_take(&after);
    board_require(board, strcmp(after.text, host_descriptors.text) == 0);
    return 0;
}

static void it_has_the_hosts_descriptors_mask_and_dispositions(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_a_mask);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 18);
}

enum { FIRST_NUMBER = 3, LAST_NUMBER = 40 };

/* Puts the ends of a pipe where the library's descriptors were. Returns the end to read. */
static int reuse_numbers(struct board *board) {
    int ends[2];

    for (int fd = FIRST_NUMBER; fd <= LAST_NUMBER; fd++) {
        (void)close(fd); /* most are not open */
    }
    board_require(board, pipe2(ends, O_CLOEXEC) == 0);
    for (int fd = FIRST_NUMBER; fd <= LAST_NUMBER; fd++) {
        if (fd != ends[0] && fd != ends[1]) {
            board_require(board, dup2(ends[1], fd) == fd);
        }
    }
    return ends[0];
}

/* Nothing has been written to descriptors that are the process's own by now. */
static void require_nothing_written(struct board *board, int end) {
    struct pollfd one = {.fd = end, .events = POLLIN};

    board_require(board, poll(&one, 1, 0) == 0);
}

static int nothing_to_do(int task_id, void *user) {
    (void)task_id;
    (void)user;
    return 0;
}

/* Has a pool of its own, whose signals wake what this process has, not what it inherited. */
static int supervises_with_numbers_reused(struct board *board, int task_id, int run) {
    pf_pool *pool = NULL;
    const pf_event *event = NULL;
    int result = 0;
    int end = reuse_numbers(board);

    (void)task_id;
    (void)run;
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_backend(pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_workers(pool, 2) == 0);
    board_require(board, pf_pool_set_signals(pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, nothing_to_do, NULL, NULL) == 0);
    board_require(board, pf_pool_start(pool) == 0);
    do {
        result = pf_pool_dispatch(pool, 10);
        board_require(board, result <= 0 || kill(getpid(), SIGWINCH) == 0);
        while (pf_pool_next_event(pool, &event) == 1) {
        }
    } while (result == 1);
    board_require(board, result == 0);
    (void)pf_pool_free(pool);
    require_nothing_written(board, end);
    return 0;
}

static void its_own_descriptors_are_never_taken_for_the_librarys(void **state) {
    struct host *host = *state;
    host->work = supervises_with_numbers_reused;
    assert_int_equal(host_begin(host, 2), 0);

    assert_int_equal(host_finishes(host), 0);
}

/* ---- When the supervisor ends ---------------------------------------------------------- */

static int tells_its_death_signal(struct board *board, int task_id, int run) {
    int number = -1;

    (void)task_id;
    (void)run;
    board_require(board, prctl(PR_GET_PDEATHSIG, &number) == 0);
    board_note(board, NOTE_EXIT, number);
    return 0;
}

static void assert_death_signal(struct host *host, int number) {
    host->work = tells_its_death_signal;
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(board_find(host->board, NOTE_EXIT, 0, 0)->value, number);
}

static void the_death_signal_is_as_chosen(void **state) {
    const struct host *host = *state;
    assert_int_equal(pf_pool_set_parent_death_signal(host->pool, SIGUSR1), 0);
    assert_death_signal(*state, SIGUSR1);
}

static void there_may_be_no_death_signal(void **state) {
    const struct host *host = *state;
    assert_int_equal(pf_pool_set_parent_death_signal(host->pool, 0), 0);
    assert_death_signal(*state, 0);
}

static int host_that_is_killed(struct board *board) {
    struct host host;

    host_open(&host, board);
    board_require(board, host_begin(&host, 6) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, ANY_TASK, 6));
    board_note(board, NOTE_EXIT, 0);
    wait_for_ever();
    return 0;
}

static void workers_end_with_a_supervisor_that_is_killed(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_that_is_killed);
    assert_true(board_reaches(run->board, NOTE_EXIT, ANY_TASK, 1));

    scenario_signal(run, SIGKILL);

    assert_dies_of(run, SIGKILL);
    assert_int_equal(reap_all(), 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(what_the_function_returns_is_the_exit_status),
        scenario_test(stdio_is_written_once_and_atexit_is_the_hosts),
        scenario_test(it_has_the_hosts_descriptors_mask_and_dispositions),
        host_test(its_own_descriptors_are_never_taken_for_the_librarys),
        host_test(the_death_signal_is_as_chosen),
        host_test(there_may_be_no_death_signal),
        scenario_test(workers_end_with_a_supervisor_that_is_killed),
    };

    return run_group_with_each_backend("pool worker", tests);
}
