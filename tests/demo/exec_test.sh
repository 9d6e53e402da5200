#!/bin/sh
# The example exec serves as its head says: its workers are itself started anew, answer on one
# socket, have successors with the same task id, and end when it is told to.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

log=$scratch/log
fail_shows=$log

need curl

has_url() {
    url=$(sed -n 's|^\(http://127.0.0.1:[0-9]*/\)$|\1|p' "$log")
    [ -n "$url" ]
}

# The answers so far, one a line.
ask() {
    get "$url" >>"$scratch/answers"
}

answers_from() {
    ask && grep -q "^Hello from worker $1, pid [0-9]*\$" "$scratch/answers"
}

pid_of() {
    sed -n "s/^Hello from worker $1, pid //p" "$scratch/answers" | tail -n 1
}

answers_from_successor() {
    ask && [ "$(pid_of 0)" != "$first" ]
}

setsid "$examples/exec" 0 >"$log" 2>&1 &
server=$!
until_true has_url
until_true answers_from 0
until_true answers_from 1

first=$(pid_of 0)
[ "$(tr '\0' ' ' <"/proc/$first/cmdline")" = "$(tr '\0' ' ' <"/proc/$server/cmdline")" ] ||
    fail "the worker has other arguments than the server"
[ "$(cat "/proc/$first/comm")" = exec ] || fail "the worker is named $(cat "/proc/$first/comm")"
! tr '\0' '\n' <"/proc/$server/environ" | grep -q '^PF_TASK_ID=' || fail "the server has a task id"

kill -KILL "$first"
until_true answers_from_successor
until_true grep -q "child 0 (pid $first) killed by signal 9, restarting" "$log"

kill -TERM "$server"
status=0
wait "$server" || status=$?
[ "$status" -eq 143 ] || fail "the server ended with $status"
[ -z "$(ps -o pid= -s "$server")" ] || fail "processes are left"
server=
