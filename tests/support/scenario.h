/*
 * scenario.h - one run of a host program in a process of its own
 *
 * pf_fork_processes() ends its process, so every test runs it in a child of the test: the
 * supervisor, which leads a session of its own. The test process is a subreaper: what a
 * supervisor leaves behind comes to it, is seen and makes the test fail.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_SCENARIO_H
#define TESTS_SUPPORT_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "board.h"
#include "process.h"

/* What a host does that calls pf_fork_processes() once. Members left out are NULL. */
struct plan {
    int workers;
    int max_restarts;

    /* In the supervisor, before the call. */
    void (*prepare)(struct board *board);

    /* In each worker. run counts the earlier workers of the slot. Returns its exit status;
     * NULL: it waits for ever. */
    int (*work)(struct board *board, int task_id, int run);

    /* In the supervisor, with each event, after it was written on the board. */
    void (*on_event)(struct board *board, const pf_event *event);

    /* In the supervisor, when the call has failed, before the process exits with
     * STATUS_RETURNED. */
    void (*afterwards)(struct board *board, int result);
};

/* A host of another shape. What it returns is its process's exit status. */
typedef int (*host_fn)(struct board *board);

/* The exit status of a supervisor whose call failed. */
enum { STATUS_RETURNED = 70 };

struct scenario {
    struct board *board;
    pid_t supervisor;  /* 0: none was started, or its end was seen */
    int output;        /* all that its processes wrote to stderr */
    bool output_taken; /* the test looks at it, so it may have something in it */
};

/* For cmocka_unit_test_setup_teardown(): *state is a struct scenario. The teardown requires
 * that no process and no descriptor is left, nothing was written to stderr, no check failed
 * outside the test process and the events tell a true story. */
int scenario_setup(void **state);
int scenario_teardown(void **state);

#define scenario_test(function)                                                                    \
    cmocka_unit_test_setup_teardown(function, scenario_setup, scenario_teardown)

/* The same for tests that need a second one at a time. close returns whether all was well. */
bool scenario_open(struct scenario *scenario);
bool scenario_close(struct scenario *scenario);

void scenario_start(struct scenario *scenario, const struct plan *plan);
void scenario_start_host(struct scenario *scenario, host_fn host);

/* To be called by hosts: do what the plan says. Returns an exit status. */
int plan_run(struct board *board, const struct plan *plan);

/* To be called by hosts whose process the leak checker of a sanitizer cannot look at: those
 * without privileges, and those in a namespace of process ids of their own. */
void leave_out_leak_check(void);

/* Send the supervisor a signal. */
void scenario_signal(const struct scenario *scenario, int signal);

/* Wait for the supervisor's end. Returns its wait status; -1: it did not end in time. */
int scenario_wait(struct scenario *scenario);

/* All that was written to stderr so far. */
const char *scenario_output(struct scenario *scenario);

/* In the test process: the supervisor ended by exit(status), or by that signal. */
#define assert_exits(scenario, status) assert_int_equal(scenario_wait(scenario), (status) << 8)
#define assert_dies_of(scenario, number)                                                           \
    assert_int_equal(scenario_wait(scenario) & ~0x80 /* core dump */, number)

#endif
