#!/bin/sh
# What a packager does: install below DESTDIR with the paths of the final system, build
# programs against it there, and remove it all again.
#
# SPDX-License-Identifier: MIT
set -eu

# A space in its name shows a path that was not quoted.
. tests/support/script.sh
root="$scratch/root"
make="${MAKE:-make} --no-print-directory"
paths="prefix=/opt/prefork libdir=/opt/prefork/lib/tuple"

# shellcheck disable=SC2086 # commands and options are words
$make install DESTDIR="$scratch/with space" $paths
test -f "$scratch/with space/opt/prefork/include/prefork.h"
# shellcheck disable=SC2086
$make install DESTDIR="$root" $paths >/dev/null
grep -F "$scratch" "$root/opt/prefork/lib/tuple/pkgconfig/prefork.pc" && {
    echo "prefork.pc knows the scratch directory"
    exit 1
}

PKG_CONFIG_PATH="$root/opt/prefork/lib/tuple/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root" \
    tests/install/consume.sh "$root/opt/prefork/lib/tuple"

for destination in "$root" "$scratch/with space"; do
    # shellcheck disable=SC2086
    $make uninstall DESTDIR="$destination" $paths >/dev/null
    left=$(find "$destination" ! -type d)
    test -z "$left" || {
        echo "left behind: $left"
        exit 1
    }
done
