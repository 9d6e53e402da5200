// Planted faults for memcheck: a block that is lost, and a branch on a byte that was never written.
//
// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    char *volatile block = malloc(16);
    if (block == NULL) {
        return 1;
    }
    if (argc > 1 && strcmp(argv[1], "uninitialised") == 0) {
        if (block[3] == 'x') {
            puts("x");
        }
        free(block);
    } else {
        block = NULL;
    }
    return 0;
}
