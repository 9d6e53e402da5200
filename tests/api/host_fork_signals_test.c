/*
 * host_fork_signals_test.c - signals are held back around the host's own fork
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "forker.h"

enum { NOTE_HANDLED = KIND_NOTE, NOTE_RESULT };

static struct board *handler_board;

static void note_signal(int signal) { board_note(handler_board, NOTE_HANDLED, signal); }

static uint64_t mask(void) { return process_signals(getpid(), "SigBlk"); }

static bool is_blocked(int signal) { return (mask() & UINT64_C(1) << (signal - 1)) != 0; }

/* A pool that waits for the answer for slot 0. */
static void begin_and_take(struct host *host) {
    handler_board = host->board;
    assert_true(signal(SIGUSR1, note_signal) != SIG_ERR);
    assert_int_equal(forker_begin(host, 1), 0);
    assert_int_equal(forker_take(host), 0);
}

static unsigned handled(const struct host *host) {
    return board_count(host->board, NOTE_HANDLED, ANY_TASK);
}

/* ---- In the supervisor ----------------------------------------------------------------- */

static void all_are_blocked_until_the_parent_answers(void **state) {
    struct host *host = *state;
    begin_and_take(host);
    uint64_t before = mask();

    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), 0);

    assert_true(is_blocked(SIGUSR1) && is_blocked(SIGTERM) && is_blocked(SIGCHLD));
    assert_false(is_blocked(SIGSEGV) || is_blocked(SIGBUS)); /* those of a fault are not */
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(handled(host), 0);
    pid_t child = forker_child(host, 0);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, child), 0);
    assert_int_equal(handled(host), 1); /* none is lost */
    assert_int_equal(mask(), before);
    assert_int_equal(forker_stops(host), 0);
}

static void a_failed_fork_lets_them_come_again(void **state) {
    struct host *host = *state;
    begin_and_take(host);
    uint64_t before = mask();
    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), 0);
    assert_int_equal(raise(SIGUSR1), 0);

    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EAGAIN), 0);

    assert_int_equal(handled(host), 1);
    assert_int_equal(mask(), before);
}

static void so_does_an_answer_that_is_refused(void **state) {
    struct host *host = *state;
    begin_and_take(host);
    uint64_t before = mask();
    static const struct {
        int task_id;
        int32_t pid;
        int result;
    } refused[] = {{0, 0, -EINVAL}, {9, -EAGAIN, -EINVAL}, {0, 1, -ECHILD}};

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pf_pool_fork_prepare(host->pool, 0), 0);
        assert_int_equal(pf_pool_fork_parent(host->pool, refused[i].task_id, refused[i].pid),
                         refused[i].result);
        assert_int_equal(mask(), before);
    }
    assert_int_equal(forker_fork(host, 0), 0); /* the answer is still owed */
    assert_int_equal(forker_stops(host), 0);
}

static void it_is_not_nested(void **state) {
    struct host *host = *state;
    begin_and_take(host);
    uint64_t before = mask();

    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), 0);
    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), -EALREADY);

    assert_true(is_blocked(SIGUSR1));
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EAGAIN), 0);
    assert_int_equal(mask(), before);
}

static void a_free_lets_them_come_again(void **state) {
    struct host *host = *state;
    begin_and_take(host);
    uint64_t before = mask();
    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), 0);

    host_close(host);

    assert_int_equal(mask(), before);
}

static void a_slot_that_wants_no_worker_is_not_forked_for(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_fork_prepare(NULL, 0), -EINVAL);
    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), -EINVAL); /* before the start */
    begin_and_take(host);
    uint64_t before = mask();

    assert_int_equal(pf_pool_fork_prepare(host->pool, -1), -EINVAL);
    assert_int_equal(pf_pool_fork_prepare(host->pool, 1), -EINVAL);
    assert_int_equal(pf_pool_fork_child(host->pool, 0), -EINVAL); /* this is the supervisor */
    assert_int_equal(pf_pool_fork_child(NULL, 0), -EINVAL);
    assert_int_equal(forker_fork(host, 0), 0);
    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), -ESRCH); /* it has one */
    assert_int_equal(forker_stops(host), 0);
    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), -ESRCH);

    assert_int_equal(mask(), before);
}

static void a_pool_that_forks_by_itself_prepares_nothing(void **state) {
    struct host *host = *state;
    uint64_t before = mask();
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), -EINVAL);

    assert_int_equal(mask(), before);
    assert_int_equal(host_stops(host), 0);
}

/* ---- In the child ---------------------------------------------------------------------- */

/* The worker's handlers are there before it lets signals come. */
static void be_child_with_handler(struct host *host) {
    board_require(host->board, signal(SIGUSR2, note_signal) != SIG_ERR);
    board_require(host->board, is_blocked(SIGUSR2) && is_blocked(SIGTERM));
    board_note(host->board, NOTE_RESULT, pf_pool_fork_child(host->pool, 0));
    board_require(host->board, !is_blocked(SIGUSR2) && !is_blocked(SIGTERM));
    wait_for_ever();
}

static void one_sent_before_the_child_is_a_worker_reaches_its_handler(void **state) {
    struct host *host = *state;
    begin_and_take(host);
    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        be_child_with_handler(host);
    }

    assert_int_equal(kill(child, SIGUSR2), 0);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, child), 0);

    assert_true(board_reaches(host->board, NOTE_RESULT, ANY_TASK, 1));
    assert_int_equal(board_find(host->board, NOTE_RESULT, ANY_TASK, 0)->value, 0);
    assert_true(board_reaches(host->board, NOTE_HANDLED, ANY_TASK, 1));
    assert_int_equal(board_find(host->board, NOTE_HANDLED, ANY_TASK, 0)->value, SIGUSR2);
    assert_int_equal(board_find(host->board, NOTE_HANDLED, ANY_TASK, 0)->author, child);
    assert_int_equal(forker_stops(host), 0);
}

static void a_child_that_is_refused_gets_signals_again(void **state) {
    struct host *host = *state;
    int status = 0;
    begin_and_take(host);
    assert_int_equal(pf_pool_fork_prepare(host->pool, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        board_note(host->board, NOTE_RESULT, pf_pool_fork_parent(host->pool, 0, -EAGAIN));
        board_note(host->board, NOTE_RESULT, pf_pool_fork_prepare(host->pool, 0));
        board_require(host->board, is_blocked(SIGTERM));
        board_note(host->board, NOTE_RESULT, pf_pool_fork_child(host->pool, 5));
        board_require(host->board, !is_blocked(SIGTERM));
        _exit(0);
    }

    assert_int_equal(waitpid(child, &status, 0), child);

    assert_int_equal(status, 0);
    assert_int_equal(board_find(host->board, NOTE_RESULT, ANY_TASK, 0)->value, -ECHILD);
    assert_int_equal(board_find(host->board, NOTE_RESULT, ANY_TASK, 1)->value, -ECHILD);
    assert_int_equal(board_find(host->board, NOTE_RESULT, ANY_TASK, 2)->value, -EINVAL);
    assert_int_equal(pf_pool_fork_parent(host->pool, 0, -EAGAIN), 0);
    assert_false(is_blocked(SIGTERM));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(all_are_blocked_until_the_parent_answers),
        host_test(a_failed_fork_lets_them_come_again),
        host_test(so_does_an_answer_that_is_refused),
        host_test(it_is_not_nested),
        host_test(a_free_lets_them_come_again),
        host_test(a_slot_that_wants_no_worker_is_not_forked_for),
        host_test(a_pool_that_forks_by_itself_prepares_nothing),
        host_test(one_sent_before_the_child_is_a_worker_reaches_its_handler),
        host_test(a_child_that_is_refused_gets_signals_again),
    };

    return run_group_with_each_backend("signals around the host's fork", tests);
}
