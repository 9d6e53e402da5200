#!/bin/sh
# Without the shared library, or with one that is too old, the message says what to do.
#
#   library.sh PROGRAM OLD_DIRECTORY PRELOADED
#
# PROGRAM makes a pool in its case clean_exit. OLD_DIRECTORY has a library without the version of
# the symbols, and PRELOADED is one that says it is older than the header.
#
# SPDX-License-Identifier: MIT
set -u

output=$(mktemp)
trap 'rm -f "$output"' EXIT
failed=0

says() { # what is expected, then a command
    expected=$1
    shift
    if "$@" >"$output" 2>&1; then
        echo "it succeeded: $*"
        failed=1
    fi
    grep -q -e "$expected" "$output" || {
        echo "expected: $expected"
        cat "$output"
        failed=1
    }
}

says 'libprefork\.so\.0: cannot open shared object file' env -u LD_LIBRARY_PATH "$1" clean_exit
says 'libprefork\.so\.0: version .PREFORK_[0-9.]*. not found' \
    env LD_LIBRARY_PATH="$2" "$1" clean_exit
says 'libprefork [0-9.]* or newer must be installed; the loaded one is 0\.1\.0' \
    env LD_PRELOAD="$3" "$1" clean_exit
exit "$failed"
