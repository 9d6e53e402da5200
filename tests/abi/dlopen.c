/*
 * dlopen.c - open the library as a foreign language does: no header, no link
 *
 *   dlopen LIBRARY SYMBOLS VERSION
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *library;

static void fail(const char *what, const char *detail) {
    fprintf(stderr, "%s: %s\n", what, detail);
    exit(EXIT_FAILURE);
}

static void *find(const char *name) {
    void *symbol = dlsym(library, name);
    if (symbol == NULL) {
        fail(name, dlerror());
    }
    return symbol;
}

/* ISO C knows no way from an object pointer to a function pointer; POSIX promises this one. */
static int call_int(const char *name) {
    void *symbol = find(name);
    int (*function)(void);
    memcpy(&function, &symbol, sizeof function);
    return function();
}

static const char *call_text(const char *name) {
    void *symbol = find(name);
    const char *(*function)(void);
    memcpy(&function, &symbol, sizeof function);
    return function();
}

static const char *describe(int error) {
    void *symbol = find("pf_strerror");
    const char *(*function)(int);
    memcpy(&function, &symbol, sizeof function);
    const char *text = function(error);
    if (text == NULL || *text == '\0') {
        fail("pf_strerror", "no text");
    }
    return text;
}

static int find_all(const char *path) {
    FILE *list = fopen(path, "r");
    if (list == NULL) {
        fail(path, "cannot be read");
    }
    char name[128];
    int count = 0;
    while (fgets(name, sizeof name, list) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        find(name);
        count++;
    }
    fclose(list);
    return count;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fail("usage", "dlopen LIBRARY SYMBOLS VERSION");
    }
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fail(argv[1], dlerror());
    }
    int count = find_all(argv[2]);
    if (count == 0) {
        fail(argv[2], "no symbols");
    }
    if (strcmp(call_text("pf_version"), argv[3]) != 0) {
        fail("pf_version", call_text("pf_version"));
    }
    if (call_int("pf_task_id") != -1) {
        fail("pf_task_id", "a worker without a pool");
    }
    if (call_int("pf_cpu_count") < 1) {
        fail("pf_cpu_count", "less than 1");
    }
    if (strcmp(describe(0), "Success") != 0 || strcmp(describe(-4097), describe(-4098)) == 0) {
        fail("pf_strerror", describe(-4097));
    }
    if (dlclose(library) != 0) {
        fail("dlclose", dlerror());
    }
    printf("%d functions found\n", count);
    return EXIT_SUCCESS;
}
