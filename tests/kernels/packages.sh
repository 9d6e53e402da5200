#!/bin/bash
# Get a kernel of Debian: tests/kernels/packages.sh VERSION DIRECTORY, such as 6.1
#
# Prints the file of the kernel, newest of that version. Looks where this machine has its packages
# from, with a state of its own, so that nothing changes on this machine. Exit status 77 if there
# is none.
#
# SPDX-License-Identifier: MIT
set -euo pipefail

version=$1
directory=$(mkdir -p "$2" && cd "$2" && pwd)
keep=$directory/vmlinuz-$version
test ! -e "$keep" || { echo "$keep" && exit 0; }
declare -A suites=([5.10]=bullseye [6.1]=bookworm [6.12]=trixie)
suite=${suites[$version]}

# The first of Debian's own sources, whichever form it is written in.
# shellcheck disable=SC2016 # apt-get replaces them
base=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    awk '/\/debian\/?$/ { print; exit }')
test -n "$base" || { echo "skipped: no source of packages" >&2 && exit 77; }
apt=$directory/apt-$version
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
printf 'deb [signed-by=%s arch=amd64] %s %s main\n' \
    /usr/share/keyrings/debian-archive-keyring.gpg "$base" "$suite" >"$apt/sources.list"
options=(-q -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root
    -o Acquire::Languages=none)
get() {
    apt-get "${options[@]}" update &&
        name=$(apt-cache "${options[@]}" search --names-only "^linux-image-${version}[.].*-cloud" |
            awk '$1 ~ /-cloud-amd64$/ { print $1 }' | sort -V | tail -n 1) &&
        test -n "$name" &&
        (cd "$apt" && apt-get "${options[@]}" download "$name") &&
        dpkg-deb --fsys-tarfile "$apt"/linux-image-*.deb |
        tar -x -C "$apt" --wildcards './boot/vmlinuz-*'
}
get >"$apt/log" 2>&1 || { echo "skipped: no package of Linux $version" >&2 && exit 77; }
mv "$apt"/boot/vmlinuz-* "$keep"
rm -rf "$apt"
echo "$keep"
