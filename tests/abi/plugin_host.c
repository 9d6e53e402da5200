/*
 * plugin_host.c - a program that opens a plug-in with a copy of the library, and the library
 *
 *   plugin_host PLUGIN LIBRARY         the library first; the plug-in makes a pool of this program
 *   plugin_host PLUGIN LIBRARY close   the plug-in first, which is closed in the worker
 *
 * Each process prints a line, how deep it is first: DEPTH bounds it.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ISO C has no cast from a data pointer to a function pointer. */
static int (*find(void *library, const char *name))(void) {
    void *symbol = dlsym(library, name);
    int (*function)(void);
    if (symbol == NULL) {
        exit(2);
    }
    memcpy(&function, &symbol, sizeof(function));
    return function;
}

int main(int argc, char **argv) {
    const char *text = getenv("DEPTH");
    int depth = text == NULL ? 0 : atoi(text);
    char deeper[16];
    (void)snprintf(deeper, sizeof(deeper), "%d", depth + 1);
    if (argc < 3 || depth > 1 || setenv("DEPTH", deeper, 1) != 0) {
        return 3;
    }
    alarm(20);
    void *library = argc == 3 ? dlopen(argv[2], RTLD_NOW | RTLD_LOCAL) : NULL;
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    library = library == NULL ? dlopen(argv[2], RTLD_NOW | RTLD_LOCAL) : library;
    if (library == NULL || plugin == NULL) {
        (void)fprintf(stderr, "%s\n", dlerror());
        return 4;
    }
    int in_plugin = find(plugin, "plugin_task_id")();
    int result = find(plugin, "plugin_run")();
    if (argc > 3 && (dlclose(plugin) != 0 || dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != NULL)) {
        return 5;
    }
    return printf("%d plugin %d library %d result %d\n", depth, in_plugin,
                  find(library, "pf_task_id")(), result) < 0;
}
