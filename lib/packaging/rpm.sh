#!/bin/sh
# Build the RPM packages of the last commit: lib/packaging/rpm.sh DIRECTORY
#
# The packages and what rpmlint says of them (DIRECTORY/rpmlint.txt) are in DIRECTORY. A system
# whose own packages are of another kind has no list of what is installed, and none is asked for.
#
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/../.."

rm -rf "$1"
mkdir -p "$1"
directory=$(cd "$1" && pwd)
lib/packaging/dist.sh "$directory/libprefork-$(lib/version.sh).tar.gz"
set --
# The script that compresses pages is one of bash, and Debian has /bin/sh run it.
test -e /etc/redhat-release || set -- --nodeps \
    --define '__brp_compress bash %{_rpmconfigdir}/brp-compress %{?_prefix}'
env -u MAKEFLAGS -u MFLAGS -u CFLAGS -u CXXFLAGS -u LDFLAGS \
    rpmbuild -bb "$@" --define "_topdir $directory/build" --define "_sourcedir $directory" \
    --define "_rpmdir $directory" \
    --define '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
    --define 'debug_package %{nil}' lib/packaging/rpm/libprefork.spec >"$directory/log" 2>&1 ||
    { tail -n 30 "$directory/log" >&2 && exit 1; }
rm -rf "$directory/build"
status=0
rpmlint --strict --config lib/packaging/rpm/rpmlint.toml "$directory"/*.rpm \
    lib/packaging/rpm/libprefork.spec >"$directory/rpmlint.txt" 2>&1 || status=$?
test "$status" -eq 0 || cat "$directory/rpmlint.txt" >&2
ls "$directory"/*.rpm
exit "$status"
