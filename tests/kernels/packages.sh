#!/bin/bash
# Get a kernel of Debian: tests/kernels/packages.sh VERSION DIRECTORY, such as 6.1
#
# Prints the file of the kernel, newest of that version. Exit status 77 if there is none.
#
# SPDX-License-Identifier: MIT
set -euo pipefail

. tests/support/debian.sh

version=$1
directory=$(mkdir -p "$2" && cd "$2" && pwd)
keep=$directory/vmlinuz-$version
test ! -e "$keep" || { echo "$keep" && exit 0; }
declare -A suites=([5.10]=bullseye [6.1]=bookworm [6.12]=trixie)
suite=${suites[$version]}

apt=$directory/apt-$version
begin_apt "$apt" "$suite" deb arch=amd64 || {
    echo "skipped: apt knows no archive of Debian" >&2 && exit 77
}
get() {
    apt_in "$apt" apt-get update &&
        name=$(apt_in "$apt" apt-cache search --names-only "^linux-image-${version}[.].*-cloud" |
            awk '$1 ~ /-cloud-amd64$/ { print $1 }' | sort -V | tail -n 1) &&
        test -n "$name" &&
        (cd "$apt" && apt_in "$apt" apt-get download "$name") &&
        dpkg-deb --fsys-tarfile "$apt"/linux-image-*.deb |
        tar -x -C "$apt" --wildcards './boot/vmlinuz-*'
}
get >"$apt/log" 2>&1 || { echo "skipped: no package of Linux $version" >&2 && exit 77; }
mv "$apt"/boot/vmlinuz-* "$keep"
rm -rf "$apt"
echo "$keep"
