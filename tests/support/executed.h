/*
 * executed.h - hosts whose workers are executed, and report
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_EXECUTED_H
#define TESTS_SUPPORT_EXECUTED_H

#include "host.h"
#include "report.h"

/* The fixture of a host in an empty directory with a report. */
int executed_setup(void **state);
int executed_teardown(void **state);

#define executed_test(function)                                                                    \
    cmocka_unit_test_setup_teardown(function, executed_setup, executed_teardown)

/* The same for a scenario. */
int executed_scenario_setup(void **state);
int executed_scenario_teardown(void **state);

#define executed_scenario_test(function)                                                           \
    cmocka_unit_test_setup_teardown(function, executed_scenario_setup, executed_scenario_teardown)

/* Workers run exec_worker with those steps, the last of which is followed by NULL. */
void executes(struct host *host, ...);

/* The same with another program of tests/programs. */
void executes_program(struct host *host, const char *program, ...);

/* Let the pool work until a text was reported so often; false: not in PATIENCE_MS, or it ended. */
bool host_reports(struct host *host, const char *text, unsigned count);

/* The same where the pool is in another process. */
bool report_reaches(const char *text, unsigned count);

/* In the test: it was reported. */
__attribute__((format(printf, 1, 2))) void assert_reported(const char *format, ...);

/* Text with numbers in it, valid until the next call. */
__attribute__((format(printf, 1, 2))) const char *text_of(const char *format, ...);

/* Make a file with that text; mode as chmod(2). */
void make_file(const char *name, const char *text, unsigned mode);

/* Copy a file, executable. */
void copy_program(const char *from, const char *to);

/* Start a program and wait for its end. Returns its wait status. */
int execute_and_wait(const char *const *arguments, const char *const *environment);

#endif
