# What the scripts share that work in a minimal root of a release of Debian. Needs $root, and
# tests/support/debian.sh.
#
# shellcheck shell=sh disable=SC2154 # the scripts set the root
# SPDX-License-Identifier: MIT

make_root() { # suite
    chmod 755 "$root" # for other users inside
    timeout 600 debootstrap --variant=minbase --include=ca-certificates "$1" "$root" \
        "$(debian_archive)"
}

# In namespaces of its own: what is left running ends with it. The shell stays, to reap orphans.
inside() { # command...
    # shellcheck disable=SC2016 # for the inner shell
    unshare --pid --mount --fork --kill-child chroot "$root" \
        /bin/sh -c 'mount -t proc proc /proc && mount -t devpts devpts /dev/pts || exit
            status=0; "$@" || status=$?; exit "$status"' sh "$@"
}

apt() {
    inside env DEBIAN_FRONTEND=noninteractive apt-get -q -q -y --no-install-recommends "$@"
}

# All files but those in which the package manager keeps its own state, and those of the tests.
list_files() { # file
    find "$root" -xdev \( -path "$root/proc" -o -path "$root/tmp" -o -path "$root/packages" -o \
        -path "$root/root" -o \
        -path "$root/var/cache" -o -path "$root/var/log" -o -path "$root/var/lib/apt" -o \
        -path "$root/var/lib/dpkg" -o -name __pycache__ \) -prune -o -print | sort >"$1"
}
