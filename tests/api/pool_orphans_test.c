/*
 * pool_orphans_test.c - a subreaper whose pool reaps what it adopts, and nothing else
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_ORPHAN = KIND_NOTE, NOTE_STATUS, ORPHANS = 5 };

/* Leaves children behind that end when their parent has. What the supervisor adopts beside its
 * waits counts as the host's, so they are left while it waits. */
static int leaves_orphans(struct board *board, int task_id, int run) {
    pid_t supervisor = getppid();
    if (run > 0) {
        return ends_on_term(board, task_id, run);
    }
    for (int i = 0; i < ORPHANS; i++) {
        pid_t parent = getpid();
        if (fork() == 0) {
            board_note(board, NOTE_ORPHAN, getpid());
            while (getppid() == parent) {
                pause_ms(1);
            }
            _exit(i);
        }
    }
    board_require(board, process_reaches_state(supervisor, 'S'));
    return 1;
}

static bool all_are_gone(const struct board *board) {
    for (unsigned i = 0; i < ORPHANS; i++) {
        const struct record *orphan = board_find(board, NOTE_ORPHAN, ANY_TASK, i);
        if (orphan == NULL || process_exists((pid_t)orphan->value)) {
            return false;
        }
    }
    return true;
}

static void open_subreaper(struct host *host, struct board *board) {
    board_require(board, prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) == 0);
    host_open(host, board);
    host->work = leaves_orphans;
}

static int host_that_reaps(struct board *board) {
    struct host host;
    int status = 0;
    uint64_t deadline = now_ms() + PATIENCE_MS;

    pid_t before = fork();
    if (before == 0) {
        _exit(4);
    }
    open_subreaper(&host, board);
    board_require(board, pf_pool_set_reap_orphans(host.pool, PF_REAP_ADOPTED) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    pid_t during = fork();
    if (during == 0) {
        _exit(5);
    }
    while (board_count(board, PF_EVENT_EXITED, 0) == 0 && now_ms() < deadline) {
        (void)host_turn(&host, (int)PATIENCE_MS);
    }
    board_require(board, host_reaches(&host, NOTE_READY, 0, 1));
    while (!all_are_gone(board) && now_ms() < deadline) {
        (void)host_turn(&host, 20);
    }
    board_require(board, all_are_gone(board));
    board_require(board, waitpid(before, &status, 0) == before && status == 4 << 8);
    board_require(board, waitpid(during, &status, 0) == during && status == 5 << 8);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void what_is_adopted_is_reaped_and_the_hosts_own_is_not(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_reaps);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 2);
}

static int host_that_does_not_reap(struct board *board) {
    struct host host;

    open_subreaper(&host, board);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 0, 1));
    board_require(board, board_reaches(board, NOTE_ORPHAN, ANY_TASK, ORPHANS));
    for (unsigned i = 0; i < ORPHANS; i++) {
        pid_t orphan = (pid_t)board_find(board, NOTE_ORPHAN, ANY_TASK, i)->value;
        board_require(board, process_reaches_state(orphan, 'Z'));
    }
    host_goes_on(&host, 30);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    board_require(board, reap_all() == ORPHANS); /* they were left to the host */
    return 0;
}

static void without_the_setting_it_is_left_to_the_host(void **state) {
    scenario_start_host(*state, host_that_does_not_reap);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- From an event loop ------------------------------------------------------------------ */

/* Has children of its own daemonize while the host waits in its loop, and says so. */
static int daemonizes_children(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    for (int i = 0; i < ORPHANS; i++) {
        pid_t child = fork();
        if (child == 0) {
            pid_t parent = getpid();
            if (fork() == 0) {
                while (getppid() == parent) {
                    pause_ms(1);
                }
                board_note(board, NOTE_ORPHAN, getpid());
                _exit(0);
            }
            _exit(0);
        }
        board_require(board, waitpid(child, NULL, 0) == child);
    }
    wait_for_ever();
    return 0;
}

enum { HANDLES_NOTHING, HANDLES_BEFORE, HANDLES_LATER, BLOCKS };
static int host_of_loop;

static void note_child(int signal) { (void)signal; }

static int daemonizes_children_later(struct board *board, int task_id, int run) {
    gate_wait(board, 0);
    return daemonizes_children(board, task_id, run);
}

/* As pf_pool_dispatch(3) shows it: the pool is dispatched when its descriptor is readable. */
static void loop_until_orphans_are_gone(struct host *host) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    while (!all_are_gone(host->board) && now_ms() < deadline) {
        struct pollfd descriptor = {.fd = pf_pool_fd(host->pool), .events = POLLIN};
        if (poll(&descriptor, 1, 1000) > 0) {
            (void)host_turn(host, 0);
        }
    }
    board_require(host->board, all_are_gone(host->board));
}

static int loop_that_reaps(struct board *board) {
    struct host host;
    sigset_t child;

    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    board_require(board, prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) == 0);
    if (host_of_loop == HANDLES_BEFORE) {
        board_require(board, signal(SIGCHLD, note_child) != SIG_ERR);
    } else if (host_of_loop == BLOCKS) {
        board_require(board, sigprocmask(SIG_BLOCK, &child, NULL) == 0);
    }
    host_open(&host, board);
    host.work = daemonizes_children_later;
    board_require(board, pf_pool_set_reap_orphans(host.pool, PF_REAP_ALL) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, 0, 1));
    if (host_of_loop == HANDLES_LATER) {
        board_require(board, signal(SIGCHLD, note_child) != SIG_ERR);
    }
    gate_open(board, 0);
    loop_until_orphans_are_gone(&host);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void what_is_adopted_while_the_loop_waits_is_reaped(void **state) {
    struct scenario *run = *state;
    host_of_loop = HANDLES_NOTHING;

    scenario_start_host(run, loop_that_reaps);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_EXITED, ANY_TASK), 1);
}

static void so_it_is_beside_a_handler_of_the_host(void **state) {
    host_of_loop = HANDLES_BEFORE;

    scenario_start_host(*state, loop_that_reaps);

    assert_exits((struct scenario *)*state, 0);
}

static void so_it_is_where_the_host_replaces_the_handler(void **state) {
    host_of_loop = HANDLES_LATER;

    scenario_start_host(*state, loop_that_reaps);

    assert_exits((struct scenario *)*state, 0);
}

/* As for a signalfd, or for a thread in sigwait(). */
static void so_it_is_where_the_host_blocks_the_signal(void **state) {
    host_of_loop = BLOCKS;

    scenario_start_host(*state, loop_that_reaps);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- Workers of others -------------------------------------------------------------------- */

static int exits_with_its_own_status(int task_id, void *board) {
    gate_wait(board, 0);
    return 40 + task_id;
}

static int loop_with_another_pool(struct board *board) {
    struct host host;
    pf_pool *other = NULL;
    const pf_event *event = NULL;
    int result = 1;

    board_require(board, prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) == 0);
    host_open(&host, board);
    board_require(board, pf_pool_set_reap_orphans(host.pool, PF_REAP_ALL) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, 0, 1));
    board_require(board, pf_pool_new(&other) == 0);
    board_require(board, pf_pool_set_backend(other, backend_under_test) == 0);
    board_require(board, pf_pool_set_restart_policy(other, PF_RESTART_NEVER) == 0);
    board_require(board, pf_pool_set_workers(other, 3) == 0);
    board_require(board, pf_pool_set_worker_fn(other, exits_with_its_own_status, board, NULL) == 0);
    board_require(board, pf_pool_start(other) == 0);
    while (pf_pool_alive_count(other) < 3) {
        (void)pf_pool_dispatch(other, 0);
    }
    gate_open(board, 0);
    for (int i = 0; i < 3; i++) {
        int32_t pid = pf_pool_worker_pid(other, i);
        board_require(board, pid > 0 && process_reaches_state(pid, 'Z'));
    }
    host_goes_on(&host, 30); /* which looks at all children that have ended */
    while (result == 1) {
        result = pf_pool_dispatch(other, 1000);
        while (pf_pool_next_event(other, &event) == 1) {
            if (pf_event_type(event) == PF_EVENT_EXITED) {
                board_note(board, NOTE_STATUS, pf_event_exit_code(event));
            }
        }
    }
    board_require(board, result == 0);
    (void)pf_pool_free(other);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void workers_of_another_pool_are_left_to_it(void **state) {
    struct scenario *run = *state;
    int64_t sum = 0;

    scenario_start_host(run, loop_with_another_pool);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, NOTE_STATUS, ANY_TASK), 3);
    for (unsigned i = 0; i < 3; i++) {
        sum += board_find(run->board, NOTE_STATUS, ANY_TASK, i)->value;
    }
    assert_int_equal(sum, 40 + 41 + 42);
}

static struct board *thread_board;

/* Forks while the pool waits, as only a thread can. */
static void *forks_beside_the_pool(void *user) {
    pid_t supervisor = getpid();
    int status = 0;

    (void)user;
    board_require(thread_board, process_reaches_state(supervisor, 'S'));
    pid_t child = fork();
    if (child == 0) {
        _exit(6);
    }
    board_require(thread_board, process_reaches_state(child, 'Z'));
    (void)kill(supervisor, SIGCHLD); /* the pool looks again */
    pause_ms(30);
    board_require(thread_board, waitpid(child, &status, 0) == child && status == 6 << 8);
    board_note(thread_board, NOTE_STATUS, 6);
    return NULL;
}

static int host_with_a_thread_that_forks(struct board *board) {
    struct host host;
    pthread_t thread;

    thread_board = board;
    board_require(board, prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) == 0);
    host_open(&host, board);
    board_require(board, pf_pool_set_reap_orphans(host.pool, PF_REAP_ADOPTED) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, KIND_WORKER, 0, 1));
    board_require(board, pthread_create(&thread, NULL, forks_beside_the_pool, NULL) == 0);
    while (board_count(board, NOTE_STATUS, ANY_TASK) == 0 &&
           board_count(board, KIND_FAULT, ANY_TASK) == 0) {
        (void)host_turn(&host, 1000);
    }
    board_require(board, pthread_join(thread, NULL) == 0);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return 0;
}

static void what_threads_of_the_host_fork_is_the_hosts(void **state) {
    scenario_start_host(*state, host_with_a_thread_that_forks);

    assert_exits((struct scenario *)*state, 0);
}

static void only_modes_that_there_are_can_be_set(void **state) {
    struct host *host = *state;

    assert_int_equal(pf_pool_set_reap_orphans(host->pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_reap_orphans(host->pool, 3), -EINVAL);
    assert_int_equal(pf_pool_set_reap_orphans(host->pool, 0), 0);
    assert_int_equal(PF_REAP_ADOPTED, 1);
    assert_int_equal(PF_REAP_ALL, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(what_is_adopted_is_reaped_and_the_hosts_own_is_not),
        scenario_test(without_the_setting_it_is_left_to_the_host),
        scenario_test(what_is_adopted_while_the_loop_waits_is_reaped),
        scenario_test(so_it_is_beside_a_handler_of_the_host),
        scenario_test(so_it_is_where_the_host_replaces_the_handler),
        scenario_test(so_it_is_where_the_host_blocks_the_signal),
        scenario_test(workers_of_another_pool_are_left_to_it),
        scenario_test(what_threads_of_the_host_fork_is_the_hosts),
        host_test(only_modes_that_there_are_can_be_set),
    };

    return run_group_with_each_backend("pool orphans", tests);
}
