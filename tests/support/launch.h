/*
 * launch.h - daemons, each launched by a process that a scenario starts
 *
 * The test process is a subreaper: a daemon becomes its child, and it sees how that ends.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_LAUNCH_H
#define TESTS_SUPPORT_LAUNCH_H

#include "scenario.h"

enum { NOTE_DAEMON = KIND_NOTE + 200, NOTE_REFUSED };

/* The exit status of a launching process whose call failed. */
enum { STATUS_REFUSED = 9 };

/* To be called by hosts: call pf_daemonize() and note its result. Returns whether this process
 * is the daemon; else it is to end with STATUS_REFUSED. */
bool become_daemon(struct board *board, const char *pid_file);

/* Start a host. Returns its launching process. */
pid_t launch(struct scenario *scenario, host_fn host);

/* The pid of the nth daemon, once there is one. */
pid_t daemon_pid(const struct scenario *scenario, unsigned nth);

/* Wait for the end of a child. Returns its wait status; -1: it did not end in time. */
int end_of(pid_t process);

/* The same, for a process that goes on until that gate is open. */
int end_behind_gate(const struct scenario *scenario, int gate, pid_t process);

/* The test fails unless that link of /proc/PID leads there. */
void assert_link(pid_t pid, const char *name, const char *target);

/* For cmocka_unit_test_setup_teardown(): those of a scenario, in a directory of its own. */
extern char launch_directory[256];
int launch_setup(void **state);
int launch_teardown(void **state);

#define launch_test(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, launch_setup, launch_teardown)

#endif
