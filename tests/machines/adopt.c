/*
 * adopt.c - a program that adopts orphans, where it cannot ask for that itself: adopt PROGRAM...
 *
 * qemu-user 7.2 refuses PR_SET_CHILD_SUBREAPER, but an execve() keeps what was set before.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 2 || prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) != 0 ||
        setenv("ADOPTS_ORPHANS", "1", 1) != 0) {
        return 2;
    }
    (void)execv(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
