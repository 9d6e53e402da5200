/*
 * orphan_flood_test.c - a pool whose supervisor adopts processes faster than it reaps them
 *
 * On a machine with many processors a worker can start so many children that leave it. Here the
 * system calls of the library are answered as if it did.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NO_PROCESS = 0x7ffffff0, REAPED_MAX = 10000 };

static volatile sig_atomic_t is_flood;
static volatile sig_atomic_t reaped;

int waitid(idtype_t type, id_t id, siginfo_t *info, int options) {
    if (is_flood && type == P_ALL && reaped < REAPED_MAX) {
        memset(info, 0, sizeof(*info));
        info->si_pid = NO_PROCESS;
        return 0;
    }
    return (int)syscall(SYS_waitid, type, id, info, options, NULL);
}

pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage) {
    if (pid == NO_PROCESS) {
        reaped++;
        return pid;
    }
    return (pid_t)syscall(SYS_wait4, pid, status, options, usage);
}

static int work_until_term(struct board *board, int task_id, int run) {
    is_flood = 0;
    return ends_on_term(board, task_id, run);
}

static void assert_works_on(struct host *host, int mode) {
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L), 0);
    host->work = work_until_term;
    assert_int_equal(pf_pool_set_reap_orphans(host->pool, mode), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    is_flood = 1;
    reaped = 0;

    assert_true(host_turn(host, 0));
    int first = reaped;
    assert_true(host_turn(host, (int)PATIENCE_MS)); /* the rest wakes it */
    int second = reaped - first;
    reaped = 0;
    is_flood = 0;

    assert_in_range(first, 1, REAPED_MAX / 2);
    assert_in_range(second, 1, REAPED_MAX / 2);
    assert_int_equal(host_stops(host), 0);
}

static void orphans_without_an_end_do_not_hold_up_a_pool(void **state) {
    assert_works_on(*state, PF_REAP_ADOPTED);
}

static void nor_do_they_where_all_children_are_reaped(void **state) {
    assert_works_on(*state, PF_REAP_ALL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(orphans_without_an_end_do_not_hold_up_a_pool),
        host_test(nor_do_they_where_all_children_are_reaped),
    };

    return run_group_with_each_backend("orphan flood", tests);
}
