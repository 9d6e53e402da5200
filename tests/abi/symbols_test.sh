#!/bin/sh
# The shared library exports what symbols.txt lists; the version map and the public header
# name the same functions. A new function is added to all of them, on purpose.
#
# SPDX-License-Identifier: MIT
set -eu
export LC_ALL=C

. tests/support/script.sh

same() { # what, file
    diff tests/abi/symbols.txt "$2" >"$scratch/difference" || {
        echo "tests/abi/symbols.txt (<) and $1 (>) differ:"
        cat "$scratch/difference"
        found=1
    }
}

# The version node itself is listed as an absolute symbol.
nm -D --defined-only "$BUILD_DIR/libprefork.so" |
    awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$scratch/exported"
same "the symbols of libprefork.so" "$scratch/exported"

awk '/^local:/ { exit } /^    [a-z]/ { gsub(/[ ;]/, ""); print }' lib/prefork.map |
    sort >"$scratch/mapped"
same lib/prefork.map "$scratch/mapped"

sed -n 's/^PF_API .*[ *]\(pf_[a-z0-9_]*\)(.*/\1/p' include/prefork.h | sort >"$scratch/declared"
same include/prefork.h "$scratch/declared"

nm -D --defined-only "$BUILD_DIR/libprefork.so" | awk '$2 !~ /^[AT]$/' >"$scratch/data"
test ! -s "$scratch/data" || {
    echo "exported, but no function:"
    cat "$scratch/data"
    found=1
}

exit "$found"
