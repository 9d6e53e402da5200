#!/bin/sh
# Install Debian's packages of DIRECTORY in a minimal root of each suite, run debian/tests there,
# and remove them:
#
#   tests/packages/deb.sh DIRECTORY SUITE...
#
# Ends with "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh
. tests/support/debian.sh
. tests/packages/judge.sh
. tests/packages/minimal_root.sh

directory=$(cd "$1" && pwd)
shift
root=
fail_shows=$directory/log

on_exit() {
    test -z "$root" || rm -rf "$root"
}

nothing_is_left() {
    list_files "$directory/after"
    diff "$directory/before" "$directory/after"
}

try() { # suite
    on_exit
    root=$(mktemp -d "$directory/root-$1.XXXXXX")
    judge "$1: a minimal root" make_root "$1" || return 0
    mkdir "$root/packages"
    cp "$directory"/*.deb "$root/packages"
    cp -r lib/packaging/debian "$root/packages/debian"
    judge "$1: what the tests need" apt install gcc libc6-dev pkgconf curl python3 || return 0
    list_files "$directory/before"
    judge "$1: installed" inside sh -c 'DEBIAN_FRONTEND=noninteractive apt-get -q -q -y \
        --no-install-recommends install /packages/libprefork0_*.deb \
        /packages/libprefork-dev_*.deb /packages/prefork_*.deb \
        /packages/python3-prefork_*.deb' || return 0
    for test in server command python; do
        judge "$1: debian/tests/$test" \
            inside timeout 100 sh -c "cd /packages && exec debian/tests/$test" || true
    done
    judge "$1: removed" apt purge libprefork0 libprefork-dev prefork python3-prefork || true
    judge "$1: nothing is left" nothing_is_left || true
    rm -rf "$root"
    root=
}

for suite; do
    try "$suite"
done
echo "$passed passed, $failed failed"
test "$failed" -eq 0
