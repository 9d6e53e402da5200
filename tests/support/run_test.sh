#!/bin/sh
# Run one test for run.sh: tests/support/run_test.sh RESULTS FILE
#
# A file is a CMocka program, each of whose cases counts, or a script, which counts as one:
# status 0 is passed, 77 skipped (counted as neither), all else failed. Tells one line; the
# whole output of one that failed, or of all with V=1. Adds its three counts to RESULTS/counts.
#
# A test runs in a session of its own, with a mark in its environment. A process that still has
# this session or this mark a while after the end of the test is killed, and is a failure.
#
# SPDX-License-Identifier: MIT
set -u

results=$1
file=$2
limit_s=${TEST_LIMIT_S:-$((300 * ${TEST_TIME_SCALE:-1}))}
output=$(mktemp -p "$results")

grace_tenths=$((10 * ${TEST_GRACE_S:-$((5 * ${TEST_TIME_SCALE:-1}))}))
mark=TEST_RUN=$output

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

# The processes of the test, without those that only wait to be reaped.
processes() {
    {
        grep -lsE "^[0-9]+ \(.*\) [^ZX] [0-9]+ [0-9]+ $session " /proc/[0-9]*/stat
        grep -lsaF "$mark" /proc/[0-9]*/environ
    } | sed 's|^/proc/\([0-9]*\)/.*|\1|' | sort -u
}

# A supervisor may start a worker while it is killed, hence the rounds.
kill_processes() {
    rounds=0
    while left=$(processes) && test -n "$left" && test "$rounds" -lt 50; do
        # shellcheck disable=SC2086 # one word for each process
        kill -s KILL $left 2>/dev/null
        rounds=$((rounds + 1))
        sleep 0.1
    done
}

name=${file#"${BUILD_DIR:-}"/}
name=${name##*tests/}
case $file in
*/*) ;;
*) file=./$file ;;
esac
start=$(date +%s%N)
# A make that runs in the background ignores signals, which its tests must not.
setsid timeout -k 10 "$limit_s" env --default-signal "$mark" "$file" >"$output" 2>&1 </dev/null &
session=$!
trap 'kill "$session" && wait "$session"; kill_processes; exit 130' INT TERM HUP
wait "$session"
status=$?
took_ms=$((($(date +%s%N) - start) / 1000000))

# An orphan may need a moment to notice its end. None is seen in the moment in which it has left the
# session and executes a program, hence the second look.
looks() {
    left=$(processes)
    test -n "$left" || { sleep 0.02 && left=$(processes); }
    test -n "$left"
}
tenths=0
test "$status" -ne 124 || tenths=$grace_tenths
while looks && test "$tenths" -lt "$grace_tenths"; do
    tenths=$((tenths + 1))
    sleep 0.1
done
for process in $left; do
    echo "left behind, and killed: $process $(tr '\0' ' ' <"/proc/$process/cmdline" 2>/dev/null)"
done >"$output.left"
kill_processes
case $status in
0 | 77) test ! -s "$output.left" || status=1 ;;
esac
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
        sed 's/^/       /' "$output" "$output.left"
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
