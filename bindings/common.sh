# What the scripts of all languages begin with that work with an installed library:
#
#   . "$(dirname "$0")/../common.sh"
#
# Their first argument is PREFIX, where the library is installed: the loader, pkg-config and the
# tests of the interface find it there. $here is the folder of the language, and $scratch a directory
# that is removed at the end. A script that checks counts with judge or verdict, and ends with finish.
#
# shellcheck shell=sh disable=SC2034 # the scripts use the variables
# SPDX-License-Identifier: MIT
set -eu

if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    echo "usage: $0 PREFIX" >&2
    exit 2
fi
prefix=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
library=$(find "$prefix" -name libprefork.so.0 | head -n 1)
package=$(find "$prefix" -name prefork.pc | head -n 1)
PREFORK_INTERFACE=$(find "$prefix" -name prefork.json | head -n 1)
if [ -z "$library" ] || [ -z "$package" ] || [ -z "$PREFORK_INTERFACE" ]; then
    echo "$0: libprefork is not installed in $prefix" >&2
    exit 2
fi
LD_LIBRARY_PATH=$(dirname "$library")
PKG_CONFIG_PATH=$(dirname "$package")
export LD_LIBRARY_PATH PKG_CONFIG_PATH PREFORK_INTERFACE
unset PREFORK_LIBRARY
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT HUP
trap 'exit 143' TERM
# shellcheck source=tests/support/verdict.sh
. "$here/../../tests/support/verdict.sh"
fail_shows=$scratch/log

skip() {
    echo "skipped: $*"
    exit 77
}

# need PROGRAM...
need() {
    for program; do
        command -v "$program" >/dev/null || skip "$program is missing"
    done
}

# retry COMMAND...: three times, for what a network may fail at.
retry() {
    "$@" || { sleep 5 && "$@"; } || { sleep 20 && "$@"; }
}

judge() { # what, command...
    what=$1
    shift
    status=0
    "$@" >"$fail_shows" 2>&1 || status=$?
    verdict "$what" "$status"
}

# Where the rest of the tree is there.
judge_license() {
    [ ! -f "$here/../../LICENSE" ] ||
        judge 'the license is that of the project' cmp "$here/LICENSE" "$here/../../LICENSE"
}

# add GOOD BAD STATUS: what a runner of tests has counted, and its status.
add() {
    passed=$((passed + $1))
    failed=$((failed + $2))
    [ "$3" -eq 0 ] || [ "$2" -gt 0 ] || failed=$((failed + 1))
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
