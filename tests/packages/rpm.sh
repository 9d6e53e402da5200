#!/bin/sh
# Install the RPM packages of DIRECTORY, use them, and remove them:
#
#   tests/packages/rpm.sh DIRECTORY
#
# This takes place in a copy of this system that ends with the script: an overlay, whose upper layer
# shows what was left behind. Ends with "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -eu

if test -z "${PF_IN_NAMESPACE-}"; then
    unshare --mount --pid --fork true 2>/dev/null || {
        echo 'skipped: no right to make namespaces'
        exit 77
    }
    exec env PF_IN_NAMESPACE=1 \
        unshare --mount --propagation private --pid --fork --kill-child "$0" "$@"
fi

. tests/support/script.sh
. tests/packages/judge.sh

directory=$(cd "$1" && pwd)
fail_shows=$scratch/log
root=/mnt/root
of_rpm='--dbpath /var/lib/prefork-rpm'
# The libraries of such systems are in lib64.
libdir=$(rpm --eval '%{_libdir}')

begin() {
    mount -t tmpfs tmpfs /mnt
    mkdir -p /mnt/upper /mnt/work "$root"
    mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay "$root"
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/dev"
    for device in null zero urandom; do
        : >"$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount -t tmpfs tmpfs "$root/tmp"
    mkdir "$root/tmp/packages"
    cp "$directory"/*.rpm lib/packaging/debian/tests/server lib/packaging/debian/tests/command \
        "$root/tmp/packages"
    echo "$libdir" >"$root/etc/ld.so.conf.d/prefork-rpm.conf"
    rm -rf "/mnt/upper/var/lib/prefork-rpm"
}

inside() { # command...
    chroot "$root" env HOME=/tmp PKG_CONFIG_PATH="$libdir/pkgconfig" \
        EXAMPLES=/usr/share/doc/libprefork-devel/examples "$@"
}

# This system may have packages of another kind, and then rpm knows nothing of it.
# shellcheck disable=SC2086 # options are words
installed() {
    if test -e /etc/redhat-release; then
        inside sh -c "rpm $of_rpm --install /tmp/packages/*.rpm"
    else
        inside sh -c "rpm $of_rpm --install --nodeps /tmp/packages/*.rpm"
    fi
}

complete() {
    # shellcheck disable=SC2086
    inside rpm $of_rpm --verify --nodeps --all &&
        inside rpm $of_rpm --query --list --all | sort >"$scratch/files" &&
        for file in $libdir/libprefork.so.0 $libdir/libprefork.a $libdir/pkgconfig/prefork.pc \
            /usr/include/prefork.h /usr/bin/prefork /usr/share/man/man3/pf_pool.3.gz; do
            grep -qx "$file" "$scratch/files" || {
                echo "no package has $file"
                return 1
            }
        done
}

static_program() {
    # shellcheck disable=SC2016 # for the inner shell
    inside sh -c 'cd /tmp &&
        cc -o minimal "$EXAMPLES/minimal.c" -I/usr/include "$0"/libprefork.a &&
        ./minimal | sort | grep -c "^worker [0-3]: " | grep -qx 4' "$libdir"
}

removed() {
    # shellcheck disable=SC2086
    inside rpm $of_rpm --erase --nodeps libprefork libprefork-devel libprefork-static prefork
}

# Directories of all packages, such as that of pkg-config, stay; so does the cache of ldconfig.
nothing_is_left() {
    rm -rf /mnt/upper/var/lib/prefork-rpm
    rm -f /mnt/upper/etc/ld.so.conf.d/prefork-rpm.conf
    find /mnt/upper \( ! -type d -o -name '*prefork*' \) ! -path /mnt/upper/etc/ld.so.cache \
        ! -path '/mnt/upper/var/cache/ldconfig/*' | sort >"$scratch/left"
    cat "$scratch/left"
    test ! -s "$scratch/left"
}

if ! begin >"$scratch/log" 2>&1; then
    cat "$scratch/log"
    echo 'skipped: no overlay of this system can be made'
    exit 77
fi
if judge 'rpm: installed' installed; then
    judge 'rpm: complete, and as they were packed' complete || true
    judge 'rpm: a server with pkg-config, and a worker that is killed' \
        inside timeout 100 /tmp/packages/server || true
    judge 'rpm: the command' inside timeout 100 /tmp/packages/command || true
    judge 'rpm: the static library' static_program || true
    judge 'rpm: removed' removed || true
    judge 'rpm: nothing is left' nothing_is_left || true
fi
echo "$passed passed, $failed failed"
test "$failed" -eq 0
