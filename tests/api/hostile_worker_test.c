/*
 * hostile_worker_test.c - what a worker that has been taken over can do to its pool: hurt itself
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "hostile.h"

#define STOP_MS (time_scale() * 200U)

/* ---- Floods ---------------------------------------------------------------------------------- */

static int floods_for_long(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 1) {
        return serves(board);
    }
    gate_open(board, GATE_ATTACK);
    flood(board, 2 * FLOOD_MS);
    wait_for_ever();
    return 1;
}

static void a_flood_costs_the_supervisor_little(void **state) {
    struct host *host = *state;
    begin_hostile(host, 2, floods_for_long);
    assert_true(host_reaches(host, NOTE_DONE, 0, 1));

    /* It reads little more than 64 KiB of nonsense, and then waits for 10 ms. */
    assert_in_range(board_find(host->board, NOTE_DONE, 0, 0)->value, 1, 100);
    assert_sibling_serves(host);
}

static int floods_as_nobody(struct board *board, int task_id, int run) {
    if (task_id == 0 && !become_nobody(board)) {
        board_note(board, NOTE_UNABLE, 0);
    }
    return floods_for_long(board, task_id, run);
}

static void a_flood_of_another_user_is_as_harmless(void **state) {
    struct host *host = *state;
    begin_hostile(host, 2, floods_as_nobody);

    assert_true(host_reaches(host, NOTE_DONE, 0, 1));
    assert_sibling_serves(host);
    skip_if_unable(host);
}

static int repeats_itself(struct board *board, int task_id, int run) {
    if (task_id == 1) {
        return serves(board);
    }
    if (run > 0) {
        wait_for_ever();
    }
    gate_wait(board, GATE_SEND);
    struct record_bytes record = own_record(board);
    int fd = worker_pipe_to_supervisor();
    board_note(board, NOTE_DONE, 0);
    if (!become_nobody(board)) {
        board_note(board, NOTE_UNABLE, 0);
    }
    gate_open(board, GATE_ATTACK);
    for (;;) {
        (void)!write(fd, &record, sizeof(record));
    }
}

static void a_worker_of_another_user_that_repeats_itself_is_killed(void **state) {
    struct host *host = *state;
    begin_hostile(host, 2, repeats_itself);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));
    gate_open(host->board, GATE_SEND);
    assert_true(board_reaches(host->board, NOTE_DONE, 0, 1)); /* nothing is read meanwhile */

    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));

    const struct record *end = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(end->reason, PF_REASON_PROTOCOL);
    assert_sibling_serves(host);
    skip_if_unable(host);
}

/* ---- The pipe -------------------------------------------------------------------------------- */

/* What one process sets of a pipe holds for all that have it. */
static int changes_the_pipe(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 1) {
        return serves(board);
    }
    int fd = worker_pipe_to_supervisor();
    board_require(board, fcntl(fd, F_SETFL, O_ASYNC | O_DIRECT) == 0);
    if (become_nobody(board)) { /* the same user could send the signal as well */
        board_require(board, fcntl(fd, F_SETSIG, SIGTERM) == 0);
        board_require(board, fcntl(fd, F_SETOWN, getppid()) == 0);
    } else {
        board_note(board, NOTE_UNABLE, 0);
    }
    (void)fcntl(fd, F_SETPIPE_SZ, 1);
    gate_open(board, GATE_ATTACK);
    flood(board, FLOOD_MS);
    wait_for_ever();
    return 1;
}

static void a_pipe_that_a_worker_has_changed_serves_its_siblings(void **state) {
    struct host *host = *state;
    begin_hostile(host, 2, changes_the_pipe);

    assert_true(host_reaches(host, NOTE_DONE, 0, 1)); /* SIGTERM would have ended this process */
    assert_sibling_serves(host);
    skip_if_unable(host);
}

/* O_NONBLOCK is one of the flags that all have in common. */
static int fills_a_blocking_pipe(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 1) {
        gate_wait(board, GATE_ATTACK);
        board_note(board, NOTE_RESULT, pf_worker_heartbeat());
        return serves(board);
    }
    char page[4096] = "";
    int fd = worker_pipe_to_supervisor();
    gate_wait(board, GATE_SEND);
    while (write(fd, page, sizeof(page)) > 0) {
    }
    board_require(board, errno == EAGAIN && fcntl(fd, F_SETFL, 0) == 0);
    gate_open(board, GATE_ATTACK);
    wait_for_ever();
    return 1;
}

static int without_pwritev2(struct board *board, int task_id, int run) {
    if (task_id == 1) {
        board_require(board, filter_forbid(SYS_pwritev2, ENOSYS));
    }
    return fills_a_blocking_pipe(board, task_id, run);
}

/* The supervisor does not read meanwhile, as in a long callback of the host. */
static void assert_sibling_returns(struct host *host,
                                   int (*work)(struct board *board, int task_id, int run)) {
    begin_hostile(host, 2, work);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));
    gate_open(host->board, GATE_SEND);

    assert_true(board_reaches(host->board, NOTE_RESULT, 1, 1));

    assert_int_equal(board_find(host->board, NOTE_RESULT, 1, 0)->value, -EAGAIN);
    assert_sibling_serves(host);
}

static void a_full_pipe_that_blocks_does_not_hold_up_its_siblings(void **state) {
    assert_sibling_returns(*state, fills_a_blocking_pipe);
}

static void nor_does_it_where_the_kernel_has_no_call_for_that(void **state) {
    assert_sibling_returns(*state, without_pwritev2);
}

static int closes_and_duplicates(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 1) {
        return serves(board);
    }
    int fd = worker_pipe_to_supervisor();
    for (int copy = 100; copy < 200; copy++) {
        board_require(board, dup2(fd, copy) == copy);
    }
    for (int other = 3; other < 100; other++) {
        if (other != fd) {
            (void)dup2(fd, other); /* in the place of what the library has there */
        }
    }
    board_note(board, NOTE_RESULT, pf_worker_stop_fd());
    board_note(board, NOTE_DONE, pf_worker_ready());
    gate_open(board, GATE_ATTACK);
    wait_for_ever();
    return 1;
}

static void descriptors_that_a_worker_has_exchanged_are_its_own_loss(void **state) {
    struct host *host = *state;
    begin_hostile(host, 2, closes_and_duplicates);

    assert_sibling_serves(host);
    assert_true(board_find(host->board, NOTE_RESULT, 0, 0)->value < 0);
}

static int reads_as_nobody(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    int fd = worker_pipe_to_supervisor();
    if (!become_nobody(board)) {
        board_note(board, NOTE_UNABLE, 0);
        wait_for_ever();
    }
    (void)prctl(PR_SET_DUMPABLE, 1); /* so that /proc/self is its own */
    errno = 0;
    board_note(board, NOTE_RESULT, open_again(fd, O_RDONLY) < 0 ? errno : 0);
    wait_for_ever();
    return 1;
}

static void a_worker_of_another_user_can_not_read_what_siblings_send(void **state) {
    struct host *host = *state;
    begin_hostile(host, 1, reads_as_nobody);

    assert_true(host_reaches(host, KIND_WORKER, 0, 1));
    if (geteuid() == 0) {
        assert_true(host_reaches(host, NOTE_RESULT, 0, 1));
        assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 0)->value, EACCES);
    }
    assert_int_equal(host_stops(host), 0);
    skip_if_unable(host);
}

/* The end at which it is asked to stop: a pipe in which only the supervisor should write. */
static int pipe_from_supervisor(void) {
    for (int fd = 3; fd < 1024; fd++) {
        struct stat status;
        if (fcntl(fd, F_GETFD) == FD_CLOEXEC && fstat(fd, &status) == 0 &&
            S_ISFIFO(status.st_mode) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
            return fd;
        }
    }
    return -1;
}

static int fills_its_stop_pipe(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 1) {
        gate_open(board, GATE_ATTACK);
        return serves(board);
    }
    char page[4096] = "";
    int fd = open_again(pipe_from_supervisor(), O_WRONLY);
    board_require(board, fd >= 0);
    while (write(fd, page, sizeof(page)) > 0) {
    }
    board_require(board, errno == EAGAIN && signal(SIGTERM, SIG_IGN) != SIG_ERR);
    board_note(board, NOTE_DONE, 0);
    wait_for_ever();
    return 1;
}

static void a_worker_that_fills_its_stop_pipe_is_stopped_in_time(void **state) {
    struct host *host = *state;
    host->work = fills_its_stop_pipe;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, STOP_MS), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_DONE, 0, 1));
    assert_true(host_reaches(host, NOTE_SIBLING, 1, 1));

    assert_int_equal(host_stops(host), 0);

    assert_int_equal(board_count(host->board, PF_EVENT_KILLED, 0), 1);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 1, 0)->exit_code, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_flood_costs_the_supervisor_little),
        host_test(a_flood_of_another_user_is_as_harmless),
        host_test(a_worker_of_another_user_that_repeats_itself_is_killed),
        host_test(a_pipe_that_a_worker_has_changed_serves_its_siblings),
        host_test(a_full_pipe_that_blocks_does_not_hold_up_its_siblings),
        host_test(nor_does_it_where_the_kernel_has_no_call_for_that),
        host_test(descriptors_that_a_worker_has_exchanged_are_its_own_loss),
        host_test(a_worker_of_another_user_can_not_read_what_siblings_send),
        host_test(a_worker_that_fills_its_stop_pipe_is_stopped_in_time),
    };

    return run_group_with_each_backend("hostile worker", tests);
}
