#!/bin/sh
# Run one CMocka program of a machine: tests/machines/run_one.sh RESULTS FILE
#
# A case that fails has failed, unless tests/machines/exceptions.txt names it for $MACHINE or its
# class: then it has to fail, or the line is out of date. Where
# the machine is followed by "?", it may fail: it depends on time. Adds "passed failed expected" to
# RESULTS/counts and prints what is not as expected.
#
# SPDX-License-Identifier: MIT
set -u

results=$1
file=$2
output=$(mktemp -p "$results")
export CMOCKA_MESSAGE_OUTPUT=TAP

judge() {
    awk -v status="$status" -v test="${file##*/}" -v machine="$MACHINE" -v class="$CLASS" \
        -v counts="$output.counts" '
        FNR == NR {
            if ($2 != test) next
            if ($1 == machine || $1 == class) wanted[$3] = 0
            if ($1 == machine "?" || $1 == class "?") allowed[$3] = 1
            next
        }
        { line = $0; sub(/^[ \t]+/, "", line) }
        line ~ /^1\.\.[0-9]+$/ { planned += substr(line, 4) }
        line ~ /^(not )?ok [0-9# -]*SKIP/ { skipped++; next }
        line ~ /^(not )?ok [0-9]+ - / {
            good = line ~ /^ok/
            sub(/^(not )?ok [0-9]+ - /, "", line)
            name = line
            sub(/ .*/, "", name)
            if (good) { passed++; next }
            if (name in wanted) { wanted[name]++; expected++; next }
            if ("*" in wanted) { wanted["*"]++; expected++; next }
            if (name in allowed || "*" in allowed) { expected++; next }
            failed++
            why = why sprintf("       %s\n", line)
        }
        END {
            missing = planned - passed - failed - skipped - expected
            if ((missing > 0 || planned == 0) && "*" in wanted) {
                expected += missing > 0 ? missing : 1
                wanted["*"]++
            } else if (missing > 0 || planned == 0) {
                failed += missing > 0 ? missing : 1
                why = why "       ended early, status " status "\n"
            }
            for (name in wanted)
                if (wanted[name] == 0) {
                    failed++
                    why = why "       passes, but is an exception: " name "\n"
                }
            if (status != 0 && failed == 0 && expected == 0) {
                failed++
                why = why "       status " status "\n"
            }
            if (failed > 0) printf "  FAIL %s %s\n%s", machine, test, why
            printf "%d %d %d %d\n", passed, failed, expected, skipped >counts
            exit failed > 0
        }' tests/machines/exceptions.txt "$output" >"$output.complaint"
}

# The emulator is many times slower, on a busy machine too slow for some bounds of the tests.
attempts=1
if test "$CLASS" = emulated; then
    attempts=3
    export TEST_TIME_SCALE="${TEST_TIME_SCALE:-5}"
fi
while :; do
    attempts=$((attempts - 1))
    timeout -k 5 "${TEST_LIMIT_S:-120}" env --default-signal "$BUILD_MACHINES/adopt" "$file" \
        >"$output" 2>&1 </dev/null
    status=$?
    judge || test "$attempts" -eq 0 || continue
    break
done

{
    flock 9
    cat "$output.counts" >>"$results/counts"
    cat "$output.complaint"
    test ! -s "$output.complaint" || test "${V:-0}" = 0 || sed 's/^/         /' "$output"
} 9>>"$results/lock"
