/*
 * log.h - events as lines of text or JSON on stderr
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PREFORK_SHELL_LOG_H
#define PREFORK_SHELL_LOG_H

#include <stdbool.h>

#include "prefork.h"

/* Before the first line. */
void log_open(bool json);

/* Standard output and error of this process and of later workers. Returns a negative errno. */
int log_to_file(const char *path);

void log_event(const pf_event *event);

/* A line of the program itself; level as in syslog(3). */
__attribute__((format(printf, 2, 3))) void log_line(int level, const char *format, ...);

/* Logs why a call failed, and exits. */
__attribute__((noreturn)) void log_failure(const char *what, int error, int status);

#endif
