/*
 * pool_orphans_test.c - a subreaper whose pool reaps what it adopts, and nothing else
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_ORPHAN = KIND_NOTE, ORPHANS = 5 };

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
    board_require(board, pf_pool_set_reap_orphans(host.pool, 1) == 0);
    board_require(board, host_begin(&host, 1) == 0);
    pid_t during = fork();
    if (during == 0) {
        _exit(5);
    }
    while (board_count(board, PF_EVENT_EXITED, 0) == 0 && now_ms() < deadline) {
        (void)host_turn(&host, PATIENCE_MS);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(what_is_adopted_is_reaped_and_the_hosts_own_is_not),
        scenario_test(without_the_setting_it_is_left_to_the_host),
    };

    return run_group_with_each_backend("pool orphans", tests);
}
