#!/bin/sh
# What a user of meson does: a project takes the library as a subproject by the wrap file of
# make amalgamation, from the archive beside it, and finds an installed one by pkg-config.
#
# SPDX-License-Identifier: MIT
set -eu
export LC_ALL=C

. tests/support/script.sh
need meson ninja

lib/amalgamate.sh "$scratch/amalgamation"
mkdir -p "$scratch/source/subprojects/packagefiles"
cp tests/install/consumer.c tests/install/meson/meson.build "$scratch/source"
cp "$scratch/amalgamation/prefork.wrap" "$scratch/source/subprojects"
cp "$scratch/amalgamation"/*.tar.gz "$scratch/source/subprojects/packagefiles"

consume() { # name of the build, option of meson
    meson setup "$2" "$scratch/$1" "$scratch/source" >"$scratch/log" 2>&1 ||
        fail "meson setup: $(cat "$scratch/log")"
    ninja -C "$scratch/$1" >"$scratch/log" 2>&1 || fail "ninja: $(cat "$scratch/log")"
    ! grep -i 'warning:' "$scratch/log" || fail 'compiled with warnings'
    "$scratch/$1/consumer" | sort >"$scratch/output"
    printf 'worker 0\nworker 1\n' | diff - "$scratch/output" || fail "a program of $1"
}

libraries() { # name of the build
    readelf -d "$scratch/$1/consumer" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'
}

consume subproject --wrap-mode=forcefallback
! libraries subproject | grep -E 'prefork|stdc' || fail 'it needs another library'

make --no-print-directory install prefix="$scratch/prefix" libdir="$scratch/prefix/lib" >/dev/null
export PKG_CONFIG_PATH="$scratch/prefix/lib/pkgconfig" LD_LIBRARY_PATH="$scratch/prefix/lib"
consume installed --wrap-mode=nofallback
libraries installed | grep -qx libprefork.so.0 || fail 'it does not need the installed library'

# Another archive than the one that the wrap file means is refused.
echo >>"$scratch/source/subprojects/packagefiles/$(cd "$scratch/amalgamation" && ls ./*.tar.gz)"
rm -r "$scratch/source/subprojects"/libprefork-amalgamation-*
! meson setup --wrap-mode=forcefallback "$scratch/changed" "$scratch/source" \
    >"$scratch/log" 2>&1 || fail 'a changed archive was accepted'
grep -qi 'hash' "$scratch/log" || fail "refused with: $(cat "$scratch/log")"
