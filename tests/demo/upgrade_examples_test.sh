#!/bin/sh
# The examples of a service without a gap do what their heads say: upgrade is the same process after
# SIGUSR2, and its workers are replaced; spares replaces a worker that dies by the one that waits.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

log=$scratch/log
fail_shows=$log
port=$(free_port)

need bash curl pgrep

count() {
    grep -c "$1" "$log" || true
}

has() { # how often, what
    [ "$(count "$2")" -ge "$1" ]
}

text() {
    get "http://127.0.0.1:$port/"
}

# What a server sends that reads nothing.
receive() {
    timeout 30 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && cat <&3' receive "$port"
}

serves_or_has_ended() {
    "$how" >"$scratch/answer" 2>/dev/null || ! kill -s 0 "$server"
}

# Starts it on the next port that nobody has.
start() { # example, how it is asked
    how=$2
    while :; do
        setsid "$examples/$1" "$port" >"$log" 2>&1 &
        server=$!
        until_true serves_or_has_ended
        ! kill -s 0 "$server" 2>/dev/null || return 0
        has 1 'Address already in use' || fail "$1 did not start"
        port=$((port + 1))
    done
}

stop() {
    kill -s TERM "$server"
    status=0
    wait "$server" || status=$?
    expect "status after SIGTERM" "$1" "$status"
    ! kill -s 0 -- "-$server" 2>/dev/null || fail "processes are left"
    server=
}

workers() {
    pgrep -P "$server" | sort -n | tr '\n' ' '
}

# ---- upgrade -------------------------------------------------------------------------------

are_replaced() { # how many there are, those before
    new=$(workers)
    [ "$(echo "$new" | wc -w)" -eq "$1" ] || return 1
    for worker in $2; do
        case " $new" in *" $worker "*) return 1 ;; esac
    done
}

start upgrade text
expect "the answer" hello "$(text)"
until_true has 4 '^child [0-3] (pid [0-9]*) started$'
old=$(workers)

kill -s USR2 "$server"

until_true has 1 '^Adopted 4 processes$'
until_true has 1 '^Reloaded 4 processes$'
until_true are_replaced 4 "$old"
expect "the answer after an upgrade" hello "$(text)"
expect "abnormal ends" 0 "$(count 'restarting')"
kill -s USR2 "$server"
until_true has 2 '^Adopted 4 processes$'
until_true has 2 '^Reloaded 4 processes$'
stop 0

# ---- spares --------------------------------------------------------------------------------

has_three() { # two workers and a spare
    [ "$(workers | wc -w)" -eq 3 ]
}

answers_from() { # task id
    receive >"$scratch/answer" && grep -qx "worker $1" "$scratch/answer"
}

start spares receive
until_true has_three
old=$(workers)
victim=${old%% *}

kill -s KILL "$victim"

until_true has 1 "child [01] (pid $victim) killed by signal 9, restarting\$"
until_true answers_from 0
until_true answers_from 1
until_true has_three
for process in ${old#* }; do
    kill -s 0 "$process" || fail "$process has ended"
done
old=$(workers)
kill -s HUP "$server"
until_true are_replaced 3 "$old"
stop 143
