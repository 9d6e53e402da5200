/*
 * pool_children_test.c - pools beside the host's own children and its ways with SIGCHLD
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_SIGCHLD = KIND_NOTE, NOTE_STOLEN };

/* ---- Children of the host -------------------------------------------------------------- */

static pid_t fork_child(struct board *board, int status) {
    pid_t child = fork();

    board_require(board, child >= 0);
    if (child == 0) {
        gate_wait(board, 0);
        _exit(status);
    }
    return child;
}

static void children_of_the_host_keep_their_statuses(void **state) {
    struct host *host = *state;
    int status = 0;
    pid_t before = fork_child(host->board, 5);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));
    pid_t during = fork_child(host->board, 6);

    gate_open(host->board, 0);
    assert_true(process_reaches_state(before, 'Z'));
    assert_true(process_reaches_state(during, 'Z'));
    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reaches(host, KIND_WORKER, 0, 2));

    assert_int_equal(waitpid(before, &status, WNOHANG), before);
    assert_int_equal(status, 5 << 8);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(waitpid(during, &status, WNOHANG), during);
    assert_int_equal(status, 6 << 8);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 3);
}

/* ---- Handlers of the host -------------------------------------------------------------- */

static struct board *handler_board;

static void note_child(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    board_note_task(handler_board, NOTE_SIGCHLD, -1, info->si_pid);
}

static void handle_sigchld(struct board *board, void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART};

    handler_board = board;
    action.sa_sigaction = handler;
    board_require(board, sigaction(SIGCHLD, &action, NULL) == 0);
}

static bool is_noted(const struct board *board, int kind, pid_t pid) {
    const struct record *record = NULL;

    for (unsigned i = 0; (record = board_find(board, kind, ANY_TASK, i)) != NULL; i++) {
        if (record->value == pid) {
            return true;
        }
    }
    return false;
}

static int host_with_a_handler(struct board *board) {
    struct host host;
    struct sigaction action;

    handle_sigchld(board, note_child);
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    board_require(board, sigaction(SIGCHLD, NULL, &action) == 0);
    board_require(board,
                  backend_under_test == PF_BACKEND_SIGCHLD || action.sa_sigaction == note_child);
    gate_open(board, 0);
    pid_t child = fork_child(board, 3);
    board_require(board, process_reaches_state(child, 'Z'));
    board_require(board, is_noted(board, NOTE_SIGCHLD, child));
    board_require(board, kill(host_pid(&host, 1, 0), SIGKILL) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 1, 2));
    board_require(board, is_noted(board, NOTE_SIGCHLD, host_pid(&host, 1, 0)));
    board_require(board, waitpid(child, NULL, 0) == child);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    board_require(board, sigaction(SIGCHLD, NULL, &action) == 0);
    board_require(board, action.sa_sigaction == note_child);
    board_require(board,
                  (action.sa_flags & (SA_SIGINFO | SA_RESTART)) == (SA_SIGINFO | SA_RESTART));
    return 0;
}

static sigjmp_buf place;
static volatile sig_atomic_t jumps;

static void note_child_and_jump(int signal, siginfo_t *info, void *context) {
    note_child(signal, info, context);
    if (jumps) {
        jumps = 0;
        siglongjmp(place, 1);
    }
}

static int ends_when_told(struct board *board, int task_id, int run) {
    gate_wait(board, run);
    pause_ms(20); /* so that the host waits in the pool */
    return task_id + 1;
}

/* The next signals come deeper in the stack than the one whose handler has jumped. */
static int host_that_jumps_out(struct board *board) {
    struct host host;

    handle_sigchld(board, note_child_and_jump);
    host_open(&host, board);
    host.work = ends_when_told;
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, 0, 1));
    jumps = 1;
    if (sigsetjmp(place, 1) == 0) {
        (void)raise(SIGCHLD);
    }
    board_require(board, !jumps);
    for (unsigned run = 0; run < 3; run++) {
        gate_open(board, (int)run);
        board_require(board, host_reaches(&host, PF_EVENT_EXITED, 0, run + 1));
        board_require(board, is_noted(board, NOTE_SIGCHLD, host_pid(&host, 0, run)));
    }
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void a_handler_that_jumps_out_is_called_again(void **state) {
    scenario_start_host(*state, host_that_jumps_out);

    assert_exits((struct scenario *)*state, 0);
}

static void a_handler_of_the_host_is_called_and_stays(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_a_handler);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_DONE, ANY_TASK), 1);
}

static int notes_its_disposition(struct board *board, int task_id, int run) {
    struct sigaction action;

    (void)task_id;
    board_require(board, sigaction(SIGCHLD, NULL, &action) == 0);
    board_require(board, action.sa_sigaction == note_child);
    return run == 0 ? 1 : 0;
}

static int host_whose_workers_look(struct board *board) {
    struct host host;

    handle_sigchld(board, note_child);
    host_open(&host, board);
    host.work = notes_its_disposition;
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_finishes(&host) == 0);
    host_close(&host);
    return 0;
}

static void workers_have_the_hosts_own_handler(void **state) {
    scenario_start_host(*state, host_whose_workers_look);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- signalfd -------------------------------------------------------------------------- */

static int host_with_a_signalfd(struct board *board) {
    struct host host;
    struct signalfd_siginfo info;
    sigset_t child;

    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    board_require(board, sigprocmask(SIG_BLOCK, &child, NULL) == 0);
    int fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    board_require(board, fd >= 0);
    host_open(&host, board);
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, ANY_TASK, 3));
    for (int i = 0; i < 3; i++) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        board_require(board, kill(host_pid(&host, i, 0), SIGKILL) == 0);
        board_require(board, host_reaches(&host, KIND_WORKER, i, 2));
        board_require(board, poll(&one, 1, (int)PATIENCE_MS) == 1);
        board_require(board, read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info));
        board_require(board, (pid_t)info.ssi_pid == host_pid(&host, i, 0));
    }
    board_require(board, host_stops(&host) == 0);
    board_require(board, close(fd) == 0);
    host_close(&host);
    return 0;
}

/* The signal is blocked then, so that no handler runs. */
static void a_signalfd_of_the_host_gets_its_signals(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_a_signalfd);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 6);
}

/* ---- Statuses that somebody else takes ------------------------------------------------- */

enum { SLOTS = 4, RUNS = 12 };

/* Every worker has a status of its own; the last one of a slot stays. */
static int exits_with_its_own_status(struct board *board, int task_id, int run) {
    return run < RUNS ? 1 + task_id * RUNS + run : ends_on_term(board, task_id, run);
}

/* The right status; or that it is not known, where the kernel does not tell. Never another. */
static void assert_true_statuses(const struct board *board) {
    bool may_be_unknown = backend_under_test == PF_BACKEND_SIGCHLD || !kernel_keeps_statuses();

    for (int task_id = 0; task_id < SLOTS; task_id++) {
        assert_int_equal(board_count(board, PF_EVENT_EXITED, task_id), RUNS + 1);
        for (int i = 0; i < RUNS; i++) {
            const struct record *end = board_find(board, PF_EVENT_EXITED, task_id, (unsigned)i);
            assert_int_equal(end->will_restart, 1);
            assert_int_equal(end->signal, 0);
            if (!may_be_unknown || end->exit_code != -1) {
                assert_int_equal(end->exit_code, 1 + task_id * RUNS + i);
            }
        }
    }
}

static int run_to_the_last(struct board *board, void (*steal)(struct board *board)) {
    struct host host;
    uint64_t deadline = now_ms() + PATIENCE_MS;

    host_open(&host, board);
    host.work = exits_with_its_own_status;
    board_require(board, host_begin(&host, SLOTS) == 0);
    while (board_count(board, NOTE_READY, ANY_TASK) < SLOTS && now_ms() < deadline) {
        struct pollfd one = {.fd = pf_pool_fd(host.pool), .events = POLLIN};
        (void)poll(&one, 1, 50); /* steal first, so that it is not a matter of luck */
        if (steal != NULL) {
            steal(board);
        }
        (void)host_turn(&host, 0);
    }
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void steal_all(struct board *board) {
    pid_t pid = 0;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        board_note_task(board, NOTE_STOLEN, -1, pid);
    }
}

static int host_that_waits_for_any_child(struct board *board) {
    return run_to_the_last(board, steal_all);
}

static void a_host_that_waits_for_any_child_falsifies_nothing(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_waits_for_any_child);

    assert_exits(run, 0);
    assert_true(board_count(run->board, NOTE_STOLEN, ANY_TASK) > 0);
    assert_true_statuses(run->board);
}

static void steal_in_handler(int signal, siginfo_t *info, void *context) {
    int saved_errno = errno;

    (void)signal;
    (void)info;
    (void)context;
    steal_all(handler_board);
    errno = saved_errno;
}

static int host_whose_handler_waits(struct board *board) {
    handle_sigchld(board, steal_in_handler);
    return run_to_the_last(board, NULL);
}

static void a_handler_that_waits_for_any_child_falsifies_nothing(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_whose_handler_waits);

    assert_exits(run, 0);
    assert_true_statuses(run->board);
}

static int host_that_ignores_sigchld(struct board *board) {
    struct sigaction action;

    board_require(board, signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    int status = run_to_the_last(board, NULL);
    board_require(board, sigaction(SIGCHLD, NULL, &action) == 0);
    board_require(board, action.sa_handler == SIG_IGN);
    return status;
}

static void an_ignored_sigchld_falsifies_nothing(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_ignores_sigchld);

    assert_exits(run, 0);
    assert_true_statuses(run->board);
}

static int host_without_zombies(struct board *board) {
    struct sigaction action = {.sa_flags = SA_NOCLDWAIT};

    action.sa_handler = SIG_DFL;
    board_require(board, sigaction(SIGCHLD, &action, NULL) == 0);
    int status = run_to_the_last(board, NULL);
    board_require(board, sigaction(SIGCHLD, NULL, &action) == 0);
    board_require(board, (action.sa_flags & SA_NOCLDWAIT) != 0);
    return status;
}

static void sa_nocldwait_falsifies_nothing(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_without_zombies);

    assert_exits(run, 0);
    assert_true_statuses(run->board);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(children_of_the_host_keep_their_statuses),
        scenario_test(a_handler_of_the_host_is_called_and_stays),
        scenario_test(a_handler_that_jumps_out_is_called_again),
        scenario_test(workers_have_the_hosts_own_handler),
        scenario_test(a_signalfd_of_the_host_gets_its_signals),
        scenario_test(a_host_that_waits_for_any_child_falsifies_nothing),
        scenario_test(a_handler_that_waits_for_any_child_falsifies_nothing),
        scenario_test(an_ignored_sigchld_falsifies_nothing),
        scenario_test(sa_nocldwait_falsifies_nothing),
    };

    return run_group_with_each_backend("pool and children", tests);
}
