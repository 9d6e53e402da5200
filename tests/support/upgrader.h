/*
 * upgrader.h - the server of tests/programs/upgrader.c, started and upgraded by tests
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_UPGRADER_H
#define TESTS_SUPPORT_UPGRADER_H

#include <stdint.h>
#include <sys/types.h>

/* Start a copy of the program in this directory, as a release that can be replaced. The options
 * are ended by NULL. */
pid_t serve(const char *const *options);

/* Options for two workers that do not know the library and beat by the socket. */
const char *const *beating_options(void);

/* The supervisor takes none of them for one that hangs, for longer than its time-out. */
void assert_beats_arrive(void);

/* The options of the next program, one a line. */
void set_next(const char *text);

/* Ask a server to execute its next program. */
void upgrade(pid_t server);

/* Wait for the end of a server. Returns its wait status. */
int server_end(pid_t server);

/* Stop a server, which must succeed, and see its workers end. */
void stops(pid_t server);

/* Workers whose supervisor has ended come to this process and end, too. */
void assert_all_end(void);

/* A text is reported so often, or the test fails. */
void assert_reaches(const char *text, unsigned count);

/* The pid of the worker that a program has started in a slot. */
pid_t worker_of(unsigned generation, unsigned slot);

/* The port of the server. */
int port_of(void);

/* Send a request and return the generation of the worker that answers; -1: nobody does. */
int request_from(int port, pid_t *ret_worker);

#endif
