#!/bin/bash
# Build what lib/packaging/alpine/APKBUILD packs, from the last commit:
#
#   lib/packaging/alpine.sh DIRECTORY
#
# Its functions are called as abuild does, each by ash with "set -e", but with the C library musl of
# this system, since abuild is a program of Alpine alone. DIRECTORY/pkgdir has what is packed,
# DIRECTORY/pkgdir-prefork what belongs to the package of the command.
#
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/machines/toolchain.sh

rm -rf "$1"
mkdir -p "$1"
directory=$(cd "$1" && pwd)
recipe=$PWD/lib/packaging/alpine/APKBUILD
toolchain musl "$directory/bin" || {
    echo 'skipped: there is no compiler for musl'
    exit 77
}
ash=$(command -v ash || command -v dash)
archive=libprefork-$(lib/version.sh).tar.gz
lib/packaging/dist.sh "$directory/$archive"
mkdir "$directory/src" "$directory/pkgdir" "$directory/pkgdir-prefork"
tar -xzf "$directory/$archive" -C "$directory/src"

# Moves files from the package to the one that is made of a part of it.
# shellcheck disable=SC2154 # call() sets the variables, as abuild does
amove() {
    for name; do
        mkdir -p "$subpkgdir/$(dirname "$name")"
        mv "$pkgdir/$name" "$subpkgdir/$name"
    done
}

call() { # function, its subpackage
    env -u MAKEFLAGS -u MFLAGS srcdir="$directory/src" pkgdir="$directory/pkgdir" \
        subpkgdir="$directory/pkgdir${2:+-$2}" CC="$directory/bin/cc" CXX="$directory/bin/c++" \
        "$ash" -euc "$(declare -f amove)
            . $recipe
            test \"\$source\" = $archive
            cd \"\$builddir\"
            $1" >>"$directory/log" 2>&1 || {
        echo "APKBUILD: $1() fails:"
        tail -n 30 "$directory/log"
        exit 1
    } >&2
}

call build
call check
call package
call _command prefork
rm -rf "$directory/src"
echo "$directory/pkgdir"
