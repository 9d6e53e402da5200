#!/bin/sh
# What a user of CMake does: find_package(prefork), in an installation that was moved, and in one of
# a packager whose libraries are not below the prefix. All that was installed is removed again.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh
command -v cmake >/dev/null || {
    echo 'skipped: there is no cmake'
    exit 77
}
make="${MAKE:-make} --no-print-directory"

mkdir "$scratch/source"
cp tests/install/consumer.c tests/install/consumer.cc tests/install/cmake/* "$scratch/source"

consume() { # where prefork-config.cmake lies, where the library lies
    cmake -S "$scratch/source" -B "$scratch/build" -U prefork_DIR -D PLACE="$1" \
        -D CMAKE_C_COMPILER="${CC:-gcc}" -D CMAKE_CXX_COMPILER="${CXX:-g++}" >"$scratch/log" ||
        { cat "$scratch/log" && exit 1; }
    cmake --build "$scratch/build" >"$scratch/log" || { cat "$scratch/log" && exit 1; }
    for program in in_c in_c_static in_cxx by_header; do
        echo "$program"
        "$scratch/build/$program" | sort >"$scratch/output"
        printf 'worker 0\nworker 1\n' | diff - "$scratch/output"
    done
    # No path of another place, and the library is found by its soname.
    ldd "$scratch/build/by_header" | grep -F "libprefork.so.0 => $2/libprefork.so.0" >/dev/null
    ! ldd "$scratch/build/in_c_static" | grep prefork
}

nothing_left() { # directory
    left=$(find "$1" ! -type d -o -name libprefork -o -path '*/include/prefork' \
        -o -path '*/cmake/prefork')
    test -z "$left" || {
        echo "left behind: $left"
        exit 1
    }
}

# shellcheck disable=SC2086 # a command and its options are words
$make install prefix="$scratch/first" libdir="$scratch/first/lib/tuple" >/dev/null
! grep -rF "$scratch" "$scratch/first/lib/tuple/cmake" || {
    echo 'the files of CMake know where they were installed'
    exit 1
}
mv "$scratch/first" "$scratch/moved"
consume "$scratch/moved/lib/tuple/cmake/prefork" "$scratch/moved/lib/tuple"
# shellcheck disable=SC2086
$make uninstall prefix="$scratch/moved" libdir="$scratch/moved/lib/tuple" >/dev/null
nothing_left "$scratch/moved"

root=$scratch/root
# shellcheck disable=SC2086
$make install DESTDIR="$root" prefix=/opt/prefork libdir=/lib/tuple >/dev/null
consume "$root/lib/tuple/cmake/prefork" "$root/lib/tuple"
# shellcheck disable=SC2086
$make uninstall DESTDIR="$root" prefix=/opt/prefork libdir=/lib/tuple >/dev/null
nothing_left "$root"
