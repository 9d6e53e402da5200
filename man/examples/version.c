/*
 * version.c - the version of the header and of the library; error texts
 *
 * SPDX-License-Identifier: MIT
 */
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    if (printf("compiled against %d.%d.%d, running %s\n",
               PF_VERSION_MAJOR, PF_VERSION_MINOR, PF_VERSION_PATCH,
               pf_version()) < 0) {
        perror("version: stdout");
        return EXIT_FAILURE;
    }

    /* More workers than a pool can have: the call fails before anything
     * is forked. */
    int codes[] = {0, PF_EGAVEUP, PF_ETHREADS,
                   pf_fork_processes(100000, 0)};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (printf("%5d  %s\n", codes[i], pf_strerror(codes[i])) < 0) {
            perror("version: stdout");
            return EXIT_FAILURE;
        }
    }
    if (fflush(stdout) != 0) {
        perror("version: stdout");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
