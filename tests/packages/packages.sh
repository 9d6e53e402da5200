#!/bin/sh
# Build the packages of each kind from the last commit, and run the test of that kind:
#
#   tests/packages/packages.sh DIRECTORY KIND...
#
# They are in DIRECTORY/KIND. PACKAGES_SUITES has the releases of Debian that are tried. A kind
# whose tools are not here is skipped. Ends with "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -eu

directory=$1
shift
passed=0
failed=0
skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Shows the output of a command while it runs, and returns its status.
show() { # command...
    { "$@" 2>&1 && status=0 || status=$?; echo "status $status"; } | tee "$log" | grep -v '^status '
    return "$(sed -n 's/^status //p' "$log" | tail -n 1)"
}

for kind; do
    echo "== $kind"
    status=0
    show "lib/packaging/$kind.sh" "$directory/$kind" || status=$?
    if test "$status" -eq 0; then
        passed=$((passed + 1))
        arguments=
        test "$kind" != deb || arguments=$PACKAGES_SUITES
        # shellcheck disable=SC2086 # names of releases are words
        show "tests/packages/$kind.sh" "$directory/$kind" $arguments || status=$?
    fi
    counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1) || counts=
    if test "$status" -eq 77; then
        skipped=$((skipped + 1))
    elif test -n "$counts"; then
        passed=$((passed + ${counts%% *}))
        counts=${counts#*, }
        failed=$((failed + ${counts%% *}))
    else
        failed=$((failed + 1))
    fi
done
test "$skipped" -eq 0 || echo "$skipped kinds of packages were skipped"
echo "$passed passed, $failed failed"
test "$failed" -eq 0
