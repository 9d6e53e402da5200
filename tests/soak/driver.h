/*
 * driver.h - does to the supervisor and its workers what may happen to them
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SOAK_DRIVER_H
#define TESTS_SOAK_DRIVER_H

#include <sys/resource.h>

#include "cgroup.h"
#include "observer.h"

struct driver {
    struct observer *observer;
    struct dice dice;
    int command_fd;
    int user;            /* of the supervisor; 0: that of this process */
    struct rlimit files; /* of the supervisor, at rest */
    struct rlimit processes;
    bool limited;
    struct cgroup *memory; /* NULL: there is none */
    bool pressed;
    uint64_t supervisor_stopped_until; /* 0: it runs */
};

/* Drive for so long, then take back what can be taken back. */
void driver_chaos(struct driver *driver, unsigned milliseconds);

/* A number in a file of a control group, behind a word if there is one; -1: there is none. */
long long cgroup_number(const struct cgroup *group, const char *file, const char *word);

/* Continue what was stopped, and lift the limits. */
void driver_calm(struct driver *driver);

#endif
