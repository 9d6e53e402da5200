#!/bin/sh
# Run tests and count: tests/support/run.sh FILE...
#
# Programs run several at a time (TEST_JOBS), for most of their time is waiting; beside them run
# scripts, which build and measure, one for each processor. With TEST_JOBS=1 all run one after the
# other. Ends with "N passed, N failed".
#
# make waits for each process that has its jobserver, so tests do not inherit it. Tests that run
# make choose the number of jobs themselves.
#
# SPDX-License-Identifier: MIT
set -u

jobserver=$(printf '%s' "${MAKEFLAGS-}" | sed -n 's/.* --jobserver-[a-z]*=\([3-9],[3-9]\).*/\1/p')
case $jobserver in
?,?) eval "exec ${jobserver%,*}<&- ${jobserver#*,}<&-" ;;
esac
MAKEFLAGS=$(printf '%s' " ${MAKEFLAGS-}" | sed 's/ -j[0-9]*//g; s/ --jobserver-[^ ]*//g; s/^ //')
export MAKEFLAGS

processors=$(getconf _NPROCESSORS_ONLN)
jobs=${TEST_JOBS:-$((3 * processors))}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
background=
trap 'test -z "$background" || kill "$background"; exit 130' INT TERM HUP

run() { # how many at a time; their names on stdin, one a line
    exec xargs -r -d '\n' -n 1 -P "$1" "$(dirname "$0")/run_test.sh" "$results"
}

: >"$results/counts"
printf '%s\n' "$@" | grep -v '\.sh$' | run "$jobs" &
background=$!
test "$jobs" -gt 1 || wait
printf '%s\n' "$@" | grep '\.sh$' | run "$((jobs < processors ? jobs : processors))"
wait

awk -v asked="$#" '
    { passed += $1; failed += $2; skipped += $3 }
    END {
        if (NR < asked) failed += asked - NR # one that could not be run at all
        if (skipped > 0) printf "%d skipped\n", skipped
        printf "%d passed, %d failed\n", passed, failed
        exit failed > 0 || passed == 0 # nothing passed is nothing shown
    }' "$results/counts"
