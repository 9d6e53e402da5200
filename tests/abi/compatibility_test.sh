#!/bin/sh
# Programs that were built with the header of a baseline, in C and in C++, and that call all of its
# functions, do with the library of this tree what they did then. So they do with a later library
# that has all that a later one may add. What they did is in tests/abi/old/expected-VERSION.txt.
#
#   tests/abi/compatibility_test.sh [KIND...]    the breaks that must be noticed; see baseline.sh
#
# SPDX-License-Identifier: MIT
set -eu
export LC_ALL=C

. tests/support/script.sh
. tests/abi/baseline.sh
. tests/abi/old.sh

need jq
test $# -gt 0 || set -- symbol-removed

same() { # what
    diff "$expected" "$scratch/printed" >"$scratch/difference" || {
        echo "$1 does something else than in $version:"
        head -n 20 "$scratch/difference" "$scratch/old/errors"
        found=1
    }
}

for version in $(versions); do
    expected=tests/abi/old/expected-$version.txt
    build_old "$version" || fail "the program of $version cannot be built"
    sed -n 's/^    \(pf_[a-z_]*\);$/\1/p' "$baseline/map-$version.txt" | sort >"$scratch/all"
    nm -D --undefined-only "$scratch/old/c" | sed -n 's/.* U \(pf_[a-z_]*\)@.*/\1/p' | sort |
        diff "$scratch/all" - || complain "the program does not call all functions of $version"

    for language in c c++; do
        # shellcheck disable=SC2086 # one word for each part
        run_old "$language" "$BUILD_DIR" $parts >"$scratch/printed"
        test -z "${SAVE:-}" || cp "$scratch/printed" "$expected"
        same "a program in $language"
        # This is the shell's, which the program that dies of its signal is a child of.
        ! grep -v '^Terminated$' "$scratch/old/errors" || complain "$language: complains"
    done

    copy_broken later
    make_later "$scratch/tree"
    build_library "$scratch/tree" "$scratch/later" || fail "the later library cannot be built"
    nm -D "$scratch"/later/libprefork.so.* | grep -q ' pf_later@@PREFORK_0.99$' ||
        complain "the later library has no function more"
    for language in c c++; do
        # shellcheck disable=SC2086 # one word for each part
        run_old "$language" "$scratch/later" $parts >"$scratch/printed"
        same "with a later library, a program in $language"
        test "$(grep -c '^unknown event$' "$scratch/old/errors")" -gt 20 ||
            complain "the later library has reported no event that is unknown"
    done

    for kind; do
        copy_broken "$kind"
        rm -rf "$scratch/broken"
        build_library "$scratch/tree" "$scratch/broken" || fail "$kind cannot be built"
        # A program that is served wrongly may wait for what does not happen.
        old_limit_s=10
        show='values settings'
        test "$kind" != parameter-order || show=loop
        # shellcheck disable=SC2086 # one word for each part
        run_old c "$scratch/broken" $show >"$scratch/printed"
        # shellcheck disable=SC2086 # one word for each part
        run_old c "$BUILD_DIR" $show >"$scratch/right"
        old_limit_s=
        ! cmp -s "$scratch/right" "$scratch/printed" || complain "a break was not noticed: $kind"
    done
done
exit "$found"
