/*
 * rights.c - a program that is run with more rights than its caller has, and makes itself a pool of
 * one worker by exec
 *
 *   rights MODE LIBRARY...
 *
 *   keep    the supervisor keeps its rights
 *   drop    it gives them up before it starts the worker
 *   clear   it empties the environment before it loads the library
 *   worker  nothing but a worker
 *
 * The libraries are opened by their paths: such a program finds none beside itself. The last one is
 * used. Prints a line, in the worker too. The environment counts how deep it is, and bounds it.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "prefork.h"
#include "process.h"

#if SANITIZED
/* The leak checker cannot look at a process with the rights of another user. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return 1; }
#endif

enum { DEPTH_MAX = 2 };

/* ISO C has no cast from a data pointer to a function pointer. */
static void find(void *library, const char *name, void *ret_function) {
    void *function = dlsym(library, name);

    if (function == NULL) {
        exit(2);
    }
    memcpy(ret_function, &function, sizeof(function));
}

static void drop_rights(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (setresgid(getgid(), getgid(), getgid()) != 0 ||
        setresuid(getuid(), getuid(), getuid()) != 0 || syscall(SYS_capset, &header, none) != 0) {
        exit(3);
    }
}

static void ignore_event(const pf_event *event, void *user) {
    (void)event;
    (void)user;
}

static int depth(void) {
    const char *text = getenv("DEPTH");
    return text == NULL ? 0 : atoi(text);
}

static void go_deeper(int from) {
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", from + 1);
    if (setenv("DEPTH", text, 1) != 0) {
        exit(4);
    }
}

int main(int argc, char **argv) {
    __typeof__(&pf_pool_new) pool_new;
    __typeof__(&pf_pool_set_workers) set_workers;
    __typeof__(&pf_pool_set_max_restarts) set_max_restarts;
    __typeof__(&pf_pool_set_event_callback) set_event_callback;
    __typeof__(&pf_pool_set_exec) set_exec;
    __typeof__(&pf_pool_run) run;
    void *library = NULL;
    pf_pool *pool = NULL;
    int task_id = -1, death_signal = -1, was_depth = depth();

    if (argc > 1 && strcmp(argv[1], "clear") == 0 && clearenv() != 0) {
        return 5;
    }
    for (int i = 2; i < argc; i++) {
        library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
    }
    if (library == NULL || was_depth > DEPTH_MAX) {
        printf("%d %s\n", was_depth, library == NULL ? dlerror() : "and so on");
        return 2;
    }
    find(library, "pf_pool_new", &pool_new);
    find(library, "pf_pool_set_workers", &set_workers);
    find(library, "pf_pool_set_max_restarts", &set_max_restarts);
    find(library, "pf_pool_set_event_callback", &set_event_callback);
    find(library, "pf_pool_set_exec", &set_exec);
    find(library, "pf_pool_run", &run);
    go_deeper(was_depth);
    if (strcmp(argv[1], "drop") == 0 && was_depth == 0) {
        drop_rights();
    }
    int result = pool_new(&pool);
    result = result < 0 ? result : set_workers(pool, 1);
    result = result < 0 ? result : set_max_restarts(pool, 0);
    result = result < 0 ? result : set_event_callback(pool, ignore_event, NULL, NULL);
    int executes = result < 0 ? result : set_exec(pool, NULL, NULL, NULL);
    result = executes < 0 ? -1000 : run(pool, &task_id);
    (void)prctl(PR_GET_PDEATHSIG, &death_signal);
    printf("%d secure=%lu exec=%d run=%d task=%d death=%d\n", was_depth, getauxval(AT_SECURE),
           executes, result, task_id, death_signal);
    return 0;
}
