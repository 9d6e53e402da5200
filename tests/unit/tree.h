// A tree of files in a directory of its own, which stands for the root of the system.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

namespace tests {

inline char root[64];

// Writes a file below the root, with the folders on its way.
inline void put(const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != nullptr;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

inline int make_root(void **) {
    strcpy(root, "/tmp/prefork-unit-XXXXXX");
    return mkdtemp(root) == nullptr ? -1 : 0;
}

inline int remove_root(void **) {
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", root);
    return system(command);
}

} // namespace tests
