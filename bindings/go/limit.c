/*
 * limit.c - the limit on open files that a worker's children get
 *
 * SPDX-License-Identifier: MIT
 *
 * Go raises the soft limit of its own process, and gives children the one from before. A worker
 * would take the raised one for its own. So the supervisor tells it, and before Go's runtime
 * begins the worker has the limit that its supervisor had then.
 */
#define _GNU_SOURCE
#include "limit.h"

#include <stdlib.h>
#include <sys/resource.h>

static unsigned long long soft_limit_at_start;

__attribute__((constructor)) static void take_limit(void) {
    struct rlimit limit;
    const char *text = secure_getenv(LIMIT_VARIABLE);
    char *end = NULL;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    if (text != NULL) {
        unsigned long long value = strtoull(text, &end, 10);
        if (value > 0 && *end == '\0' && value < limit.rlim_cur) {
            limit.rlim_cur = (rlim_t)value;
            (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
        unsetenv(LIMIT_VARIABLE);
    }
    soft_limit_at_start = limit.rlim_cur;
}

unsigned long long limit_at_start(void) { return soft_limit_at_start; }
