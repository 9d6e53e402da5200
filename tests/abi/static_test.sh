#!/bin/sh
# A C program links the static library with the C compiler alone, no C++ runtime near, both
# with a shared and with a static libc, and supervises workers with it.
#
# SPDX-License-Identifier: MIT
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for how in -dynamic -static; do
    option=
    test "$how" = -dynamic || option=-static
    # shellcheck disable=SC2086 # options, which may be none
    ${CC:-gcc} -std=c99 -Wall -Wextra -Wpedantic -Werror $option -Iinclude \
        -o "$scratch/consumer" tests/install/consumer.c "$BUILD_DIR/libprefork.a"
    "$scratch/consumer" | sort >"$scratch/output"
    printf 'worker 0\nworker 1\n' | diff - "$scratch/output"
    if test "$how" = -dynamic; then
        needed=$(readelf -dW "$scratch/consumer" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
        test "$needed" = libc.so.6 || {
            echo "the program needs more than libc: $needed"
            exit 1
        }
    fi
done
