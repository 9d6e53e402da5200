#!/bin/sh
# Other languages open the library by its path at run time: every function is found and the
# ones that need no pool work.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

version=$(sed -n 's/^#define PF_VERSION_[MP][A-Z]* //p' include/prefork.h | paste -s -d .)
# shellcheck disable=SC2086 # the compiler may come with options
${CC:-gcc} -std=c99 -Wall -Wextra -Wpedantic -Werror -o "$scratch/dlopen" tests/abi/dlopen.c -ldl
"$scratch/dlopen" "$(readlink -f "$BUILD_DIR/libprefork.so")" tests/abi/symbols.txt "$version"
