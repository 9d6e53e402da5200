/*
 * report.c - a file in which programs that a test has started say what they found
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "report.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prefork.h"

enum { LINE_SIZE = 8192 };

void report_begin(void) {
    char directory[PATH_MAX];
    char path[PATH_MAX + sizeof("/report")];

    if (getcwd(directory, sizeof(directory)) == NULL) {
        perror("report");
        exit(99);
    }
    (void)snprintf(path, sizeof(path), "%s/report", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || fchmod(fd, 0666) != 0 || close(fd) != 0 || setenv("REPORT", path, 1) != 0) {
        perror("report");
        exit(99);
    }
}

const char *report_text(void) {
    static char text[262144];
    const char *path = getenv("REPORT");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0) {
        (void)close(fd); /* nothing was written */
    }
    text[length < 0 ? 0 : length] = '\0';
    return text;
}

static const char *find(const char *text, unsigned nth) {
    const char *place = strstr(report_text(), text);

    while (place != NULL && nth-- > 0) {
        place = strstr(place + 1, text);
    }
    return place;
}

unsigned report_count(const char *text) {
    unsigned count = 0;

    while (find(text, count) != NULL) {
        count++;
    }
    return count;
}

long report_number(const char *text, unsigned nth) {
    const char *place = find(text, nth);

    return place == NULL ? -1 : strtol(place + strlen(text), NULL, 10);
}

void report(const char *format, ...) {
    char line[LINE_SIZE];
    const char *path = getenv("REPORT");
    int fd = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    va_list arguments;

    int length = snprintf(line, sizeof(line), "%d ", pf_task_id());
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof(line) - (size_t)length - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof(line) - 2) {
        length = (int)sizeof(line) - 2;
    }
    line[length] = '\n';
    if (fd < 0 || write(fd, line, (size_t)length + 1) != length + 1 || close(fd) != 0) {
        _exit(94);
    }
}

/* Tests are in build/tests/api, programs in build/tests/programs. */
static const char *path_from_here(const char *below) {
    static char paths[4][PATH_MAX + 256];
    static unsigned next;
    char here[PATH_MAX];
    char *path = paths[next++ % 4];

    ssize_t length = readlink("/proc/self/exe", here, sizeof(here) - 1);
    here[length < 0 ? 0 : length] = '\0';
    char *name = strrchr(here, '/');
    if (name == NULL) {
        exit(99);
    }
    *name = '\0';
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", here, below);
    return path;
}

const char *program_path(const char *name) {
    char below[256];

    (void)snprintf(below, sizeof(below), "../programs/%s", name);
    return path_from_here(below);
}

const char *library_directory(void) { return path_from_here("../.."); }
