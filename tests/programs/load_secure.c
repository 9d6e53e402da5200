/*
 * load_secure.c - a program that is run with the rights of its owner and then loads the library
 *
 *   load_secure LIBRARY
 *
 * The library is opened by its path: a program with more rights than its caller finds none beside
 * itself. Prints what it found; the status is 0 if it could look.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "process.h"

#if SANITIZED
/* The leak checker cannot look at a process with the rights of another user. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return 1; }
#endif

int main(int argc, char **argv) {
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    /* What the library knows from its first load must outlast that. */
    if (library != NULL && dlclose(library) == 0) {
        library = dlopen(argv[1], RTLD_NOW);
    }
    if (library == NULL) {
        (void)fprintf(stderr, "load_secure: %s\n", argc == 2 ? dlerror() : "no library");
        return 2;
    }
    /* ISO C has no cast from a data pointer to a function pointer. */
    int (*task_id)(void) = NULL;
    int (*fork_processes)(int, int) = NULL;
    *(void **)&task_id = dlsym(library, "pf_task_id");
    *(void **)&fork_processes = dlsym(library, "pf_fork_processes");
    if (task_id == NULL || fork_processes == NULL) {
        return 2;
    }
    int printed =
        printf("secure=%lu task=%d variable=%s result=%d\n", getauxval(AT_SECURE), task_id(),
               getenv("PF_TASK_ID") == NULL ? "gone" : "there", fork_processes(1, 0));
    return printed > 0 ? 0 : 2;
}
