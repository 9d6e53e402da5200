/*
 * relayout.c - what a supervisor hands over gets another version, and ./server is executed with it
 *
 *     relayout NAME version=N [OPTION=VALUE...]
 *
 * The argument is somewhere among the others, all of which ./server gets. This program does not
 * use the library, and has the same pid.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { VERSION_AT = 8, SIZE_MAX_READ = 1 << 20 };

int main(int argc, char **argv) {
    static char bytes[SIZE_MAX_READ];
    const char *number = getenv("PF_UPGRADE");
    int from = number == NULL ? -1 : (int)strtol(number, NULL, 10);
    ssize_t size = pread(from, bytes, sizeof(bytes), 0);
    if (size < VERSION_AT + (ssize_t)sizeof(uint32_t)) {
        err(90, "nothing was handed over");
    }
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "version=", strlen("version=")) == 0) {
            uint32_t version = (uint32_t)strtol(argv[i] + strlen("version="), NULL, 10);
            memcpy(bytes + VERSION_AT, &version, sizeof(version));
        }
    }
    int to = memfd_create("relayout", 0);
    if (to < 0 || write(to, bytes, (size_t)size) != size || dup2(to, from) < 0 || close(to) != 0) {
        err(91, "a changed file");
    }
    execv("./server", argv);
    err(92, "./server");
}
