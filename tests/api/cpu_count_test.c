/*
 * cpu_count_test.c - how many processors this process may use
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "cmocka_all.h"
#include "scenario.h"

enum { NOTE_COUNT = KIND_NOTE };

/* Keep the first so many processors of the set. Returns whether that was possible. */
static bool use_only(const cpu_set_t *all, int count) {
    cpu_set_t few;

    CPU_ZERO(&few);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && count > 0; cpu++) {
        if (CPU_ISSET(cpu, all)) {
            CPU_SET(cpu, &few);
            count--;
        }
    }
    return sched_setaffinity(0, sizeof(few), &few) == 0;
}

/* Notes the count under each smaller affinity, then under all of it again. */
static int host_with_fewer_processors(struct board *board) {
    cpu_set_t all;

    board_require(board, sched_getaffinity(0, sizeof(all), &all) == 0);
    for (int count = 1; count <= CPU_COUNT(&all); count++) {
        board_require(board, use_only(&all, count));
        board_note(board, NOTE_COUNT, pf_cpu_count());
    }
    return 0;
}

static void the_affinity_is_counted(void **state) {
    struct scenario *run = *state;
    cpu_set_t all;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    int most = pf_cpu_count();
    assert_in_range(most, 1, CPU_COUNT(&all));

    scenario_start_host(run, host_with_fewer_processors);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, NOTE_COUNT, ANY_TASK), CPU_COUNT(&all));
    for (int count = 1; count <= CPU_COUNT(&all); count++) {
        const struct record *note =
            board_find(run->board, NOTE_COUNT, ANY_TASK, (unsigned)count - 1);
        assert_int_equal(note->value, count < most ? count : most);
    }
}

static int exits_normally(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    return 0;
}

static void keep_one_processor(struct board *board) {
    cpu_set_t all;

    board_require(board, sched_getaffinity(0, sizeof(all), &all) == 0);
    board_require(board, use_only(&all, 1));
}

static void one_processor_makes_one_worker(void **state) {
    static const struct plan plan = {
        .workers = 0, .prepare = keep_one_processor, .work = exits_normally};
    struct scenario *run = *state;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 1);
}

/* ---- Control groups ------------------------------------------------------------------ */

static struct cgroup outer;
static struct cgroup inner;

static const int quotas_us[] = {10000, 50000, 100000, 100001, 150000, 200000, 1000000, 0};
enum { QUOTAS = sizeof(quotas_us) / sizeof(quotas_us[0]) };

static int host_under_quotas(struct board *board) {
    board_require(board, cgroup_enter(inner.path[0] == '\0' ? &outer : &inner));
    for (int i = 0; i < QUOTAS; i++) {
        board_require(board, cgroup_limit_cpu(&outer, quotas_us[i]));
        board_note(board, NOTE_COUNT, pf_cpu_count());
    }
    return 0;
}

static void assert_counts_under_quotas(struct scenario *run) {
    int most = pf_cpu_count();

    scenario_start_host(run, host_under_quotas);
    int status = scenario_wait(run);
    bool removed = cgroup_remove(&inner);
    removed = cgroup_remove(&outer) && removed;

    assert_true(removed);
    assert_int_equal(status, 0);
    for (int i = 0; i < QUOTAS; i++) {
        int rounded_up = quotas_us[i] == 0 ? most : (quotas_us[i] + 99999) / 100000;
        assert_int_equal(board_find(run->board, NOTE_COUNT, ANY_TASK, (unsigned)i)->value,
                         rounded_up < most ? rounded_up : most);
    }
}

static void skip_without_groups(void) {
    print_message("skipped: no group with the cpu controller can be made here\n");
    skip();
}

static void a_quota_is_counted_rounded_up(void **state) {
    inner.path[0] = '\0';
    if (!cgroup_make(&outer, "cpu")) {
        skip_without_groups();
    }

    assert_counts_under_quotas(*state);
}

static void a_quota_of_the_group_above_is_counted(void **state) {
    if (!cgroup_make(&outer, "cpu")) {
        skip_without_groups();
    }
    if (!cgroup_make_below(&inner, &outer)) {
        assert_true(cgroup_remove(&outer));
        skip_without_groups();
    }

    assert_counts_under_quotas(*state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(the_affinity_is_counted),
        scenario_test(one_processor_makes_one_worker),
        scenario_test(a_quota_is_counted_rounded_up),
        scenario_test(a_quota_of_the_group_above_is_counted),
    };

    return cmocka_run_group_tests_name("cpu count", tests, NULL, NULL);
}
