/*
 * lack.c - start a pool where something cannot be had
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "lack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "failing.h"

static int start_without_memory(pf_pool *pool, unsigned nth) {
    const struct failure failure = {.call = "calloc", .error = ENOMEM, .first = nth, .count = 1};

    failure_begin(&failure);
    int result = pf_pool_start(pool);
    (void)failure_end();
    return result;
}

/* The system gives the lowest numbers that are free. */
static int start_without_file(pf_pool *pool, unsigned nth) {
    struct rlimit before;
    int lowest = dup(STDIN_FILENO);

    if (lowest < 0 || close(lowest) != 0 || getrlimit(RLIMIT_NOFILE, &before) != 0) {
        abort();
    }
    const struct rlimit limit = {(rlim_t)lowest + nth - 1, before.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        abort();
    }
    int result = pf_pool_start(pool);
    if (setrlimit(RLIMIT_NOFILE, &before) != 0) {
        abort();
    }
    return result;
}

int start_without(pf_pool *pool, const char *what, unsigned nth) {
    return strcmp(what, "memory") == 0 ? start_without_memory(pool, nth)
                                       : start_without_file(pool, nth);
}
