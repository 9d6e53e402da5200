/*
 * forker.h - a host that forks the workers of its pool by itself
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_FORKER_H
#define TESTS_SUPPORT_FORKER_H

#include "host.h"

/* A child was not let in; value: what pf_pool_fork_child() returned there. */
enum { NOTE_REFUSED = KIND_NOTE + 90 };

/* Start the pool with so many workers, which the host forks. */
int forker_begin(struct host *host, int workers);

/* Let the pool work until it asks for a fork, which is not answered. Returns the task id; -1: it
 * did not in PATIENCE_MS, or has ended. */
int forker_take(struct host *host);

/* The same among the events that wait already. */
int forker_take_waiting(struct host *host);

/* Fork a child, which calls pf_pool_fork_child() and does the host's work; the pool is not told. */
pid_t forker_child(struct host *host, int task_id);

/* The same with signals held back, and tell the pool. Returns what pf_pool_fork_parent() returns;
 * forks also where the pool wants no worker. */
int forker_fork(struct host *host, int task_id);

/* Let the pool work for at most so long, note all events and answer all requests. Returns whether
 * it lives. */
bool forker_turn(struct host *host, int timeout_ms);

/* As the functions of a host. */
bool forker_reaches(struct host *host, int kind, int task_id, unsigned count);
int forker_finishes(struct host *host);
int forker_stops(struct host *host);

#endif
