/*
 * manager.h - a service manager: who listens at NOTIFY_SOCKET while a test has a pool
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_MANAGER_H
#define TESTS_SUPPORT_MANAGER_H

#include "host.h"

/* Where it listens; close-on-exec. */
extern int manager_socket;

/* Listen at another name instead: a path, or an abstract one behind an '@'. */
void manager_move(const char *name);

/* Take the next message, which must come from this process; "": there is none. */
const char *next_message(void);

/* The next one that is no status: more of those come where something takes a second. */
const char *next_message_but_status(void);

/* Let the pool work until there is a message. */
const char *await_message(struct host *host);

void assert_silent(void);

/* For cmocka_unit_test_setup_teardown(): those of a host, whose pool is to notify, in a directory
 * of its own. */
int manager_setup(void **state);
int manager_teardown(void **state);

#define manager_test(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, manager_setup, manager_teardown)

#endif
