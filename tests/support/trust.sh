#!/bin/sh
# The long tests, one after the other: tests/support/trust.sh TARGET...
#
# Each is a target of make that ends with "N passed, N failed". One that ends without is one
# failure. Prints the sum in the same form.
#
# SPDX-License-Identifier: MIT
set -u

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM HUP
all_passed=0
all_failed=0

count() { # passed or failed: the number in the last line that counts, 0 without one
    sed -n "s/^\([0-9]*\) passed, \([0-9]*\) failed\$/\\$1/p" "$log" | tail -n 1
}

for target in "$@"; do
    start=$(date +%s)
    printf '==== make %s\n' "$target"
    status=0
    "${MAKE:-make}" --no-print-directory SAMPLE="${SAMPLE-}" SEED="${SEED-}" "$target" \
        >"$log" 2>&1 </dev/null ||
        status=$?
    cat "$log"
    passed=$(count 1)
    failed=$(count 2)
    if test -z "$passed" || { test "$status" -ne 0 && test "$failed" -eq 0; }; then
        failed=$((${failed:-0} + 1))
    fi
    all_passed=$((all_passed + ${passed:-0}))
    all_failed=$((all_failed + failed))
    printf '(%d s, status %d)\n\n' "$(($(date +%s) - start))" "$status"
done

echo "$all_passed passed, $all_failed failed"
test "$all_failed" -eq 0 && test "$all_passed" -gt 0
