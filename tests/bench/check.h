/*
 * The end of a program that measures, when a call fails.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H

#ifndef _GNU_SOURCE
#error "program_invocation_short_name needs _GNU_SOURCE"
#endif
#include <errno.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void fail(const char *what) {
    (void)fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(EXIT_FAILURE);
}

static inline void check(int result, const char *what) {
    if (result < 0) {
        (void)fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
                      pf_strerror(result));
        exit(EXIT_FAILURE);
    }
}

#endif
