/*
 * host_fork_runtime_test.c - what stays with the host's runtime when it forks: stdio, random
 * numbers, signals
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "forker.h"

enum { NOTE_VALUE = KIND_NOTE, NOTE_HEARD };

static FILE *host_file;

static int tells_random_number_and_size(struct board *board, int task_id, int run) {
    struct stat status;

    (void)task_id;
    (void)run;
    board_require(board, fstat(fileno(host_file), &status) == 0);
    board_note(board, NOTE_VALUE, status.st_size);
    board_note(board, NOTE_VALUE, rand());
    return 0;
}

static void stdio_and_random_numbers_are_the_hosts(void **state) {
    struct host *host = *state;
    host->work = tells_random_number_and_size;
    host_file = fdopen(memfd_create("buffered", MFD_CLOEXEC), "w");
    assert_non_null(host_file);
    assert_true(fputs("not yet written", host_file) >= 0);
    srand(5);
    int expected = rand();
    srand(5);
    assert_int_equal(forker_begin(host, 1), 0);

    int result = forker_finishes(host);

    assert_int_equal(board_find(host->board, NOTE_VALUE, 0, 0)->value, 0);
    assert_int_equal(board_find(host->board, NOTE_VALUE, 0, 1)->value, expected);
    assert_int_equal(result, 0);
    assert_int_equal(fclose(host_file), 0);
}

static struct board *handler_board;

static void note_signal(int signal) { board_note(handler_board, NOTE_HEARD, signal); }

static bool has_handler(int signal, void (*handler)(int)) {
    struct sigaction action;

    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == handler;
}

static int looks_at_signals(struct board *board, int task_id, int run) {
    sigset_t mask;

    (void)task_id;
    (void)run;
    board_require(board, has_handler(SIGTERM, SIG_DFL));
    board_require(board, has_handler(SIGINT, SIG_DFL));
    board_require(board, has_handler(SIGCHLD, note_signal));
    board_require(board, has_handler(SIGUSR1, note_signal));
    board_require(board, sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    board_require(board, sigismember(&mask, SIGUSR2) == 1 && sigismember(&mask, SIGTERM) == 0);
    board_note(board, NOTE_READY, 0);
    wait_for_ever();
    return 1;
}

static int host_with_signals(struct board *board) {
    struct host host;
    sigset_t mask;

    handler_board = board;
    board_require(board, signal(SIGCHLD, note_signal) != SIG_ERR);
    board_require(board, signal(SIGUSR1, note_signal) != SIG_ERR);
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGUSR2);
    board_require(board, sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
    host_open(&host, board);
    host.work = looks_at_signals;
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, forker_begin(&host, 2) == 0);
    board_require(board, forker_take(&host) == 0);
    board_require(board, has_handler(SIGTERM, SIG_DFL) == 0); /* the library's */

    /* One that comes while the child waits goes to the host's handler, and it waits on. */
    pid_t child = forker_child(&host, 0);
    board_require(board, process_reaches_state(child, 'S'));
    board_require(board, kill(child, SIGUSR1) == 0);
    board_require(board, board_reaches(board, NOTE_HEARD, -1, 1));
    board_require(board, process_reaches_state(child, 'S'));
    board_require(board, board_count(board, KIND_WORKER, ANY_TASK) == 0);
    board_require(board, pf_pool_fork_parent(host.pool, 0, child) == 0);
    board_require(board, forker_reaches(&host, NOTE_READY, ANY_TASK, 2));

    /* One for the pool that comes before the child has called ends it, as without the library. */
    board_require(board, kill(host_pid(&host, 1, 0), SIGKILL) == 0);
    board_require(board, forker_take(&host) == 1);
    child = fork();
    if (child == 0) {
        wait_for_ever();
    }
    board_require(board, kill(child, SIGTERM) == 0);
    board_require(board, process_reaches_state(child, 'Z'));
    board_require(board, pf_pool_fork_parent(host.pool, 1, child) == 0);
    board_require(board, forker_reaches(&host, NOTE_READY, 1, 2));
    board_require(board, forker_stops(&host) == 0);
    board_require(board, pf_pool_stop_signal(host.pool) == 0);
    host_close(&host);
    return 0;
}

static void signals_are_the_hosts(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_signals);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 1, 1)->signal, SIGTERM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(stdio_and_random_numbers_are_the_hosts),
        scenario_test(signals_are_the_hosts),
    };

    return run_group_with_each_backend("runtime of a host that forks", tests);
}
