#!/bin/sh
# Install the packages in a minimal root of each suite, run debian/tests there, and remove them:
#
#   tests/packages/packages.sh DIRECTORY SUITE...
#
# Ends with "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/debian.sh

directory=$(cd "$1" && pwd)
shift
passed=0
failed=0
root=
trap 'test -z "$root" || rm -rf "$root"' EXIT
trap 'exit 130' HUP INT PIPE TERM

verdict() { # what, status
    if test "$2" -eq 0; then
        passed=$((passed + 1))
        echo "  ok   $1"
    else
        failed=$((failed + 1))
        echo "  FAIL $1"
        sed 's/^/       /' "$directory/log" | tail -n 20
    fi
}

# In namespaces of its own: what is left running ends with it.
inside() { # command...
    unshare --pid --mount --fork --kill-child chroot "$root" \
        /bin/sh -c 'mount -t proc proc /proc && exec "$@"' sh "$@" >"$directory/log" 2>&1
}

apt() {
    inside env DEBIAN_FRONTEND=noninteractive apt-get -q -q -y --no-install-recommends "$@"
}

# All files but those in which the package manager keeps its own state.
list() { # file
    find "$root" -xdev \( -path "$root/proc" -o -path "$root/tmp" -o -path "$root/packages" -o \
        -path "$root/var/cache" -o -path "$root/var/log" -o -path "$root/var/lib/apt" -o \
        -path "$root/var/lib/dpkg" -o -name __pycache__ \) -prune -o -print | sort >"$1"
}

try() { # suite
    root=$(mktemp -d "$directory/root-$1.XXXXXX")
    status=0
    timeout 600 debootstrap --variant=minbase --include=ca-certificates "$1" "$root" \
        "$(debian_archive)" >"$directory/log" 2>&1 || status=$?
    verdict "$1: a minimal root" "$status"
    test "$status" -eq 0 || return 0
    mkdir "$root/packages"
    cp "$directory"/*.deb "$root/packages"
    cp -r lib/packaging/debian "$root/packages/debian"
    status=0
    apt install gcc libc6-dev pkgconf curl python3 || status=$?
    verdict "$1: what the tests need" "$status"
    list "$directory/before"
    status=0
    inside sh -c 'DEBIAN_FRONTEND=noninteractive apt-get -q -q -y --no-install-recommends install \
        /packages/libprefork0_*.deb /packages/libprefork-dev_*.deb /packages/prefork_*.deb \
        /packages/python3-prefork_*.deb' || status=$?
    verdict "$1: installed" "$status"
    for test in server command python; do
        status=0
        inside timeout 100 sh -c "cd /packages && exec debian/tests/$test" || status=$?
        verdict "$1: debian/tests/$test" "$status"
    done
    status=0
    apt purge libprefork0 libprefork-dev prefork python3-prefork || status=$?
    verdict "$1: removed" "$status"
    status=0
    list "$directory/after"
    diff "$directory/before" "$directory/after" >"$directory/log" || status=$?
    verdict "$1: nothing is left" "$status"
    rm -rf "$root"
    root=
}

for suite; do
    try "$suite"
done
echo "$passed passed, $failed failed"
test "$failed" -eq 0
