#!/bin/sh
# Write the archive of the last commit, with the same bytes wherever and whenever it is made:
#
#   lib/packaging/dist.sh FILE.tar.gz
#
# Modes, line ends and compression do not follow the settings of whoever makes it.
#
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/../.."
unset GZIP GIT_DIR GIT_WORK_TREE

top=$(git rev-parse --show-toplevel 2>/dev/null) || top=
test "$top" = "$(pwd -P)" || {
    echo "make dist: this is not a clone of the repository with git" >&2
    exit 1
}
mkdir -p "$(dirname "$1")"
git -c tar.umask=0022 -c core.autocrlf=false -c core.eol=lf -c core.attributesFile=/dev/null \
    archive --format=tar --prefix="libprefork-$(lib/version.sh)/" HEAD >"$1.tar"
gzip -n -9 <"$1.tar" >"$1"
rm "$1.tar"
