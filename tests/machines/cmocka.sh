#!/bin/sh
# Build CMocka for another machine: tests/machines/cmocka.sh COMPILER DIRECTORY
#
# Its source is Debian's. DIRECTORY has cmocka.h and libcmocka.a afterwards.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/debian.sh

compiler=$1
directory=$2
source=${CMOCKA_SOURCE:-build/machines/cmocka}

fetch() {
    apt=$PWD/$source/apt
    # The suite of this Debian, or that of the stable one.
    suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    begin_apt "$apt" "${suite:-stable}" deb-src || {
        echo "apt knows no archive of Debian" >&2
        exit 1
    }
    apt_in "$apt" apt-get update
    (cd "$source" && apt_in "$apt" apt-get --download-only source cmocka)
    rm -rf "$apt"
    mkdir -p "$source/tree"
    tar -xf "$(find "$source" -maxdepth 1 -name 'cmocka_*.orig.tar.*z')" -C "$source/tree" \
        --strip-components=1
}

test ! -e "$directory/libcmocka.a" || exit 0
test -e "$source/tree/src/cmocka.c" || fetch
mkdir -p "$directory"
defines='-DHAVE_SIGNAL_H -DHAVE_INTTYPES_H -DHAVE_STRINGS_H -DHAVE_MALLOC_H -DHAVE_STRUCT_TIMESPEC
    -DHAVE_CLOCK_REALTIME -DHAVE_GCC_THREAD_LOCAL_STORAGE -DHAVE_STRSIGNAL -DHAVE_SIGLONGJMP'
# shellcheck disable=SC2086 # words on purpose
"$compiler" -O1 -w $defines -I"$source/tree/include" -c -o "$directory/cmocka.o" \
    "$source/tree/src/cmocka.c"
cp "$source/tree/include/cmocka.h" "$directory/cmocka.h"
ar rcs "$directory/libcmocka.a" "$directory/cmocka.o"
