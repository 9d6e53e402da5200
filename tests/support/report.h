/*
 * report.h - a file in which programs that a test has started say what they found
 *
 * They have nothing in common with the test but their environment: the variable REPORT names
 * the file. Each line begins with the task id of the process that wrote it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_REPORT_H
#define TESTS_SUPPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>

/* In the test: a new file in the current directory, which is also put into the environment. */
void report_begin(void);

/* All that was reported so far. */
const char *report_text(void);

/* How often a piece of text is in it. */
unsigned report_count(const char *text);

/* The number behind the nth occurrence of a text, from 0; -1: there is none. */
long report_number(const char *text, unsigned nth);

/* In a program: add a line, in one piece. */
__attribute__((format(printf, 1, 2))) void report(const char *format, ...);

/* The absolute path of a program of tests/programs, or beside the test another file built. */
const char *program_path(const char *name);

/* The directory of the library. */
const char *library_directory(void);

#endif
