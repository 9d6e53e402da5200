#!/bin/sh
# The example host_fork does what its head says: its workers are forked when the pool asks for
# them, one of them twice.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

log=$scratch/log
fail_shows=$log

# count WANTED PATTERN
count() {
    [ "$(grep -c -e "$2" "$log")" = "$1" ] || fail "expected $1 lines of '$2'"
}

"$examples/host_fork" >"$log" 2>&1 || fail "status $?"
count 1 '^Starting 2 processes$'
count 2 '^fork slot 0$'
count 1 '^fork slot 1$'
count 2 '^child 0 (pid [0-9]*) started$'
count 2 '^task 0 works$'
count 1 '^task 1 works$'
count 1 '^child 0 (pid [0-9]*) exited with status 3, restarting$'
count 2 '^child [01] (pid [0-9]*) exited normally$'
[ "$(tail -n 1 "$log")" = 'All processes have ended' ] || fail "another last line"
