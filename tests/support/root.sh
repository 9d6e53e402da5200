#!/bin/sh
# Make the root directory of a small Debian:
#
#   tests/support/root.sh DIRECTORY SUITE PACKAGE,...
#
# Where the directory is complete nothing is done. Exits with status 77 if this machine cannot.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/debian.sh

root=$1
suite=$2
packages=$3
test ! -e "$root/.complete" || exit 0

missing() {
    echo "skipped: $*"
    exit 77
}

test "$(id -u)" -eq 0 || missing "debootstrap needs root"
for tool in debootstrap apt-get dpkg; do
    command -v "$tool" >/dev/null 2>&1 || missing "$tool is not there"
done
mirror=$(debian_archive)
test -n "$mirror" || missing "apt knows no archive of Debian"

mkdir -p "${root%/*}"
made=$(mktemp -d "$root.XXXXXX")
log=$root.log
trap 'rm -rf "$made"' EXIT
trap 'exit 130' HUP INT PIPE TERM
echo "Making a root of $suite with $packages"
# Of a suite that is newer than debootstrap it needs to be told the script.
set -- "$suite" "$made" "$mirror"
test -e "/usr/share/debootstrap/scripts/$suite" || set -- "$@" /usr/share/debootstrap/scripts/sid
# debootstrap ends with an error where it cannot reach the archive.
timeout 600 debootstrap --variant=minbase --include="$packages" "$@" \
    >"$log" 2>&1 || {
    tail -n 5 "$log"
    missing "no root of $suite could be made from $mirror"
}
rm -rf "$made"/var/cache/apt/archives/*.deb "$made"/var/lib/apt/lists/*
chmod 755 "$made"
: >"$made/.complete"
rm -rf "$root"
mv "$made" "$root"
