#!/bin/sh
# Test the Python binding under other versions of Python: tests/pythons/pythons.sh PREFIX VERSION...
#
# Each is that of a release of Debian, in a root of its own. The newest one plays all that
# bindings/python/check.sh has, the others, and with SAMPLE=1 all, the interface and the scenarios.
# Ends with "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

prefix=$1
shift
build=${BUILD_DIR:-$PWD/build}/pythons

# Debian 11 has 3.9, but an older C library than that of this machine's compiler.
suite_of() { # version
    case $1 in
    3.11) echo bookworm ;;
    3.13) echo trixie ;;
    3.14) echo forky ;;
    esac
}

# The tree has the same path inside. What runs there ends with the first process.
inside() { # root, command...
    timeout 900 unshare --pid --mount --fork --kill-child env -u PIP_FIND_LINKS /bin/sh -c '
        set -e
        root=$1
        shift
        cp /etc/resolv.conf "$root/etc/resolv.conf"
        mkdir -p "$root$PWD" "$root${BUILD_DIR:-$PWD}"
        mount --bind "$PWD" "$root$PWD"
        mount --bind /etc/ssl/certs "$root/etc/ssl/certs"
        mount --rbind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        mount -t tmpfs tmpfs "$root/tmp"
        test ! -e "$root/dev/shm" || mount -t tmpfs tmpfs "$root/dev/shm"
        exec chroot "$root" env HOME=/root TMPDIR=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            /bin/sh -c "cd \"\$0\" && exec \"\$@\"" "$PWD" "$@"' sh "$@"
}

packages=pkg-config,ca-certificates,procps,mount,gcc,libc6-dev
need unshare chroot
for version; do
    suite=$(suite_of "$version")
    if [ -z "$suite" ]; then
        echo "  skip Python $version: no root of Debian for it"
        continue
    fi
    status=0
    tests/support/root.sh "$build/$suite" "$suite" \
        "python$version,python$version-venv,$packages" || status=$?
    if [ "$status" -ne 0 ]; then
        [ "$status" -eq 77 ] || exit "$status"
        continue
    fi
    what=python$version
    [ "$version" = 3.14 ] && [ -z "${SAMPLE:-}" ] || what=brief:$what
    start=$(date +%s)
    log=$scratch/$version.log
    status=0
    LOAD=$build/../tests/programs/load BUILD_DIR=$build/$version \
        inside "$build/$suite" sh bindings/python/check.sh "$prefix" "$what" \
        >"$log" 2>&1 </dev/null || status=$?
    good=$(sed -n 's/^\([0-9]*\) passed, [0-9]* failed$/\1/p' "$log" | tail -n 1)
    bad=$(sed -n 's/^[0-9]* passed, \([0-9]*\) failed$/\1/p' "$log" | tail -n 1)
    if [ -z "$good" ] || { [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; }; then
        bad=$((${bad:-0} + 1))
    fi
    if [ "$bad" -gt 0 ] || [ -n "${V:-}" ]; then
        cat "$log"
    fi
    echo "Python $version of $suite: ${good:-0} passed, $bad failed, $(($(date +%s) - start)) s"
    passed=$((passed + ${good:-0}))
    failed=$((failed + bad))
done
[ $((passed + failed)) -gt 0 ] || exit 77
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
