#!/bin/sh
# The workers of a set-user-id program execute its file, not the name that it was started with:
# that is chosen by who starts it.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/abi/setuid.sh

# A worker prints the path of its program. The supervisor turns the link that it was started by.
cat >"$scratch/service.c" <<'END'
#define _GNU_SOURCE
#include <prefork.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char path[1024] = "";
    pf_pool *pool = NULL;
    int task_id = -1;
    if (pf_task_id() < 0 && (argc != 3 || rename(argv[1], argv[2]) != 0)) {
        return 3;
    }
    int result = pf_pool_new(&pool);
    result = result < 0 ? result : pf_pool_set_workers(pool, 1);
    result = result < 0 ? result : pf_pool_set_exec(pool, NULL, NULL, NULL);
    result = result < 0 ? result : pf_pool_run(pool, &task_id);
    if (result == 0 && task_id >= 0) {
        return readlink("/proc/self/exe", path, sizeof(path) - 1) < 0 ||
               puts(strrchr(path, '/') + 1) < 0;
    }
    if (result < 0) {
        fprintf(stderr, "%s\n", pf_strerror(result));
    }
    return result < 0;
}
END
# With the library in it, as such a program is not given the path of one elsewhere.
# shellcheck disable=SC2086 # the compiler may come with options
${CC:-gcc} -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude -o "$scratch/good" \
    "$scratch/service.c" "$BUILD_DIR/libprefork.a"
cp "$scratch/good" "$scratch/other"

mkdir "$scratch/links"
chmod 777 "$scratch/links"
run() {
    ln -sf ../good "$scratch/links/service"
    ln -sf ../other "$scratch/links/new"
    chmod 777 "$scratch/links"
    "$scratch/links/service" "$scratch/links/new" "$scratch/links/service"
}

test "$(run)" = other || {
    echo "the workers of an ordinary program execute $(run) instead of what the link leads to"
    exit 1
}
chown 65534 "$scratch/good"
chmod 4755 "$scratch/good"
# Where such bits are ignored, by the mount or by no_new_privs, there is nothing to see.
cp "$(command -v id)" "$scratch/id"
chown 65534 "$scratch/id"
chmod 4755 "$scratch/id"
test "$("$scratch/id" -u)" = 65534 || {
    echo "skipped: set-user-id bits are ignored here"
    exit 77
}
test "$(run)" = good || {
    echo "the workers of a set-user-id program execute $(run) instead of its file"
    exit 1
}
