#!/bin/sh
# Run one test for run.sh: tests/support/run_test.sh RESULTS FILE
#
# A file is a CMocka program, each of whose cases counts, or a script, which counts as one:
# status 0 is passed, 77 skipped (counted as neither), all else failed. Tells one line; the
# whole output of one that failed, or of all with V=1. Adds its three counts to RESULTS/counts.
#
# SPDX-License-Identifier: MIT
set -u

results=$1
file=$2
limit_s=${TEST_LIMIT_S:-300}
output=$(mktemp -p "$results")

export CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:exitcode=99:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:${UBSAN_OPTIONS:-}"
export TSAN_OPTIONS="halt_on_error=1:exitcode=99:atexit_sleep_ms=0:${TSAN_OPTIONS:-}"

# Reads TAP and the status; prints the numbers of cases that passed, failed, were skipped. A
# program that ended early or badly has failed, whatever it printed before.
count_cases() {
    awk -v status="$1" '
        { sub(/^[ \t]+/, "") }
        /^1\.\.[0-9]+$/ { planned += substr($0, 4) }
        /^(not )?ok [0-9# -]*SKIP/ { skipped++; next }
        /^ok [0-9]+ / { passed++ }
        /^not ok [0-9]+ / { failed++ }
        END {
            missing = planned - passed - failed - skipped
            if (missing > 0) failed += missing
            if (planned == 0 || missing < 0) failed++
            if (status != 0 && failed == 0) failed++
            printf "%d %d %d\n", passed, failed, skipped
        }' "$output"
}

name=${file#"${BUILD_DIR:-}"/}
name=${name##*tests/}
case $file in
*/*) ;;
*) file=./$file ;;
esac
start=$(date +%s%N)
# A make that runs in the background ignores signals, which its tests must not.
timeout -k 10 "$limit_s" env --default-signal "$file" >"$output" 2>&1 </dev/null &
trap 'kill $! && wait $!; exit 130' INT TERM HUP
wait $!
status=$?
took_ms=$((($(date +%s%N) - start) / 1000000))
case $file in
*.sh)
    case $status in
    0) set -- 1 0 0 ;;
    77) set -- 0 0 1 ;;
    *) set -- 0 1 0 ;;
    esac
    what=
    ;;
*)
    # shellcheck disable=SC2046 # three words
    set -- $(count_cases "$status")
    what="$(($1 + $2)) cases, "
    ;;
esac
test "$3" -eq 0 || what="$what$3 skipped, "
verdict=ok
test "$1" -gt 0 || verdict=SKIP
test "$2" -eq 0 || verdict=FAIL

tell() {
    printf '  %-4s %s (%s%d.%02d s)\n' "$verdict" "$name" "$what" $((took_ms / 1000)) \
        $((took_ms % 1000 / 10))
    if test "$verdict" = FAIL || test "${V:-0}" = 1; then
        sed 's/^/       /' "$output"
        test "$status" -ne 124 || echo "       stopped: not done within $limit_s s"
    else
        grep -E '^skipped: | SKIP ' "$output" | sed 's/^/       /'
    fi
}

# What several tests tell at a time does not mix.
{
    flock 9
    tell
    echo "$1 $2 $3" >&9
} 9>>"$results/counts"
