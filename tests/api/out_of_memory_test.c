/*
 * out_of_memory_test.c - the kernel kills a worker that needs more memory than its group may have
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cgroup.h"
#include "cmocka_all.h"
#include "scenario.h"

enum { MIB = 1024 * 1024, WANTED_MIB = 256 };

static struct cgroup group;

static void enter_group(struct board *board) { board_require(board, cgroup_enter(&group)); }

/* Worker 0 needs too much in its first life, worker 1 is killed by its own hand. */
static int dies_twice(struct board *board, int task_id, int run) {
    if (run > 0) {
        return 0;
    }
    if (task_id == 1) {
        board_require(board, board_reaches(board, PF_EVENT_EXITED, 0, 1));
        raise(SIGKILL);
    }
    char *memory = mmap(NULL, (size_t)WANTED_MIB * MIB, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    board_require(board, memory != MAP_FAILED);
    memset(memory, 1, (size_t)WANTED_MIB * MIB);
    return 0; /* then the end below is not that of a signal */
}

static void the_kernel_kills_and_the_reason_says_so(void **state) {
    static const struct plan plan = {
        .workers = 2, .max_restarts = 2, .prepare = enter_group, .work = dies_twice};
    struct scenario *run = *state;
    if (!cgroup_make(&group, "memory") || group.version != 2) {
        (void)cgroup_remove(&group);
        print_message("skipped: no group of version 2 with the memory controller can be made\n");
        skip();
    }

    bool limited = cgroup_write(&group, "memory.max", "48M");
    /* Without swap there is no such file, and no need of it. */
    (void)cgroup_write(&group, "memory.swap.max", "0");
    scenario_start(run, &plan);
    int status = scenario_wait(run);
    if (status < 0) {
        kill_all_children(); /* the group is removed before this is judged */
    }
    bool removed = cgroup_remove(&group);

    assert_true(limited && removed);
    assert_int_equal(status, 0);
    const struct record *killed = board_find(run->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(killed->signal, SIGKILL);
    assert_int_equal(killed->reason, PF_REASON_OUT_OF_MEMORY);
    assert_non_null(strstr(killed->message, "the kernel has killed for lack of memory"));
    const struct record *other = board_find(run->board, PF_EVENT_EXITED, 1, 0);
    assert_int_equal(other->signal, SIGKILL);
    assert_int_equal(other->reason, PF_REASON_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(the_kernel_kills_and_the_reason_says_so),
    };

    return cmocka_run_group_tests_name("out of memory", tests, NULL, NULL);
}
