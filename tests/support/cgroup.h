/*
 * cgroup.h - control groups of the test's own, of either version
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_CGROUP_H
#define TESTS_SUPPORT_CGROUP_H

#include <stdbool.h>

struct cgroup {
    int version;
    char path[512]; /* "": none was made */
};

/* Make a group with that controller, "cpu" or "pids". Returns false where this is not
 * possible: no root, no such controller, a read-only tree. */
bool cgroup_make(struct cgroup *group, const char *controller);

/* Make a group below another, for the same controller. */
bool cgroup_make_below(struct cgroup *group, const struct cgroup *parent);

/* Write one of its files. */
bool cgroup_write(const struct cgroup *group, const char *file, const char *text);

/* Move this process there. */
bool cgroup_enter(const struct cgroup *group);

/* Remove it. Its processes have ended by then. */
bool cgroup_remove(struct cgroup *group);

/* Limit the processor time to so many microseconds in 100,000; 0: no limit. */
bool cgroup_limit_cpu(const struct cgroup *group, int quota_us);

#endif
