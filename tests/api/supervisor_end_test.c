/*
 * supervisor_end_test.c - workers whose supervisor is gone: they are told by the descriptor of
 * pf_worker_stop_fd() alone, and by the death signal that pf_worker_ready() arms again
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum {
    NOTE_WAITS = KIND_NOTE,
    NOTE_TOLD = KIND_NOTE + 1,
    NOTE_HOST = KIND_NOTE + 2,
    NOTE_RESULT = KIND_NOTE + 3,
    NOTE_SIGNAL = KIND_NOTE + 4
};
enum { WORKERS = 4, NOBODY = 65534 };
/* How soon every worker has ended after its supervisor was killed: a few milliseconds, but a busy
 * machine may let them wait. */
#define SOON_MS (time_scale() * 3000U)

static int ends_when_told(struct board *board, int task_id, int run) {
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int fd = pf_worker_stop_fd();

    (void)task_id;
    (void)run;
    board_require(board, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    board_require(board, epoll_wait(epoll, &event, 1, 0) == 0);
    board_note(board, NOTE_WAITS, 0);
    board_require(board, epoll_wait(epoll, &event, 1, -1) == 1);
    board_note(board, NOTE_TOLD, 0);
    return 0;
}

static int opens_it_afterwards(struct board *board, int task_id, int run) {
    pid_t supervisor = getppid();

    (void)run;
    if (task_id % 2 == 1) {
        board_require(board, pf_worker_ready() == 0);
    }
    board_note(board, NOTE_WAITS, 0);
    while (getppid() == supervisor) {
        pause_ms(1);
    }
    struct pollfd one = {.fd = pf_worker_stop_fd(), .events = POLLIN};
    board_require(board, poll(&one, 1, 0) == 1 && one.revents == POLLIN);
    board_note(board, NOTE_TOLD, 0);
    return 0;
}

static void run_host(struct board *board, int (*work)(struct board *, int, int)) {
    struct host host;

    host_open(&host, board);
    host.work = work;
    board_require(board, pf_pool_set_parent_death_signal(host.pool, 0) == 0);
    board_require(board, pf_pool_set_thread_policy(host.pool, PF_THREADS_ALLOW) == 0);
    board_require(board, host_begin(&host, WORKERS) == 0);
    board_require(board, host_reaches(&host, NOTE_WAITS, ANY_TASK, WORKERS));
    board_note(board, NOTE_HOST, 0);
    if (board_count(board, NOTE_TOLD, ANY_TASK) == 0) {
        (void)host_finishes(&host);
    }
}

static int waiting_host(struct board *board) {
    run_host(board, ends_when_told);
    return 1;
}

static int host_of_late_workers(struct board *board) {
    run_host(board, opens_it_afterwards);
    return 1;
}

static void *run_in_a_thread(void *board) {
    run_host(board, ends_when_told);
    return NULL;
}

static int host_with_a_thread(struct board *board) {
    pthread_t thread;

    board_require(board, pthread_create(&thread, NULL, run_in_a_thread, board) == 0);
    board_require(board, pthread_join(thread, NULL) == 0);
    return 1;
}

/* A child of the host's own, which lives on and has all that it was forked with. */
static int host_with_a_child(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = ends_when_told;
    board_require(board, pf_pool_set_parent_death_signal(host.pool, 0) == 0);
    board_require(board, host_begin(&host, WORKERS) == 0);
    board_require(board, host_reaches(&host, NOTE_WAITS, ANY_TASK, WORKERS));
    pid_t child = fork();
    if (child == 0) {
        gate_wait(board, 0);
        _exit(0);
    }
    board_note(board, NOTE_HOST, child);
    (void)host_finishes(&host);
    return 1;
}

/* Waits until so many children, that came to this process from the supervisor, have ended. */
static void assert_reaped(int count, uint64_t deadline) {
    for (int reaped = 0; reaped < count;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0) {
            assert_int_equal(status, 0);
            reaped++;
        } else {
            assert_true(now_ms() <= deadline);
            pause_ms(1);
        }
    }
}

static void kill_and_assert_end(struct scenario *run, host_fn host) {
    scenario_start_host(run, host);
    assert_true(board_reaches(run->board, NOTE_HOST, ANY_TASK, 1));
    pause_ms(20); /* the supervisor is asleep, too */
    assert_int_equal(board_count(run->board, NOTE_TOLD, ANY_TASK), 0);

    uint64_t deadline = now_ms() + SOON_MS;
    scenario_signal(run, SIGKILL);

    assert_dies_of(run, SIGKILL);
    assert_reaped(WORKERS, deadline);
    assert_int_equal(board_count(run->board, NOTE_TOLD, ANY_TASK), WORKERS);
}

static void workers_of_one_that_is_killed_are_reported_at_once(void **state) {
    kill_and_assert_end(*state, waiting_host);
}

static void who_asks_afterwards_is_reported_too(void **state) {
    kill_and_assert_end(*state, host_of_late_workers);
}

static void it_needs_no_main_thread(void **state) {
    kill_and_assert_end(*state, host_with_a_thread);
}

static void a_child_of_the_host_does_not_hide_its_end(void **state) {
    struct scenario *run = *state;
    bool by_pipe = backend_under_test == PF_BACKEND_SIGCHLD;

    if (by_pipe) { /* which such a child has, too, as prefork(7) says */
        scenario_start_host(run, host_with_a_child);
        assert_true(board_reaches(run->board, NOTE_HOST, ANY_TASK, 1));
        scenario_signal(run, SIGKILL);
        assert_dies_of(run, SIGKILL);
        pause_ms(50);
        assert_int_equal(board_count(run->board, NOTE_TOLD, ANY_TASK), 0);
    } else {
        kill_and_assert_end(run, host_with_a_child);
    }

    pid_t child = (pid_t)board_find(run->board, NOTE_HOST, ANY_TASK, 0)->value;
    assert_true(process_exists(child));
    uint64_t deadline = now_ms() + SOON_MS;
    gate_open(run->board, 0);
    assert_reaped(by_pipe ? 1 + WORKERS : 1, deadline);
    assert_int_equal(board_count(run->board, NOTE_TOLD, ANY_TASK), WORKERS);
}

static int host_that_exits(struct board *board) {
    board_note(board, NOTE_TOLD, 0); /* run_host() comes back */
    run_host(board, ends_when_told);
    _exit(3);
}

static void one_that_exits_is_gone_as_well(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_exits);

    assert_exits(run, 3);
    assert_reaped(WORKERS, now_ms() + SOON_MS);
}

/* ---- The death signal ------------------------------------------------------------------ */

static int death_signal(struct board *board) {
    int number = -1;

    board_require(board, prctl(PR_GET_PDEATHSIG, &number) == 0);
    return number;
}

static int drops_privileges(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    if (geteuid() == 0) {
        board_require(board, setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    } else {
        board_require(board, prctl(PR_SET_PDEATHSIG, 0L) == 0); /* as the kernel would */
    }
    board_note(board, NOTE_SIGNAL, death_signal(board));
    board_note(board, NOTE_RESULT, pf_worker_ready());
    board_note(board, NOTE_SIGNAL, death_signal(board));
    wait_for_ever();
    return 1;
}

static int host_of_workers_without_privileges(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = drops_privileges;
    board_require(board, pf_pool_set_parent_death_signal(host.pool, SIGUSR2) == 0);
    board_require(board, pf_pool_set_ready_timeout(host.pool, PATIENCE_MS) == 0);
    board_require(board, host_begin(&host, 3) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_READY, ANY_TASK, 3));
    board_require(board, host_reaches(&host, NOTE_SIGNAL, ANY_TASK, 6));
    board_note(board, NOTE_WAITS, 0);
    wait_for_ever();
    return 0;
}

static void it_arms_the_death_signal_again(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_of_workers_without_privileges);
    assert_true(board_reaches(run->board, NOTE_WAITS, ANY_TASK, 1));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(board_find(run->board, NOTE_RESULT, i, 0)->value, 0);
        assert_int_equal(board_find(run->board, NOTE_SIGNAL, i, 0)->value, 0);
        assert_int_equal(board_find(run->board, NOTE_SIGNAL, i, 1)->value, SIGUSR2);
    }

    scenario_signal(run, SIGKILL);

    assert_dies_of(run, SIGKILL);
    assert_int_equal(reap_all(), 3);
}

static int outlives_its_supervisor(struct board *board, int task_id, int run) {
    pid_t supervisor = getppid();

    (void)task_id;
    (void)run;
    board_require(board, signal(SIGTERM, SIG_IGN) != SIG_ERR);
    board_note(board, NOTE_WAITS, 0);
    while (getppid() == supervisor) {
        pause_ms(1);
    }
    board_note(board, NOTE_RESULT, pf_worker_ready());
    _exit(0);
}

static int host_to_be_killed(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = outlives_its_supervisor;
    board_require(board, host_begin(&host, 1) == 0);
    (void)host_finishes(&host);
    return 1;
}

static void without_a_supervisor_nobody_is_reported(void **state) {
    struct scenario *run = *state;
    scenario_start_host(run, host_to_be_killed);
    assert_true(board_reaches(run->board, NOTE_WAITS, ANY_TASK, 1));

    scenario_signal(run, SIGKILL);

    assert_dies_of(run, SIGKILL);
    assert_int_equal(reap_all(), 1);
    assert_int_equal(board_find(run->board, NOTE_RESULT, 0, 0)->value, -ESRCH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(workers_of_one_that_is_killed_are_reported_at_once),
        scenario_test(who_asks_afterwards_is_reported_too),
        scenario_test(it_needs_no_main_thread),
        scenario_test(a_child_of_the_host_does_not_hide_its_end),
        scenario_test(one_that_exits_is_gone_as_well),
        scenario_test(it_arms_the_death_signal_again),
        scenario_test(without_a_supervisor_nobody_is_reported),
    };

    return run_group_with_each_backend("supervisor's end", tests);
}
