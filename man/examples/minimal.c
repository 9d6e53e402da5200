/*
 * minimal.c - four workers, each of which sums a quarter of some numbers
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
    /* This is worker number `task`. An exit status of 0 means that it
     * has finished; after any other it is restarted. */
    unsigned long long sum = 0;
    for (int number = task; number < NUMBERS; number += WORKERS) {
        sum += (unsigned long long)number;
    }
    return printf("worker %d: %llu\n", task, sum) > 0 ? 0 : 1;
}
