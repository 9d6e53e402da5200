#!/bin/sh
# check.sh PREFIX - test prefork.hpp, and the package for CMake, as installed under PREFIX
#
# SPDX-License-Identifier: MIT
#
# The tests are copied to another place, as a user has them without the rest of the tree, and find
# the library by find_package. They are built with each compiler that is here and each standard,
# once with sanitizers, and run by ctest. Ends with "N passed, N failed"; status 77 says that CMake
# is missing.
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

need cmake
cmake_package=$(find "$prefix" -name prefork-config.cmake | head -n 1)
[ -n "$cmake_package" ] || {
    echo "$0: libprefork is not installed for CMake in $prefix" >&2
    exit 2
}
# What the caller exports for the library is not for this.
unset CFLAGS CXXFLAGS LDFLAGS MAKEFLAGS MFLAGS CXX CPPFLAGS

cp -R "$here/tests" "$here/examples" "$scratch"
# The program of README.md, by copy and paste.
# shellcheck disable=SC2016 # the quotes are those of Markdown
sed -n '/^```cpp$/,/^```$/{/^```/!p;}' "$here/README.md" >"$scratch/tests/readme.cc"

build() { # source directory, build directory, options for cmake
    source=$1
    directory=$2
    shift 2
    cmake -S "$source" -B "$directory" -D prefork_DIR="$(dirname "$cmake_package")" "$@" &&
        cmake --build "$directory" -j 2
}

# play NAME OPTION...: builds the tests with these options, and runs them.
play() {
    name=$1
    shift
    rm -rf "$scratch/build"
    status=0
    build "$scratch/tests" "$scratch/build" "$@" >"$scratch/log" 2>&1 || status=$?
    verdict "$name: builds without a warning" "$status"
    [ "$status" -eq 0 ] || return 0
    (cd "$scratch/build" && env --default-signal ctest -j 8 --output-on-failure) \
        >"$scratch/log" 2>&1 || status=$?
    line=$(sed -n 's/.*, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 \2/p' "$scratch/log")
    bad=${line% *}
    all=${line#* }
    if [ -z "$line" ] || { [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; }; then
        verdict "$name: ctest" 1
        return 0
    fi
    passed=$((passed + all - bad))
    failed=$((failed + bad))
    echo "       $name: $((all - bad)) of $all passed"
    [ "$bad" -eq 0 ] || sed 's/^/       /' "$scratch/log"
}

for compiler in g++ clang++; do
    if ! command -v "$compiler" >/dev/null; then
        echo "  skipped: $compiler is missing"
        continue
    fi
    for standard in 17 20 23; do
        # Once with sanitizers. Workers end without freeing what they have, which is no leak.
        sanitize=
        [ "$compiler $standard" != 'g++ 20' ] || sanitize=address,undefined
        # What takes most of the time of a compiler need not be in all.
        programs='scenarios;errors;features;allocation'
        [ "$compiler" = g++ ] || [ "$standard" = 20 ] || programs=features
        ASAN_OPTIONS=detect_leaks=0 play "$compiler, C++$standard${sanitize:+, sanitizers}" \
            -D CMAKE_CXX_COMPILER="$compiler" -D CMAKE_CXX_STANDARD="$standard" \
            -D SANITIZE="$sanitize" -D PROGRAMS="$programs"
    done
done

# Without RTTI it works, without exceptions it is refused.
compile() { # option
    # shellcheck disable=SC2046 # several options
    g++ -std=c++20 "$1" -Werror -Wall $(pkg-config --cflags prefork) -c "$scratch/tests/readme.cc" \
        -o "$scratch/readme.o"
}
refuses_without_exceptions() {
    ! compile -fno-exceptions 2>"$scratch/refused" &&
        grep 'prefork.hpp needs exceptions' "$scratch/refused"
}
if command -v g++ >/dev/null; then
    judge 'compiles without RTTI' compile -fno-rtti
    judge 'says that it needs exceptions' refuses_without_exceptions
fi

status=0
build "$scratch/examples" "$scratch/examples/build" >"$scratch/log" 2>&1 || status=$?
verdict 'the examples build' "$status"
for example in server metrics; do
    if [ "$status" -eq 0 ] && [ ! -x "$scratch/examples/build/$example" ]; then
        echo "  skipped: $example, the library that it needs is missing"
    fi
done

# Its program that asks is one of the tests of the library.
load=${LOAD:-}
if [ -z "$load" ] && [ -f "$here/../../tests/programs/load.c" ]; then
    load=$scratch/load
    gcc -O1 -o "$load" "$here/../../tests/programs/load.c"
fi
if [ -x "$scratch/examples/build/server" ] && [ -n "$load" ]; then
    status=0
    LOAD=$load python3 "$here/../measure.py" --kills 0 --workers 2 --pause 0.02 --most-lost 0 \
        server -- "$scratch/examples/build/server" >"$scratch/log" 2>&1 || status=$?
    verdict 'server loses no request in 10 reloads under load' "$status"
    cat "$scratch/log"
fi
if [ -x "$scratch/examples/build/metrics" ]; then
    status=0
    python3 "$scratch/tests/metrics.py" "$scratch/examples/build/metrics" \
        >"$scratch/log" 2>&1 || status=$?
    verdict 'metrics' "$status"
fi

# Comments for Doxygen: nothing that is public is without one.
if command -v doxygen >/dev/null; then
    status=0
    (
        cd "$here"
        {
            cat Doxyfile
            echo "OUTPUT_DIRECTORY = $scratch/reference"
            echo 'WARN_AS_ERROR = FAIL_ON_WARNINGS'
        } | doxygen -
    ) >"$scratch/log" 2>&1 || status=$?
    verdict doxygen "$status"
fi
judge_license

finish
