/*
 * ignored_children_test.c - hosts whose children the kernel reaps, on kernels that tell no status
 * of a process that was reaped
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "host.h"

enum { NOTE_HANDLED = KIND_NOTE, NOTE_WORKER, NOTE_CHILD };
enum { GET_INFO = (int)0xC040FF0B /* PIDFD_GET_INFO */, SLOTS = 4 };

/* As before Linux 6.15. */
static void forbid_lost_statuses(struct board *board) {
    board_require(board, filter_forbid_value(SYS_ioctl, 1, (uint32_t)GET_INFO, ENOTTY));
}

static struct board *handler_board;

static void note_child(int signal) { board_note(handler_board, NOTE_HANDLED, signal); }

static void ignore(struct board *board) {
    board_require(board, signal(SIGCHLD, SIG_IGN) != SIG_ERR);
}

static void discard(struct board *board) {
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = note_child;
    action.sa_flags = SA_NOCLDWAIT | SA_RESTART;
    handler_board = board;
    board_require(board, sigaction(SIGCHLD, &action, NULL) == 0);
}

static void (*prepare)(struct board *);

/* ---- Workers ----------------------------------------------------------------------------- */

/* Leaves without a word to the library. */
static int ends_in_its_own_way(struct board *board, int task_id, int run) {
    struct sigaction action;

    board_require(board, sigaction(SIGCHLD, NULL, &action) == 0);
    board_require(board, prepare == discard ? action.sa_handler == note_child &&
                                                  (action.sa_flags & SA_NOCLDWAIT) != 0
                                            : action.sa_handler == SIG_IGN);
    if (task_id == 3 && run < 5) {
        (void)kill(getpid(), SIGKILL);
    }
    _exit(task_id == 0 || run > 0 ? 0 : 6 + task_id);
}

static int host_of_workers(struct board *board) {
    struct host host;
    struct sigaction before;
    struct sigaction after;

    forbid_lost_statuses(board);
    prepare(board);
    board_require(board, sigaction(SIGCHLD, NULL, &before) == 0);
    host_open(&host, board);
    host.work = ends_in_its_own_way;
    board_require(board, pf_pool_set_max_restarts(host.pool, 100) == 0);
    board_require(board, host_begin(&host, SLOTS) == 0);
    board_require(board, host_finishes(&host) == 0);
    host_close(&host);
    board_require(board, sigaction(SIGCHLD, NULL, &after) == 0);
    board_require(board, after.sa_handler == before.sa_handler);
    board_require(board, after.sa_flags == before.sa_flags);
    return 0;
}

static void assert_statuses_are_right(struct scenario *run, void (*how)(struct board *)) {
    prepare = how;

    scenario_start_host(run, host_of_workers);

    assert_exits(run, 0);
    for (int task_id = 0; task_id < SLOTS; task_id++) {
        const struct record *first = board_find(run->board, PF_EVENT_EXITED, task_id, 0);
        assert_non_null(first);
        assert_int_equal(first->signal, task_id == 3 ? SIGKILL : 0);
        assert_int_equal(first->exit_code, task_id == 3 ? -1 : task_id == 0 ? 0 : 6 + task_id);
    }
    /* Clean exits are not restarted, and the pool ends when all have finished. */
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, 0), 1);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, 1), 2);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, 2), 2);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, 3), 6);
}

static void statuses_are_known_where_sigchld_is_ignored(void **state) {
    assert_statuses_are_right(*state, ignore);
}

static void statuses_are_known_with_sa_nocldwait(void **state) {
    struct scenario *run = *state;

    assert_statuses_are_right(run, discard);

    assert_true(board_count(run->board, NOTE_HANDLED, ANY_TASK) > 0);
}

static int host_whose_workers_all_finish(struct board *board) {
    int task_id = 0;

    forbid_lost_statuses(board);
    ignore(board);
    task_id = pf_fork_processes(3, 0);
    board_require(board, task_id >= 0);
    _exit(0);
}

static void the_one_call_ends_when_all_have_finished(void **state) {
    scenario_start_host(*state, host_whose_workers_all_finish);

    assert_exits((struct scenario *)*state, 0);
}

static int host_of_programs(struct board *board) {
    static const char *const arguments[] = {"sleep", "100", NULL};
    struct host host;

    forbid_lost_statuses(board);
    ignore(board);
    host_open(&host, board);
    board_require(board, pf_pool_set_worker_fn(host.pool, NULL, NULL, NULL) == 0);
    board_require(board, pf_pool_set_exec(host.pool, "/bin/sleep", arguments, NULL) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_STARTED, 0, 1));
    uint64_t ignored = process_signals(pf_pool_worker_pid(host.pool, 0), "SigIgn");
    board_require(board, (ignored & UINT64_C(1) << (SIGCHLD - 1)) != 0);
    board_require(board, kill(pf_pool_worker_pid(host.pool, 0), SIGKILL) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_EXITED, 0, 1));
    board_require(board, board_find(board, PF_EVENT_EXITED, 0, 0)->signal == SIGKILL);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void programs_start_with_what_the_host_had(void **state) {
    scenario_start_host(*state, host_of_programs);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- The host's other children ------------------------------------------------------------- */

static pid_t fork_child(struct board *board) {
    pid_t child = fork();

    board_require(board, child >= 0);
    if (child == 0) {
        _exit(5);
    }
    return child;
}

static void reaches_none(struct board *board, pid_t child) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    while (process_exists(child) && now_ms() < deadline) {
        pause_ms(1);
    }
    board_require(board, !process_exists(child));
    board_require(board, waitpid(child, NULL, 0) < 0 && errno == ECHILD);
}

static int host_with_children(struct board *board) {
    struct host host;

    forbid_lost_statuses(board);
    prepare(board);
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    for (int i = 0; i < 20; i++) {
        pid_t child = fork_child(board);
        if (i % 2 == 0) {
            (void)host_turn(&host, 5);
        }
        reaches_none(board, child);
    }
    /* One that ends behind a worker that nobody has collected yet. */
    pid_t worker = pf_pool_worker_pid(host.pool, 0);
    board_require(board, kill(worker, SIGKILL) == 0);
    board_require(board, process_reaches_state(worker, 'Z'));
    pid_t child = fork_child(board);
    board_require(board, host_reaches(&host, NOTE_READY, 0, 2));
    reaches_none(board, child);
    board_require(board, board_find(board, PF_EVENT_EXITED, 0, 0)->signal == SIGKILL);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    reaches_none(board, fork_child(board));
    return 0;
}

static void children_of_the_host_do_not_become_zombies(void **state) {
    prepare = ignore;

    scenario_start_host(*state, host_with_children);

    assert_exits((struct scenario *)*state, 0);
}

static void nor_with_sa_nocldwait(void **state) {
    prepare = discard;

    scenario_start_host(*state, host_with_children);

    assert_exits((struct scenario *)*state, 0);
}

/* A child of the host is as it would be without the library, and so are its children. */
static int host_with_grandchildren(struct board *board) {
    struct host host;

    forbid_lost_statuses(board);
    ignore(board);
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 1));
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 3; i++) {
            reaches_none(board, fork_child(board));
        }
        board_note(board, NOTE_CHILD, 0);
        _exit(0);
    }
    board_require(board, host_reaches(&host, NOTE_CHILD, ANY_TASK, 1));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void nor_do_those_of_a_child_of_the_host(void **state) {
    scenario_start_host(*state, host_with_grandchildren);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- A host that changes its mind ----------------------------------------------------------- */

static int host_that_ignores_later(struct board *board) {
    struct host host;
    struct sigaction action;

    forbid_lost_statuses(board);
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    ignore(board);
    (void)host_turn(&host, 1);
    board_require(board, kill(pf_pool_worker_pid(host.pool, 1), SIGKILL) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 1, 2));
    board_require(board, board_find(board, PF_EVENT_EXITED, 1, 0)->signal == SIGKILL);
    reaches_none(board, fork_child(board));
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    board_require(board, sigaction(SIGCHLD, NULL, &action) == 0);
    board_require(board, action.sa_handler == SIG_IGN);
    return 0;
}

static void a_host_may_begin_to_ignore_it_while_the_pool_runs(void **state) {
    scenario_start_host(*state, host_that_ignores_later);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(statuses_are_known_where_sigchld_is_ignored),
        scenario_test(statuses_are_known_with_sa_nocldwait),
        scenario_test(the_one_call_ends_when_all_have_finished),
        scenario_test(programs_start_with_what_the_host_had),
        scenario_test(children_of_the_host_do_not_become_zombies),
        scenario_test(nor_with_sa_nocldwait),
        scenario_test(nor_do_those_of_a_child_of_the_host),
        scenario_test(a_host_may_begin_to_ignore_it_while_the_pool_runs),
    };

    return run_group_with_each_backend("ignored children", tests);
}
