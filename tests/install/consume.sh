#!/bin/sh
# Build the consumers with only what pkg-config tells, and run them.
#
#   consume.sh LIBRARY_DIRECTORY     (where the installed library really lies)
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh
pkg_config=${PKG_CONFIG:-pkg-config}

version=$(sed -n 's/^#define PF_VERSION_[MP][A-Z]* //p' include/prefork.h | paste -s -d .)
test "$("$pkg_config" --modversion prefork)" = "$version"

options=$("$pkg_config" --cflags --libs prefork)
echo "pkg-config: $options"

run() {
    LD_LIBRARY_PATH=$1 "$scratch/consumer" >"$scratch/output"
    sort "$scratch/output" >"$scratch/sorted"
    printf 'worker 0\nworker 1\n' | diff - "$scratch/sorted"
    # The loader must have found the library that was just installed.
    LD_LIBRARY_PATH=$1 ldd "$scratch/consumer" | grep -F "=> $1/libprefork.so" >/dev/null
}

# Copies, so that no file of the source tree lies beside them.
cp tests/install/consumer.c tests/install/consumer.cc "$scratch"
# shellcheck disable=SC2086 # options are words
${CC:-gcc} -std=c99 -Wall -Wextra -Wpedantic -Werror -o "$scratch/consumer" \
    "$scratch/consumer.c" $options
run "$1"
# shellcheck disable=SC2086
${CXX:-g++} -std=c++11 -Wall -Wextra -Wpedantic -Werror -o "$scratch/consumer" \
    "$scratch/consumer.cc" $options
run "$1"
