#!/bin/sh
# Inside of the other system: tests/kernels/inside.sh JOBS LIMIT_S, with the programs in /t/list.
#
# Each program is the first process of a pid namespace, so that it adopts orphans also where
# PR_SET_CHILD_SUBREAPER is unknown; PF_SUBREAPER tells the tests.
#
# Prints the facts and the output of every program between two lines that begin with "@@". Each is
# printed at once, when its program has ended.
#
# SPDX-License-Identifier: MIT
set -u
export CMOCKA_MESSAGE_OUTPUT=TAP PF_PROGRAMS_DIR=/t/tests/programs LC_ALL=C
limit_s=$2

if test "$1" = one; then
    output=$(mktemp)
    if test -n "${PF_SUBREAPER-}"; then set -- "$1" "$2" "$3" /usr/bin/unshare --pid --fork; fi
    shift 2
    program=$1
    shift
    timeout -k 5 "$limit_s" "$@" "$program" >"$output" 2>&1 </dev/null
    status=$?
    {
        flock 9
        echo "@@begin ${program#/t/tests/}"
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
