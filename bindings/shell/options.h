/*
 * options.h - what the command line of prefork(1) says
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PREFORK_SHELL_OPTIONS_H
#define PREFORK_SHELL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "prefork.h"

enum { LISTEN_MAX = 16 };

struct options {
    const char *listen[LISTEN_MAX]; /* addresses, as address.h reads them */
    int listen_count;
    int backlog;
    const char *metrics; /* an address; NULL: none */
    const char *pid_file;
    const char *log_file;
    const char *name;
    bool daemon;
    bool json;
    bool native; /* the program uses the library */
    int spares;
    int workers; /* 0: as many as processors */
    int stop_signal;
    uint64_t stop_ms;
    uint64_t ready_ms;
    uint64_t heartbeat_ms;
    uint64_t uptime_ms;
    uint64_t lifetime_ms;
    uint64_t lifetime_jitter_ms;
    uint64_t backoff_first_ms;
    uint64_t backoff_max_ms;
    int max_restarts;
    int window_max;
    uint64_t window_ms;
    int boot_limit;
    int restart;
    int group;
    int reload_order;
    int width;
    const char **program; /* with its arguments, ended by NULL */
};

/* Exits with status 2 after a message where the line makes no sense, and with 0 after the text of
 * --help or --version. */
void options_read(struct options *options, int argc, char **argv);

/* For all errors of use. */
__attribute__((noreturn, format(printf, 1, 2))) void usage_error(const char *format, ...);

enum { STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };

#endif
