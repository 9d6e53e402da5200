/*
 * host.h - a host that drives a pool from its own loop and writes the events on the board
 *
 * Most tests of pools drive one in the test process itself, so that they can judge after each
 * step; where signals, threads or the end of the process matter, it is done in a scenario's
 * process. Either way every group of tests runs once with each backend.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_HOST_H
#define TESTS_SUPPORT_HOST_H

#include <stdbool.h>

#include "board.h"
#include "process.h"
#include "scenario.h"

struct host {
    struct board *board;
    pf_pool *pool;

    /* In each worker. run counts the earlier workers of the slot. Returns its exit status;
     * NULL: it waits for ever. To be set before the start. */
    int (*work)(struct board *board, int task_id, int run);

    struct scenario *scenario; /* that of a test that has its pool in its own process */
    int result;                /* of the last dispatch; 1: the pool lives */
};

/* The backend of the pools that host_open() makes. */
extern int backend_under_test;
const char *backend_name(void);

/* ---- A host ---------------------------------------------------------------------------- */

/* Make a pool with the backend under test and a worker function that notes KIND_WORKER. What
 * does not work is a fault on the board. */
void host_open(struct host *host, struct board *board);

/* Start the pool with so many workers. Returns what pf_pool_start() returns. */
int host_begin(struct host *host, int workers);

/* Let the pool work for at most so long, and take all events. Returns whether it lives. */
bool host_turn(struct host *host, int timeout_ms);

/* Let it work until there are so many records; false: not in PATIENCE_MS, or it has ended. */
bool host_reaches(struct host *host, int kind, int task_id, unsigned count);

/* Let it work until there are so many processes in the pool, or until a slot has that state. */
bool host_reaches_alive(struct host *host, int count);
bool host_reaches_state(struct host *host, int task_id, int state);

/* Let it work for a time, in which something that must not happen could happen. */
void host_goes_on(struct host *host, unsigned milliseconds);

/* Let it work to its end. Returns what dispatch returned at last; 1: it did not end in time. */
int host_finishes(struct host *host);

/* Stop it and let it work to its end. */
int host_stops(struct host *host);

/* pf_pool_replace_worker(), known to those who judge the story. */
int host_replaces(struct host *host, int task_id);

void host_close(struct host *host);

/* Write down each event: a pf_event_fn with the board for its user. */
void host_note_event(const pf_event *event, void *board);

/* The pid of the nth worker that was started in a slot; 0: none. */
pid_t host_pid(const struct host *host, int task_id, unsigned nth);

/* ---- Works ----------------------------------------------------------------------------- */

/* Tells NOTE_READY and ends with status 0 when it gets SIGTERM. */
enum { NOTE_READY = KIND_NOTE + 100 };
int ends_on_term(struct board *board, int task_id, int run);

/* Ignores SIGTERM, tells NOTE_READY and stays. */
int ignores_term(struct board *board, int task_id, int run);

int crashes_at_once(struct board *board, int task_id, int run);
int ends_at_once(struct board *board, int task_id, int run);

/* In a worker: requires that it has the descriptors that the host had, and none of the library's
 * but the one that tells of the supervisor's end where there are no process descriptors. */
void worker_has_descriptors_of(struct board *board, struct descriptors *own,
                               const struct descriptors *host);

/* In a worker: wait until its stop descriptor is readable. */
void worker_waits_for_stop(struct board *board);

/* In a worker: the end of the pipe in which it writes to its supervisor; -1: there is none. Not one
 * that the tests were given by who started them: those are not close-on-exec. */
int worker_pipe_to_supervisor(void);

/* ---- Groups and fixtures --------------------------------------------------------------- */

/* For cmocka_unit_test_setup_teardown(): *state is a struct host with a pool that has not
 * started yet. The teardown frees it and is otherwise that of a scenario. */
int host_setup(void **state);
int host_teardown(void **state);

#define host_test(function) cmocka_unit_test_setup_teardown(function, host_setup, host_teardown)

/* Choose the backend for what follows. Returns whether this system has it. */
bool backend_use(int backend);

/* Run the tests of an array once with each backend. Returns how many failed. */
#define run_group_with_each_backend(name, tests)                                                   \
    ((backend_use(PF_BACKEND_PIDFD)                                                                \
          ? cmocka_run_group_tests_name(name " (pidfd)", tests, NULL, NULL)                        \
          : 0) +                                                                                   \
     (backend_use(PF_BACKEND_SIGCHLD)                                                              \
          ? cmocka_run_group_tests_name(name " (sigchld)", tests, NULL, NULL)                      \
          : 0))

#endif
