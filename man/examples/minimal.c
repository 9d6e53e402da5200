/*
 * minimal.c - four workers, each of which adds up its quarter of a range of numbers
 *
 * SPDX-License-Identifier: MIT
 */
#include <prefork.h>
#include <stdio.h>

enum { WORKERS = 4, MAX_RESTARTS = 10, NUMBERS = 1000000 };

int main(void) {
    int task = pf_fork_processes(WORKERS, MAX_RESTARTS);
    if (task < 0) {
        fprintf(stderr, "minimal: %s\n", pf_strerror(task));
        return 1;
    }
    /* This is worker number `task`. A status other than 0 would start it again. */
    unsigned long long sum = 0;
    for (int number = task; number < NUMBERS; number += WORKERS) {
        sum += (unsigned long long)number;
    }
    return printf("worker %d: %llu\n", task, sum) > 0 ? 0 : 1;
}
