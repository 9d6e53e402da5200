#!/bin/sh
# clang-tidy finds no fault in the library, the tests and the examples; see .clang-tidy.
#
# ANALYZER_NODES says how long its analyzer follows a function. At the default of clang, 225000,
# that takes most of the time of this script: "make analysis" does it. With SAMPLE=1 one of four
# files of the tests and examples is looked at, chosen by SEED, and all of the library.
#
# SPDX-License-Identifier: MIT
set -eu

tidy=${CLANG_TIDY:-clang-tidy}
nodes=${ANALYZER_NODES:-20000}
jobs=$(getconf _NPROCESSORS_ONLN)
seed=${SEED:-$(date +%s)}
failed=$(mktemp)
trap 'rm -f "$failed"' EXIT

run() { # checks beside those of .clang-tidy, options of the compiler; names of files on stdin
    checks=$1
    shift
    {
        xargs -P "$jobs" -I '{}' "$tidy" --quiet --checks="$checks" '{}' -- "$@" \
            -Iinclude -Itests/support -Xclang -analyzer-config -Xclang "max-nodes=$nodes" \
            2>&1 || echo yes >"$failed"
    } | grep -v 'warnings\{0,1\} generated' || true # it counts those of system headers
}

# Names on stdin; prints those that are looked at.
chosen() {
    sort | if test -n "${SAMPLE-}"; then
        awk -v seed="$seed" 'BEGIN { srand(seed) } rand() < 0.25'
    else
        cat
    fi
}

test -z "${SAMPLE-}" || echo "# seed $seed"
{
    find lib -name '*.cc' | sort
    find tests/unit tests/fuzz -name '*.cc' | chosen
} | run '' -std=c++20 -fno-exceptions -fno-rtti -Ilib -Itests/fuzz -DPF_TESTING
# Headers that are not in the compiler's own directories are to be taken for the system's, too.
# The faults that tests/analysis plants are left out.
# shellcheck disable=SC2046 # options are words
find tests -name '*.c' ! -path tests/analysis/leak.c | chosen |
    run '' -std=c99 $("${PKG_CONFIG:-pkg-config}" --cflags glib-2.0 | sed 's/-I/-isystem /g')
find bindings/shell -name '*.c' | chosen | run '' -std=c99
# A program may end by an exception that nobody catches.
find bindings/cpp tests/install/cmake -name '*.cc' -o -name prefork.hpp | chosen |
    run '-bugprone-exception-escape' -x c++ -std=c++20 -Ibindings/cpp/include
# The analyzer cannot follow the lists of queue(7), which the examples use.
find man/examples -name '*.c' | chosen |
    run '-clang-analyzer-unix.Malloc,-clang-analyzer-core.NullDereference' -std=c99
test ! -s "$failed"
