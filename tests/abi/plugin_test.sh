#!/bin/sh
# A plug-in with a static copy of the library and the library itself, in one process: a worker that
# one of them was made by is one for both, also when the plug-in is closed.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

# shellcheck disable=SC2086 # the compiler may come with options
${CC:-gcc} -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude -fPIC -shared \
    -Wl,--exclude-libs,ALL -o "$scratch/plugin.so" tests/abi/plugin.c "$BUILD_DIR/libprefork.a"
# shellcheck disable=SC2086
${CC:-gcc} -std=c99 -Wall -Wextra -Wpedantic -Werror -o "$scratch/host" \
    tests/abi/plugin_host.c -ldl

if readelf -W --dyn-syms "$scratch/plugin.so" | grep -q ' pf_pool_run'; then
    echo "the plug-in shows its copy"
    exit 1
fi
for how in '' close; do
    status=0
    "$scratch/host" "$scratch/plugin.so" "$BUILD_DIR/libprefork.so" ${how:+"$how"} \
        >"$scratch/lines" 2>"$scratch/errors" || status=$?
    printf '%s\n' '1 plugin 0 library 0 result 0' '0 plugin -1 library -1 result -1' |
        diff - "$scratch/lines" || status=1
    if test "$status" -ne 0; then
        echo "status $status: $(cat "$scratch/errors")"
        exit 1
    fi
done
