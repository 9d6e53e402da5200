#!/bin/sh
# deny_test.sh - a pool works, or is refused with a clear error, where a system call is denied
#
# tests/deny/table.txt has the result for each call, error and scenario. DENY_ALL=1 plays all of
# them, and looks whether the scenarios make calls that the table does not have; otherwise those
# that need no time are played. The table is made by
#
#   make deny SAVE=1
#
# SPDX-License-Identifier: MIT
set -eu
. tests/support/script.sh

table=tests/deny/table.txt
program=$PF_PROGRAMS_DIR/deny
test "$(uname -m)" = x86_64 || skip 'the table is that of x86-64'

# Plays the lines of a file in several processes, for most of the time is waiting.
play() {
    split -n r/8 "$1" "$scratch/part."
    for part in "$scratch"/part.??; do
        printf '%s\n' "$part"
    done | xargs -P 8 -I '{}' sh -c "'$program' <'{}' >'{}.out'" ||
        fail 'the program deny failed'
    sort "$scratch"/part.??.out
    rm "$scratch"/part.*
}

if test -n "${DENY_ALL:-}"; then
    "$program" calls >"$scratch/made" || skip 'calls cannot be watched by seccomp'
    sort -u "$scratch/made" |
        awk '{ print $1, "ENOSYS", $2 ":"; print $1, "EPERM", $2 ":" }' >"$scratch/rows"
    if test -n "${SAVE:-}"; then
        sed 's/:$//' "$scratch/rows" >"$scratch/asked"
        play "$scratch/asked" >"$table"
    fi
    cut -d: -f1 "$table" | sed 's/$/:/' | sort >"$scratch/have"
    sort "$scratch/rows" | comm -23 - "$scratch/have" >"$scratch/missing"
    fail_shows=$scratch/missing
    test ! -s "$scratch/missing" || fail 'not in tests/deny/table.txt'
    cp "$table" "$scratch/expected"
else
    grep -E '^[a-z0-9_]+ [A-Z]+ (fork|exec|processes|tcp|unix|cpus):' "$table" >"$scratch/expected"
fi
cut -d: -f1 "$scratch/expected" >"$scratch/asked"
play "$scratch/asked" >"$scratch/results"
if grep -q 'NO FILTER$' "$scratch/results"; then
    skip 'seccomp filters are not permitted'
fi
sort "$scratch/expected" | diff - "$scratch/results" ||
    fail 'the results differ from tests/deny/table.txt'
if grep -E ': (HANGS|DIES|LEAVES|NO |works, the exit status is lost)' "$table"; then
    fail 'the table has what must never be'
fi
