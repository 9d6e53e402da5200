/*
 * program.h - what the parts of the old program share
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef OLD_PROGRAM_H
#define OLD_PROGRAM_H

#include <prefork.h>

/* Prints "TASK WHAT NUMBER". Lines of one task have an order, those of several have none. */
void print_number(int task_id, const char *what, long long number);

/* Prints all fields of an event, and 1 in place of what differs from run to run. */
void print_event(const pf_event *event, void *user);

/* Prints the events of a started pool until one of this type and task, or the end. */
void print_until(pf_pool *pool, int type, int task_id);

/* Prints the pending events. */
void print_pending(pf_pool *pool);

/* Prints what is left, and the result of the pool. */
void print_to_end(pf_pool *pool);

/* Returns a new pool with a name; ends the program if there is none. */
pf_pool *make_pool(const char *name, int workers);

/* The parts: each prints, and returns the exit status. */
int play_values(void);
int play_settings(void);
int play_fork(void);
int play_once(void);
int play_loop(void);
int play_host(void);
int play_exec(const char *path);
int play_foreign(void);
int play_daemon(const char *path);
int play_upgrade(const char *program);
int play_upgraded(void);

#endif
