#!/bin/sh
# A set-user-id program takes nothing from the environment of who starts it.
#
# SPDX-License-Identifier: MIT
set -eu

test "$(id -u)" = 0 || {
    echo "skipped: only root can make such a program"
    exit 77
}
. tests/support/script.sh
chmod 755 "$scratch"

cat >"$scratch/count.c" <<'END'
#include <prefork.h>
#include <stdio.h>

int main(void) {
    int fds[4];
    return printf("%d\n", pf_listen_fds(fds, 4)) > 0 ? 0 : 1;
}
END
# With the library in it, as such a program is not given the path of one elsewhere.
# shellcheck disable=SC2086 # the compiler may come with options
${CC:-gcc} -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude -o "$scratch/count" \
    "$scratch/count.c" "$BUILD_DIR/libprefork.a"

count() {
    # shellcheck disable=SC2016 # the number is that of the shell, which becomes the program
    sh -c 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" 3</dev/null' "$scratch/count"
}

test "$(count)" = 1 || {
    echo "an ordinary program gets $(count) instead of 1"
    exit 1
}
chown 65534 "$scratch/count"
chmod 4755 "$scratch/count"
# Where such bits are ignored, by the mount or by no_new_privs, there is nothing to see.
cp "$(command -v id)" "$scratch/id"
chown 65534 "$scratch/id"
chmod 4755 "$scratch/id"
test "$("$scratch/id" -u)" = 65534 || {
    echo "skipped: set-user-id bits are ignored here"
    exit 77
}
test "$(count)" = 0 || {
    echo "a set-user-id program gets $(count) instead of 0"
    exit 1
}
