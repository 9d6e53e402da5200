/*
 * channel_test.c - how workers and their pool reach each other in odd places, and what a worker
 * that sends what it should not does to others
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "host.h"

enum { NOTE_RESULT = KIND_NOTE, NOTE_TOLD, NOTE_UNABLE };

static int is_ready_and_told(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_note(board, NOTE_RESULT, pf_worker_ready());
    board_require(board, pf_worker_heartbeat() == 0);
    worker_waits_for_stop(board);
    board_note(board, NOTE_TOLD, 0);
    return 0;
}

/* Only the descriptor tells them to stop. */
static void begin(struct host *host, int workers) {
    assert_int_equal(pf_pool_set_stop(host->pool, 0, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, workers), 0);
}

static void assert_ready_and_reported(struct host *host, unsigned workers) {
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, workers));
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, NOTE_TOLD, ANY_TASK), workers);
    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, ANY_TASK), 0);
    for (unsigned i = 0; i < workers; i++) {
        assert_int_equal(board_find(host->board, NOTE_RESULT, ANY_TASK, i)->value, 0);
    }
}

/* ---- Places ------------------------------------------------------------------------------ */

static int is_elsewhere(struct board *board, int task_id, int run) {
    /* Its own network, and IPC and host name as well. */
    if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0 &&
        unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
        board_note(board, NOTE_UNABLE, errno);
    }
    return is_ready_and_told(board, task_id, run);
}

static void workers_in_other_namespaces_are_reached(void **state) {
    struct host *host = *state;
    host->work = is_elsewhere;
    begin(host, 2);

    assert_ready_and_reported(host, 2);

    if (board_count(host->board, NOTE_UNABLE, ANY_TASK) > 0) {
        print_message("skipped: this system gives no new namespaces\n");
        skip();
    }
}

/* In a process of its own, which has no more than that. */
static int run_pool_of_two(struct board *board) {
    struct host host;

    host_open(&host, board);
    host.work = is_ready_and_told;
    board_require(board, pf_pool_set_stop(host.pool, 0, PATIENCE_MS) == 0);
    board_require(board, pf_pool_set_ready_timeout(host.pool, PATIENCE_MS) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_READY, ANY_TASK, 2));
    board_require(board, host_stops(&host) == 0);
    board_require(board, board_count(board, NOTE_TOLD, ANY_TASK) == 2);
    host_close(&host);
    return 0;
}

static int without_sockets(struct board *board) {
    if (!filter_forbid(SYS_socket, EAFNOSUPPORT)) {
        board_note(board, NOTE_UNABLE, 0);
    }
    return run_pool_of_two(board);
}

static int with_small_files(struct board *board) {
    struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};

    board_require(board, setrlimit(RLIMIT_FSIZE, &limit) == 0);
    return run_pool_of_two(board);
}

static int with_little_locked_memory(struct board *board) {
    struct rlimit limit = {.rlim_cur = 128 * 1024, .rlim_max = 128 * 1024};

    leave_out_leak_check();
    if (geteuid() == 0) {
        board_require(board, setresuid(65534, 65534, 65534) == 0); /* root has no such limit */
    }
    board_require(board, setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    if (mlockall(MCL_FUTURE) != 0) {
        board_note(board, NOTE_UNABLE, errno);
        return 0;
    }
    pf_pool *pool = NULL;
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_backend(pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_workers(pool, 2) == 0);
    int task_id = -1, result;
    result = pf_pool_run(pool, &task_id);
    if (task_id >= 0) {
        _exit(0);
    }
    board_note(board, NOTE_RESULT, result);
    (void)pf_pool_free(pool);
    return 0;
}

static void assert_host_runs(void **state, host_fn host_of) {
    struct scenario *run = *state;

    scenario_start_host(run, host_of);

    assert_exits(run, 0);
    if (board_count(run->board, NOTE_UNABLE, ANY_TASK) > 0) {
        print_message("skipped: this system does not let itself be limited\n");
        skip();
    }
}

static void a_pool_needs_no_socket(void **state) { assert_host_runs(state, without_sockets); }

static void a_pool_counts_nothing_against_the_size_of_files(void **state) {
    assert_host_runs(state, with_small_files);
}

static void a_pool_locks_little_memory(void **state) {
    struct scenario *run = *state;

    assert_host_runs(state, with_little_locked_memory);

    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, 0);
}

/* ---- What it costs ------------------------------------------------------------------------ */

static int count_descriptors(void) {
    int count = 0;

    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

static int has_no_stop_descriptor(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, pf_worker_stop_fd() == -EOPNOTSUPP);
    board_require(board, pf_worker_ready() == 0);
    wait_for_ever();
    return 1;
}

static void a_pool_can_do_without_stop_descriptors(void **state) {
    struct host *host = *state;
    host->work = has_no_stop_descriptor;
    assert_int_equal(pf_pool_set_stop_fd(host->pool, 2), -EINVAL);
    assert_int_equal(pf_pool_set_stop_fd(host->pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_stop_fd(NULL, 0), -EINVAL);
    assert_int_equal(pf_pool_set_stop_fd(host->pool, 0), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(pf_pool_set_stop_fd(host->pool, 1), -EBUSY);
    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    int with_one = count_descriptors();
    assert_int_equal(pf_pool_resize(host->pool, 3), 0);
    assert_true(host_reaches(host, PF_EVENT_READY, ANY_TASK, 3));

    /* Two more workers take their process descriptors alone. */
    int each = backend_under_test == PF_BACKEND_PIDFD ? 1 : 0;
    assert_int_equal(count_descriptors() - with_one, 2 * each);
    assert_int_equal(host_stops(host), 0);
}

/* ---- What a worker sends ----------------------------------------------------------------- */

/* Fills the pipe with anything, for as long as its sibling needs to be heard all the same. */
static int task_0_floods(struct board *board, int task_id, int run) {
    char nonsense[4096 + 7];
    int fd = worker_pipe_to_supervisor();

    (void)run;
    if (task_id != 0) {
        int result = -EAGAIN; /* there may be no room for a second, and then for another */
        gate_wait(board, 0);
        for (uint64_t start = now_ms(); result == -EAGAIN && now_ms() - start < PATIENCE_MS;) {
            result = pf_worker_ready();
        }
        board_note(board, NOTE_RESULT, result);
        wait_for_ever();
    }
    board_require(board, fd >= 0);
    memset(nonsense, 0x5a, sizeof(nonsense));
    for (int round = 0; board_count(board, NOTE_RESULT, 1) == 0; round++) {
        (void)!write(fd, nonsense, 1 + (unsigned)round % sizeof(nonsense));
        if (round == 100) {
            gate_open(board, 0);
        }
    }
    wait_for_ever();
    return 1;
}

static void a_flood_of_one_worker_does_not_silence_others(void **state) {
    struct host *host = *state;
    host->work = task_0_floods;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 2), 0);

    assert_true(host_reaches(host, PF_EVENT_READY, 1, 1));

    assert_int_equal(board_count(host->board, PF_EVENT_READY, 0), 0);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
}

static int closes_all_then_says_so(struct board *board, int task_id, int run) {
    char text[8] = "";
    int file = -1, wanted = worker_pipe_to_supervisor();

    (void)task_id;
    (void)run;
    for (int fd = 3; fd < 1024; fd++) {
        (void)close(fd);
    }
    do {
        file = memfd_create("own", MFD_CLOEXEC);
    } while (file >= 0 && file < wanted);
    board_note(board, NOTE_RESULT, pf_worker_ready());
    board_require(board, pread(file, text, sizeof(text), 0) == 0);
    return 0;
}

static void a_number_that_means_another_file_by_now_is_not_written_to(void **state) {
    struct host *host = *state;
    host->work = closes_all_then_says_so;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 0)->value, -EBADF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(workers_in_other_namespaces_are_reached),
        scenario_test(a_pool_needs_no_socket),
        scenario_test(a_pool_counts_nothing_against_the_size_of_files),
        scenario_test(a_pool_locks_little_memory),
        host_test(a_pool_can_do_without_stop_descriptors),
        host_test(a_flood_of_one_worker_does_not_silence_others),
        host_test(a_number_that_means_another_file_by_now_is_not_written_to),
    };

    return run_group_with_each_backend("channel", tests);
}
