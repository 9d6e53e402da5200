#!/bin/sh
# Runs the soak, and then with each planted fault, which must be found: tests/soak/soak.sh PROGRAM
# SECONDS SEED. SAMPLE=1 leaves the faults out.
#
# SPDX-License-Identifier: MIT
set -u

program=$1 seconds=$2 seed=$3
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
trap 'exit 130' HUP INT TERM

# Each fault, and the row that finds it.
faults="\
lost-end: each worker that was started has one end
two-ends: each worker that was started has one end
wrong-status: the status of an end is the one that the kernel has
early-end: no worker lives after its end was reported
descriptor: the supervisor keeps no descriptors
memory: the supervisor keeps no memory
child: the children of the supervisor are the workers in the log
worker: the children of the supervisor are the workers in the log
counter: the counters are the counts of events
empty-slot: the slots are full again within a bound
file: no file is left
reaper: the status of an end is the one that the kernel has
left: a stop leaves no process
outlives: SIGKILL of the supervisor leaves no process
crash: the supervisor lives until it is stopped or killed"

"$program" "$seconds" "$seed" >"$directory/soak" 2>&1
status=$?
sed '/^[0-9]* passed, [0-9]* failed$/d' "$directory/soak"
if test "$status" -eq 77; then
    echo "0 passed, 0 failed"
    exit 0
fi
passed=$(sed -n 's/^\([0-9]*\) passed, .*/\1/p' "$directory/soak")
failed=$(sed -n 's/.* passed, \([0-9]*\) failed$/\1/p' "$directory/soak")
passed=${passed:-0}
failed=${failed:-1}
test "$status" -eq 0 || test "$failed" -gt 0 || failed=1

if test -z "${SAMPLE-}"; then
    echo "$faults" | cut -d: -f1 |
        xargs -P 4 -I '{}' sh -c '"$1" 4 "$2" "$4" >"$3/$4" 2>&1' \
            sh "$program" "$seed" "$directory" '{}'
    while IFS= read -r line; do
        name=${line%%: *}
        if grep -q "FAILED: ${line#*: }" "$directory/$name"; then
            passed=$((passed + 1))
            echo "  ok     the planted fault $name is found"
        else
            failed=$((failed + 1))
            echo "  FAILED the planted fault $name is not found"
            cat "$directory/$name"
        fi
    done <<FAULTS
$faults
FAULTS
fi
echo "$passed passed, $failed failed"
test "$failed" -eq 0
