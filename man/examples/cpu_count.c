/*
 * cpu_count.c - compare the processors for this process with all of them
 *
 * SPDX-License-Identifier: MIT
 */
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (online < 1) {
        perror("cpu_count: sysconf");
        return EXIT_FAILURE;
    }
    if (printf("this process may use %d of %ld processors\n",
               pf_cpu_count(), online) < 0 ||
        fflush(stdout) != 0) {
        perror("cpu_count: stdout");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
