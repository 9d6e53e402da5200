#!/bin/sh
# The library as one source file: it compiles without a warning, a program that a C compiler links
# with it supervises workers, it defines the functions of the interface, and it is made the same
# again. On machines of 32 bits it calls nothing that fails for large files.
#
# SPDX-License-Identifier: MIT
set -eu
export LC_ALL=C

. tests/support/script.sh
. tests/abi/static_program.sh

lib/amalgamate.sh "$scratch/one"
lib/amalgamate.sh "$scratch/two"
diff -r "$scratch/one" "$scratch/two" >"$scratch/differences" ||
    complain "it was made in two ways: $(head -n 5 "$scratch/differences")"
sed 's/[@ ].*//' tests/abi/symbols.txt | grep '^pf_' | sort -u >"$scratch/expected"

try() { # compiler of C++, compiler of C
    if ! "$1" -std=c++20 -O0 -Wall -Wextra -Werror -fno-exceptions -fno-rtti \
        -fno-threadsafe-statics -c -o "$scratch/prefork.o" "$scratch/one/prefork.cc" \
        >"$scratch/errors" 2>&1; then
        complain "does not compile: $1: $(head -n 20 "$scratch/errors")"
        return 0
    fi
    nm --defined-only --extern-only "$scratch/prefork.o" | sed -n 's/.* T \(pf_.*\)/\1/p' |
        sort >"$scratch/defined"
    diff "$scratch/expected" "$scratch/defined" >"$scratch/differences" ||
        complain "other functions, $1: $(cat "$scratch/differences")"
    "$2" -I"$scratch/one" -c -o "$scratch/program.o" tests/abi/static_program.c
    "$2" -o "$scratch/program" "$scratch/program.o" "$scratch/prefork.o"
    expect_workers "$1"
}

try g++ gcc
! command -v clang++ >/dev/null 2>&1 || try clang++ clang
small=i686-linux-gnu
if command -v "$small-g++" >/dev/null 2>&1; then
    "$small-g++" -std=c++20 -O0 -fno-exceptions -fno-rtti -fno-threadsafe-statics -c \
        -o "$scratch/small.o" "$scratch/one/prefork.cc"
    calls=$(nm --undefined-only "$scratch/small.o" |
        grep -E ' (f?stat|fstatat|open|openat|fcntl|ftruncate)$' || true)
    [ -z "$calls" ] || complain "calls for files of 32 bits: $calls"
fi
exit "$found"
