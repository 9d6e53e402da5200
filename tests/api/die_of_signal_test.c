/*
 * die_of_signal_test.c - a program that ends as the signal that stopped its pool would end it
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_INIT = KIND_NOTE, NOTE_STATUS };
enum { STATUS_UNABLE = 60 };

static int signal_to_die_of;

/* ---- A program with a pool ----------------------------------------------------------------- */

static void run_pool_and_die(struct board *board) {
    struct host host;
    int task_id = 0;

    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, pf_pool_set_workers(host.pool, 2) == 0);
    board_require(board, pf_pool_set_signals(host.pool, PF_SIGNALS_STANDARD) == 0);
    board_require(board, pf_pool_set_event_callback(host.pool, host_note_event, board, NULL) == 0);
    host.result = pf_pool_run(host.pool, &task_id);
    board_require(board, host.result == 0);
    int number = pf_pool_stop_signal(host.pool);
    host_close(&host);
    (void)pf_die_of_signal(number);
    board_require(board, false);
}

static int host_with_a_pool(struct board *board) {
    run_pool_and_die(board);
    return 1;
}

static void a_program_dies_of_the_signal_that_stopped_its_pool(void **state) {
    static const int numbers[] = {SIGTERM, SIGINT};
    struct scenario *run = *state;

    for (unsigned i = 0; i < 2; i++) {
        scenario_start_host(run, host_with_a_pool);
        assert_true(board_reaches(run->board, NOTE_READY, ANY_TASK, 2 * (i + 1)));
        scenario_signal(run, numbers[i]);
        assert_dies_of(run, numbers[i]);
    }
}

/* Returns the wait status of process 1 as this process sees it. */
static int host_in_a_namespace(struct board *board) {
    int status = 0;

    leave_out_leak_check();
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
        board_note(board, NOTE_INIT, 0);
        return STATUS_UNABLE;
    }
    pid_t init = fork();
    if (init == 0) {
        board_require(board, prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L) == 0);
        board_require(board, getpid() == 1);
        run_pool_and_die(board);
    }
    board_note(board, NOTE_INIT, init);
    board_require(board, waitpid(init, &status, 0) == init);
    board_note(board, NOTE_STATUS, status);
    return 0;
}

static void assert_init_exits_with(struct scenario *run, int number) {
    scenario_start_host(run, host_in_a_namespace);
    assert_true(board_reaches(run->board, NOTE_INIT, ANY_TASK, 1));
    pid_t init = (pid_t)board_find(run->board, NOTE_INIT, ANY_TASK, 0)->value;
    if (init == 0) {
        assert_exits(run, STATUS_UNABLE);
        print_message("skipped: no namespace of process ids can be made here\n");
        skip();
    }
    assert_true(board_reaches(run->board, NOTE_READY, ANY_TASK, 2));

    assert_int_equal(kill(init, number), 0);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_STATUS, ANY_TASK, 0)->value, (128 + number) << 8);
}

static void process_1_exits_with_the_status_of_term(void **state) {
    assert_init_exits_with(*state, SIGTERM);
}

static void process_1_exits_with_the_status_of_int(void **state) {
    assert_init_exits_with(*state, SIGINT);
}

/* ---- Signals that the program has done something with --------------------------------------- */

static int host_that_ignores_and_blocks(struct board *board) {
    sigset_t only;

    (void)sigemptyset(&only);
    (void)sigaddset(&only, signal_to_die_of);
    board_require(board, signal(signal_to_die_of, SIG_IGN) != SIG_ERR);
    board_require(board, sigprocmask(SIG_BLOCK, &only, NULL) == 0);
    (void)pf_die_of_signal(signal_to_die_of);
    return 1;
}

static void ignored_and_blocked_signals_end_it_too(void **state) {
    static const int numbers[] = {SIGTERM, SIGUSR1, SIGALRM};

    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        signal_to_die_of = numbers[i];
        scenario_start_host(*state, host_that_ignores_and_blocks);
        assert_dies_of((struct scenario *)*state, numbers[i]);
    }
}

static void *die_of_quit(void *unused) {
    (void)pf_die_of_signal(SIGQUIT);
    return unused;
}

static int host_with_threads(struct board *board) {
    static const struct rlimit none = {0, 0};
    pthread_t thread;

    board_require(board, setrlimit(RLIMIT_CORE, &none) == 0);
    board_require(board, pthread_create(&thread, NULL, die_of_quit, NULL) == 0);
    return pthread_join(thread, NULL);
}

/* The kernel gives a signal that dumps core to any thread, which takes its time to act on it. */
static void a_thread_other_than_the_main_one_may_call(void **state) {
    for (unsigned i = 0; i < 20; i++) {
        scenario_start_host(*state, host_with_threads);
        assert_dies_of((struct scenario *)*state, SIGQUIT);
    }
}

static int host_with_unflushed_output(struct board *board) {
    (void)board;
    (void)setvbuf(stderr, NULL, _IOFBF, BUFSIZ);
    (void)fputs("last words", stderr);
    (void)pf_die_of_signal(SIGKILL);
    return 1;
}

static void what_was_written_is_flushed(void **state) {
    struct scenario *run = *state;
    run->output_taken = true;

    scenario_start_host(run, host_with_unflushed_output);

    assert_dies_of(run, SIGKILL);
    assert_string_equal(scenario_output(run), "last words");
}

static void only_signals_that_end_a_process_will_do(void **state) {
    static const int numbers[] = {-1,      0,       SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
                                  SIGTTIN, SIGTTOU, SIGURG,  65,      SIGWINCH};

    (void)state;
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_int_equal(pf_die_of_signal(numbers[i]), -EINVAL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_program_dies_of_the_signal_that_stopped_its_pool),
        scenario_test(process_1_exits_with_the_status_of_term),
        scenario_test(process_1_exits_with_the_status_of_int),
        scenario_test(ignored_and_blocked_signals_end_it_too),
        scenario_test(a_thread_other_than_the_main_one_may_call),
        scenario_test(what_was_written_is_flushed),
        cmocka_unit_test(only_signals_that_end_a_process_will_do),
    };

    return cmocka_run_group_tests_name("die of signal", tests, NULL, NULL);
}
