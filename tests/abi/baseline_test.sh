#!/bin/sh
# The interface has everything of each stored baseline, unchanged, and additions only in a node that
# is newer. Each kind of break is noticed, in a copy of the tree where it is made everywhere.
#
# SPDX-License-Identifier: MIT
set -eu
export LC_ALL=C

. tests/support/script.sh
. tests/abi/baseline.sh

need jq

# The first lines say what is different.
report() { # what, file
    test ! -s "$2" || {
        echo "$1 is not what its baseline says:"
        head -n 20 "$2"
        found=1
    }
}

for version in $(versions); do
    description_changes . "$version" >"$scratch/changes"
    report "the interface of $version" "$scratch/changes"
    if can_compare_libraries "$BUILD_DIR/libprefork.so"; then
        library_changes "$BUILD_DIR/libprefork.so" . "$version" >"$scratch/changes"
        report "libprefork.so of $version" "$scratch/changes"
    fi
    for kind in $all_breaks; do
        copy_broken "$kind"
        description_changes "$scratch/tree" "$version" >"$scratch/changes"
        test -s "$scratch/changes" || complain "a break was not noticed: $kind"
    done
done
test -n "${version:-}" || complain "there is no baseline in tests/abi/baseline"
exit "$found"
