#!/bin/sh
# Look at what the APKBUILD packs, and use it with the C library musl:
#
#   tests/packages/alpine.sh DIRECTORY
#
# Ends with "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh
. tests/packages/judge.sh

directory=$(cd "$1" && pwd)
fail_shows=$scratch/log
packed=$directory/pkgdir

# abuild makes the packages -dev, -static and -doc of these places.
complete() {
    for name in lib/libprefork.so.0 lib/libprefork.a lib/pkgconfig/prefork.pc include/prefork.h \
        share/man/man3/pf_pool.3 share/man/man7/prefork.7; do
        test -e "$packed/usr/$name" || {
            echo "not packed: $name"
            return 1
        }
    done
    test "$(find "$directory/pkgdir-prefork" ! -type d)" = \
        "$directory/pkgdir-prefork/usr/bin/prefork" || {
        echo 'the package of the command has other files'
        find "$directory/pkgdir-prefork" ! -type d
        return 1
    }
}

elsewhere() {
    ! find "$packed" ! -type d ! -path "$packed/usr/lib/*" ! -path "$packed/usr/include/*" \
        ! -path "$packed/usr/share/*" | grep .
}

needs_musl_alone() {
    readelf -dW "$packed/usr/lib/libprefork.so.0" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' \
        >"$scratch/needed"
    cat "$scratch/needed"
    test "$(cat "$scratch/needed")" = libc.so
}

program() {
    # The file of pkg-config names /usr, where the package will be.
    # shellcheck disable=SC2046 # options are words
    "$directory/bin/cc" -o "$scratch/consumer" tests/install/consumer.c \
        $(PKG_CONFIG_SYSROOT_DIR="$packed" PKG_CONFIG_PATH="$packed/usr/lib/pkgconfig" \
            PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
            pkg-config --cflags --libs prefork)
    LD_LIBRARY_PATH="$packed/usr/lib" "$scratch/consumer" | sort >"$scratch/output"
    printf 'worker 0\nworker 1\n' | diff - "$scratch/output"
}

command_of_package() {
    LD_LIBRARY_PATH="$packed/usr/lib" "$directory/pkgdir-prefork/usr/bin/prefork" --version |
        grep -F "$(lib/version.sh)"
}

judge 'alpine: all files are packed' complete || true
judge 'alpine: no file is packed elsewhere' elsewhere || true
judge 'alpine: the library needs musl alone' needs_musl_alone || true
judge 'alpine: a program by pkg-config' program || true
judge 'alpine: the command' command_of_package || true
echo "$passed passed, $failed failed"
test "$failed" -eq 0
