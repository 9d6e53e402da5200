#!/bin/sh
# Build Debian's packages of the last commit: lib/packaging/deb.sh DIRECTORY
#
# The packages and what lintian says of them (DIRECTORY/lintian.txt) are in DIRECTORY.
#
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/../.."

version=$(lib/version.sh)
rm -rf "$1"
mkdir -p "$1/libprefork-$version"
directory=$(cd "$1" && pwd)
source=$directory/libprefork-$version

lib/packaging/dist.sh "$directory/libprefork_$version.orig.tar.gz"
tar -C "$directory" -xzf "$directory/libprefork_$version.orig.tar.gz"
cp -r lib/packaging/debian "$source/debian"
# All functions are of the first release.
{
    echo 'libprefork.so.0 libprefork0 #MINVER#'
    for name in PREFORK_0.2 $(cat tests/abi/symbols.txt); do
        echo " $name@PREFORK_0.2 0.2.0"
    done
} >"$source/debian/libprefork0.symbols"
cd "$source"
env -u MAKEFLAGS -u MFLAGS -u CFLAGS -u CXXFLAGS -u LDFLAGS \
    dpkg-buildpackage --no-sign --build=binary >"$directory/log" 2>&1 ||
    { tail -n 30 "$directory/log" >&2 && exit 1; }
cd "$directory"
status=0
# There is no mail address of the project yet, and no bug that asks for the package.
lintian --fail-on error,warning --allow-root --suppress-tags \
    bogus-mail-host,bogus-mail-host-in-debian-changelog,initial-upload-closes-no-bugs \
    ./*.changes >lintian.txt 2>&1 || status=$?
test "$status" -eq 0 || cat lintian.txt >&2
ls ./*.deb
exit "$status"
