#!/bin/sh
# A program links the static library with whatever compiler and options it is made with, no C++
# runtime near, and supervises workers with it: nothing of the library is compiled anew.
#
# SPDX-License-Identifier: MIT
set -eu
export LC_ALL=C

library=$BUILD_DIR/libprefork.a
. tests/support/script.sh
. tests/abi/static_program.sh
tried=0

# What a compiler keeps for the link would be compiled there, with the options of the program.
readelf -SW "$library" >"$scratch/sections"
grep -q '\.text' "$scratch/sections" || complain "libprefork.a has no code"
! grep -q 'gnu\.lto\|debuglto' "$scratch/sections" || complain "libprefork.a has code for the link"

# Links a program with this compiler and these options, and runs it.
try() { # language, compiler...
    language=$1
    shift
    # shellcheck disable=SC2086 # the compiler may come with options
    if ! "$@" -x "$language" -Wall -Wextra -Werror -Iinclude -o "$scratch/program" \
        tests/abi/static_program.c -x none "$library" >"$scratch/errors" 2>&1; then
        complain "does not link: $* : $(cat "$scratch/errors")"
        return 0
    fi
    tried=$((tried + 1))
    expect_workers "$*"
    # shellcheck disable=SC2016 # the number is that of the shell, which becomes the program
    passed=$(sh -c 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" listen 3</dev/null' "$scratch/program")
    test "$passed" = 1 || complain "was passed $passed instead of 1: $*"
}

try_all() { # language, compiler
    for option in -O0 -Og -O1 -O2 -O3 -Os; do
        try "$@" "$option"
    done
    try "$@" -O3 -flto
    try "$@" -O0 -static
    try "$@" -O2 -static -flto
    try "$@" -O0 -flto
    # The libraries of sanitizers may be packages of their own.
    if echo 'int main(void) { return 0; }' |
        "$2" -fsanitize=address,undefined -x "$1" -o "$scratch/empty" - 2>"$scratch/errors"; then
        try "$@" -O1 -fsanitize=address,undefined
    fi
}

for compiler in gcc clang; do
    if command -v "$compiler" >/dev/null 2>&1; then
        try_all c "$compiler"
    fi
done
for compiler in g++ clang++; do
    if command -v "$compiler" >/dev/null 2>&1; then
        try_all c++ "$compiler"
    fi
done

# shellcheck disable=SC2086 # the compiler may come with options
${CC:-gcc} -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude -o "$scratch/consumer" \
    tests/install/consumer.c "$library"
"$scratch/consumer" | sort >"$scratch/lines"
printf 'worker 0\nworker 1\n' | diff - "$scratch/lines"
needed=$(readelf -dW "$scratch/consumer" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
test "$needed" = libc.so.6 || complain "the program needs more than libc: $needed"

echo "$tried ways to link"
exit "$found"
