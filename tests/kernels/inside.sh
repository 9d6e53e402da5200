#!/bin/sh
# Inside of the other system: tests/kernels/inside.sh JOBS LIMIT_S SCALE, with the programs in
# /t/list. The deadlines of the tests are SCALE times as long.
#
# Prints the facts and the output of every program between two lines that begin with "@@". Each is
# printed at once, when its program has ended.
#
# SPDX-License-Identifier: MIT
set -u
export CMOCKA_MESSAGE_OUTPUT=TAP PF_PROGRAMS_DIR=/t/tests/programs LC_ALL=C
limit_s=$2
export TEST_TIME_SCALE="${TEST_TIME_SCALE:-$3}"

if test "$1" = one; then
    output=$(mktemp)
    timeout -k 5 "$limit_s" "$3" >"$output" 2>&1 </dev/null
    status=$?
    {
        flock 9
        echo "@@begin ${3#/t/tests/}"
        head -c 40000 "$output"
        echo
        echo "@@end $status"
    } 9>>/tmp/lock
    rm -f "$output"
    exit 0
fi
echo '@@begin facts'
timeout -k 5 "$limit_s" /t/tests/kernels/facts 2>&1 </dev/null
echo "@@end $?"
xargs -n 1 -P "$1" sh "$0" one "$limit_s" </t/list
echo '@@done'
