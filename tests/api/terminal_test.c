/*
 * terminal_test.c - a pool and the terminal of its process: job control, and a terminal that goes
 *
 * The host's process leads a session, as a shell does, and the server is a job of it.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_TOUCHES = KIND_NOTE, NOTE_TOUCHED, NOTE_STOPPED, NOTE_SERVES };

struct terminal {
    int master;
    int slave;
};

static struct terminal terminal;

static void open_master(struct board *board) {
    const char *name = NULL;

    terminal.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    board_require(board, terminal.master >= 0);
    board_require(board, grantpt(terminal.master) == 0 && unlockpt(terminal.master) == 0);
    board_require(board, (name = ptsname(terminal.master)) != NULL);
    terminal.slave = open(name, O_RDWR | O_CLOEXEC | O_NOCTTY);
    board_require(board, terminal.slave >= 0);
}

static void open_terminal(struct board *board) {
    open_master(board);
    board_require(board, ioctl(terminal.slave, TIOCSCTTY, 0) == 0);
}

static void open_pool(struct host *host, struct board *board, int set) {
    host_open(host, board);
    host->work = ends_on_term;
    board_require(board, pf_pool_set_signals(host->pool, set) == 0);
    board_require(board, host_begin(host, 2) == 0);
    board_require(board, host_reaches(host, NOTE_READY, ANY_TASK, 2));
}

static void wait_for_stop(struct board *board, pid_t job) {
    int status = 0;

    board_require(board, waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status));
    board_note(board, NOTE_STOPPED, WSTOPSIG(status));
}

static void wait_for_exit(struct board *board, pid_t job) {
    int status = 0;

    board_require(board, waitpid(job, &status, 0) == job && status == 0);
}

static void set_foreground(struct board *board, pid_t group) {
    sigset_t output;
    sigset_t before;

    (void)sigemptyset(&output);
    (void)sigaddset(&output, SIGTTOU);
    board_require(board, sigprocmask(SIG_BLOCK, &output, &before) == 0);
    board_require(board, tcsetpgrp(terminal.slave, group) == 0);
    board_require(board, sigprocmask(SIG_SETMASK, &before, NULL) == 0);
}

/* Start the job in a process group of its own, in the background. */
static pid_t start_job(struct board *board, void (*job)(struct board *)) {
    pid_t pid = fork();

    board_require(board, pid >= 0);
    if (pid == 0) {
        board_require(board, setpgid(0, 0) == 0);
        job(board);
        _exit(0);
    }
    board_require(board, setpgid(pid, pid) == 0 || getpgid(pid) == pid);
    return pid;
}

/* ---- Job control ----------------------------------------------------------------------- */

static void reads_its_terminal(void) {
    char byte = 0;

    (void)!read(terminal.slave, &byte, 1);
}

static void sets_its_terminal(void) {
    struct termios mode;

    if (tcgetattr(terminal.slave, &mode) == 0) {
        (void)tcsetattr(terminal.slave, TCSANOW, &mode);
    }
}

static void (*touches)(void);

static void job_that_touches_its_terminal(struct board *board) {
    struct host host;
    struct sigaction action;

    open_pool(&host, board, PF_SIGNALS_STANDARD);
    board_note(board, NOTE_TOUCHES, 0);
    touches();
    board_note(board, NOTE_TOUCHED, 0);
    /* The signals are those of the pool still, and one that somebody sends is a request. */
    board_require(board, sigaction(SIGTTIN, NULL, &action) == 0);
    board_require(board, action.sa_handler != SIG_DFL);
    board_require(board, sigaction(SIGTTOU, NULL, &action) == 0);
    board_require(board, action.sa_handler != SIG_DFL);
    board_require(board, pf_pool_worker_count(host.pool) == 2);
    board_require(board, kill(getpid(), SIGTTIN) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_RESIZED, ANY_TASK, 1));
    board_require(board, pf_pool_worker_count(host.pool) == 3);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
}

static int shell_with_a_background_job(struct board *board) {
    open_terminal(board);
    pid_t job = start_job(board, job_that_touches_its_terminal);

    wait_for_stop(board, job);
    /* Once more in the background, and then in the foreground. */
    board_require(board, kill(-job, SIGCONT) == 0);
    wait_for_stop(board, job);
    set_foreground(board, job);
    board_require(board, kill(-job, SIGCONT) == 0);
    board_require(board, write(terminal.master, "x\n", 2) == 2);
    wait_for_exit(board, job);
    return 0;
}

static void assert_stops_as_any_job(struct scenario *run, void (*touch)(void), int signal) {
    touches = touch;

    scenario_start_host(run, shell_with_a_background_job);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, NOTE_STOPPED, ANY_TASK), 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(board_find(run->board, NOTE_STOPPED, ANY_TASK, i)->value, signal);
    }
    assert_int_equal(board_count(run->board, NOTE_TOUCHED, ANY_TASK), 1);
}

static void a_background_job_that_reads_is_stopped_until_it_is_in_front(void **state) {
    assert_stops_as_any_job(*state, reads_its_terminal, SIGTTIN);
}

static void a_background_job_that_sets_is_stopped_until_it_is_in_front(void **state) {
    assert_stops_as_any_job(*state, sets_its_terminal, SIGTTOU);
}

/* ---- A terminal that goes ---------------------------------------------------------------- */

static void serve_to_the_end(struct host *host) {
    board_note(host->board, NOTE_SERVES, 0);
    board_require(host->board, host_finishes(host) == 0);
    board_require(host->board, pf_pool_stop_signal(host->pool) == SIGHUP);
    host_close(host);
}

static int signal_set;

static void server_that_leads_its_session(struct board *board) {
    struct host host;

    board_require(board, setsid() == getpid());
    board_require(board, ioctl(terminal.slave, TIOCSCTTY, 0) == 0);
    (void)close(terminal.master); /* which its workers would keep */
    open_pool(&host, board, signal_set);
    serve_to_the_end(&host);
}

/* As a terminal's window, or sshd. */
static int window_that_is_closed(struct board *board) {
    open_master(board);
    pid_t server = fork();
    board_require(board, server >= 0);
    if (server == 0) {
        server_that_leads_its_session(board);
        _exit(0);
    }
    board_require(board, board_reaches(board, NOTE_SERVES, ANY_TASK, 1));
    board_require(board, close(terminal.slave) == 0 && close(terminal.master) == 0);
    wait_for_exit(board, server);
    return 0;
}

static void assert_stopped_without_reload(struct scenario *run) {
    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STOPPING, ANY_TASK), 1);
    assert_int_equal(board_find(run->board, PF_EVENT_STOPPING, ANY_TASK, 0)->signal, SIGHUP);
    assert_int_equal(board_count(run->board, PF_EVENT_RELOADING, ANY_TASK), 0);
    assert_int_equal(board_count(run->board, PF_EVENT_KILLED, ANY_TASK), 0);
}

static void the_kernels_hangup_is_a_stop(void **state) {
    signal_set = PF_SIGNALS_STANDARD;

    scenario_start_host(*state, window_that_is_closed);

    assert_stopped_without_reload(*state);
}

static void the_kernels_hangup_stops_the_smaller_set_too(void **state) {
    signal_set = PF_SIGNALS_STOP_ONLY;

    scenario_start_host(*state, window_that_is_closed);

    assert_stopped_without_reload(*state);
}

static void job_that_serves(struct board *board) {
    struct host host;

    (void)close(terminal.master);
    open_pool(&host, board, PF_SIGNALS_STANDARD);
    serve_to_the_end(&host);
}

static pid_t job_of_shell;

static void pass_on_hangup(int signal) { (void)kill(job_of_shell, signal); }

/* What it gets at the end of the terminal it sends to its jobs, as shells do. */
static int shell_whose_terminal_goes(struct board *board) {
    open_terminal(board);
    job_of_shell = start_job(board, job_that_serves);
    board_require(board, signal(SIGHUP, pass_on_hangup) != SIG_ERR);
    board_require(board, board_reaches(board, NOTE_SERVES, ANY_TASK, 1));
    board_require(board, close(terminal.slave) == 0 && close(terminal.master) == 0);
    wait_for_exit(board, job_of_shell);
    return 0;
}

static void a_hangup_that_the_shell_passes_on_is_a_stop(void **state) {
    scenario_start_host(*state, shell_whose_terminal_goes);

    assert_stopped_without_reload(*state);
}

static void job_that_reloads_first(struct board *board) {
    struct host host;

    open_pool(&host, board, PF_SIGNALS_STANDARD);
    board_note(board, NOTE_SERVES, 0);
    board_require(board, host_reaches(&host, PF_EVENT_RELOADED, ANY_TASK, 1));
    board_require(board, board_count(board, PF_EVENT_STOPPING, ANY_TASK) == 0);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
}

static int shell_that_asks_for_a_reload(struct board *board) {
    open_terminal(board);
    pid_t job = start_job(board, job_that_reloads_first);
    board_require(board, board_reaches(board, NOTE_SERVES, ANY_TASK, 1));
    board_note_task(board, KIND_REPLACED, ANY_TASK, 0);
    board_require(board, kill(job, SIGHUP) == 0);
    wait_for_exit(board, job);
    return 0;
}

static void the_shells_own_signal_is_a_request_while_there_is_a_terminal(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, shell_that_asks_for_a_reload);

    assert_exits(run, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_background_job_that_reads_is_stopped_until_it_is_in_front),
        scenario_test(a_background_job_that_sets_is_stopped_until_it_is_in_front),
        scenario_test(the_kernels_hangup_is_a_stop),
        scenario_test(the_kernels_hangup_stops_the_smaller_set_too),
        scenario_test(a_hangup_that_the_shell_passes_on_is_a_stop),
        scenario_test(the_shells_own_signal_is_a_request_while_there_is_a_terminal),
    };

    return cmocka_run_group_tests_name("terminal", tests, NULL, NULL);
}
