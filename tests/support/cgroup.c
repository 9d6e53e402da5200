/*
 * cgroup.c - control groups of the test's own, of either version
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether a list of words with commas or blanks between them has that word. */
static bool has_word(const char *list, const char *word) {
    size_t length = strlen(word);

    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length) {
        bool begins = at == list || strchr(", ", at[-1]) != NULL;
        if (begins && strchr(", \n", at[length]) != NULL) {
            return true;
        }
    }
    return false;
}

static bool write_file(const char *directory, const char *file, const char *text) {
    char path[700];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    return close(fd) == 0 && written;
}

/* A hierarchy of version 2 has the controller and hands it to the groups below its root. */
static bool hands_down(const char *mount, const char *controller) {
    char path[600];
    char list[512] = "";
    char wanted[32];

    (void)snprintf(path, sizeof(path), "%s/cgroup.controllers", mount);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool listed = fgets(list, sizeof(list), file) != NULL && has_word(list, controller);
    (void)fclose(file); /* nothing was written */
    (void)snprintf(wanted, sizeof(wanted), "+%s", controller);
    return listed && write_file(mount, "cgroup.subtree_control", wanted);
}

/* Finds where groups with that controller are made. */
static bool find_mount(struct cgroup *group, const char *controller, char *mount, size_t size) {
    char line[2048];
    bool found = false;
    FILE *file = fopen("/proc/self/mounts", "re");

    if (file == NULL) {
        return false;
    }
    while (!found && fgets(line, sizeof(line), file) != NULL) {
        char path[300];
        char type[64];
        char options[512];
        if (sscanf(line, "%*s %299s %63s %511s", path, type, options) != 3) {
            continue;
        }
        if (strcmp(type, "cgroup") == 0 && has_word(options, controller)) {
            group->version = 1;
            found = true;
        } else if (strcmp(type, "cgroup2") == 0 && hands_down(path, controller)) {
            group->version = 2;
            found = true;
        }
        if (found) {
            (void)snprintf(mount, size, "%s", path);
        }
    }
    (void)fclose(file); /* nothing was written */
    return found;
}

bool cgroup_make(struct cgroup *group, const char *controller) {
    char mount[300];

    group->path[0] = '\0';
    if (!find_mount(group, controller, mount, sizeof(mount))) {
        return false;
    }
    (void)snprintf(group->path, sizeof(group->path), "%s/prefork-test-%d", mount, (int)getpid());
    if (mkdir(group->path, 0755) != 0) {
        group->path[0] = '\0';
        return false;
    }
    return true;
}

bool cgroup_make_below(struct cgroup *group, const struct cgroup *parent) {
    group->version = parent->version;
    int length = snprintf(group->path, sizeof(group->path), "%s/below", parent->path);
    if (length < 0 || (size_t)length >= sizeof(group->path) || mkdir(group->path, 0755) != 0) {
        group->path[0] = '\0';
        return false;
    }
    return true;
}

bool cgroup_write(const struct cgroup *group, const char *file, const char *text) {
    return write_file(group->path, file, text);
}

bool cgroup_enter(const struct cgroup *group) {
    return write_file(group->path, "cgroup.procs", "0");
}

bool cgroup_remove(struct cgroup *group) {
    bool removed = group->path[0] == '\0' || rmdir(group->path) == 0;

    if (!removed) {
        perror(group->path);
    }
    group->path[0] = '\0';
    return removed;
}

bool cgroup_limit_cpu(const struct cgroup *group, int quota_us) {
    char text[64];

    if (group->version == 2) {
        if (quota_us == 0) {
            return cgroup_write(group, "cpu.max", "max 100000");
        }
        (void)snprintf(text, sizeof(text), "%d 100000", quota_us);
        return cgroup_write(group, "cpu.max", text);
    }
    (void)snprintf(text, sizeof(text), "%d", quota_us == 0 ? -1 : quota_us);
    return cgroup_write(group, "cpu.cfs_period_us", "100000") &&
           cgroup_write(group, "cpu.cfs_quota_us", text);
}
