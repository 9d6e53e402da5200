#!/bin/sh
# The examples of common tasks do what their heads say: drain answers to the end of a connection
# while it stops, recycle replaces workers without a failure, keep runs any program, queue tries
# each job.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

log=$scratch/log
fail_shows=$log
port=$(free_port)

need curl

count() {
    grep -c -e "$1" "$log" || true
}

# has NUMBER PATTERN
has() {
    [ "$(count "$2")" -ge "$1" ]
}

# run PROGRAM...: in a group of its own.
run() {
    : >"$log"
    setsid "$@" >"$log" 2>&1 &
    server=$!
}

# stop STATUS
stop() {
    kill -s TERM "$server"
    status=0
    wait "$server" || status=$?
    server=
    expect "status after a stop" "$1" "$status"
}

# ---- drain ---------------------------------------------------------------------------------

# The client does not close its side by itself.
echoes() {
    echo "$1" | curl -q --noproxy '*' -s --max-time 0.5 "telnet://127.0.0.1:$port" | grep -qx "$1"
}
echoes_or_has_ended() {
    echoes hello || ! kill -s 0 "$server"
}
has_lines() {
    [ "$(wc -l <"$scratch/echo")" -eq "$1" ]
}
run "$examples/drain" "$port"
until_true echoes_or_has_ended
while ! kill -s 0 "$server" 2>/dev/null; do
    has 1 'Address already in use' || fail "drain did not start"
    port=$((port + 1))
    run "$examples/drain" "$port"
    until_true echoes_or_has_ended
done

# A connection that is open when the server stops.
mkfifo "$scratch/say"
: >"$scratch/echo"
curl -q --noproxy '*' -sN --max-time $((20 * time_scale)) "telnet://127.0.0.1:$port" \
    <"$scratch/say" >"$scratch/echo" &
client=$!
exec 3>"$scratch/say"
echo before >&3
until_true has_lines 1
kill -s TERM "$server"
# The idle worker ends. The other one stays with its connection.
one_is_left() {
    [ "$(pgrep -P "$server" | wc -l)" -eq 1 ]
}
until_true one_is_left
echo after >&3
until_true has_lines 2
exec 3>&-
kill "$client"
wait "$client" 2>/dev/null || true
status=0
wait "$server" || status=$?
server=
expect "status of drain" 0 "$status"
expect "the echo" "before after" "$(tr -d '\r' <"$scratch/echo" | paste -s -d ' ')"

# ---- recycle -------------------------------------------------------------------------------

run "$examples/recycle"
until_true has 4 'exited normally (retired)$'
stop 0
expect "workers that failed" 0 "$(count 'restarting\|killed\|could not')"
awk '/^worker [01]: / && $3 >= 20 { full++ } END { exit full < 4 }' "$log" ||
    fail "workers retired before their time"

# ---- queue ---------------------------------------------------------------------------------

timeout 30 "$examples/queue" >"$log" || fail "queue: status $?"
for job in 0 1 3 4 6 7; do
    expect "job $job" 1 "$(count "^job $job: done, try 1$")"
done
expect "a job that crashed once" 1 "$(count '^job 2: done, try 2$')"
expect "a job that always fails" 1 "$(count '^job 5: given up$')"
expect "lines about jobs" 8 "$(count '^job')"
status=0
timeout 30 "$examples/queue" broken >"$log" 2>&1 || status=$?
expect "status of a queue that cannot work" 1 "$status"
expect "its message" 'queue: A worker exited with a fatal status' "$(cat "$log")"

# ---- keep ----------------------------------------------------------------------------------

keep=$examples/keep
run "$keep" sleepers 2 sleep 1000
sleepers() {
    [ "$(pgrep -P "$server" -x sleep | wc -l)" -eq "$1" ]
}
until_true sleepers 2
pid=$(pgrep -P "$server" -x sleep | head -n 1)
kill -s KILL "$pid"
until_true has 1 "^sleepers: child [01] (pid $pid) killed by signal 9, restarting in [0-9]* ms"
until_true sleepers 2
kill -s TTIN "$server"
until_true sleepers 3
old=$(pgrep -P "$server" -x sleep)
kill -s HUP "$server"
until_true has 1 '^sleepers: Reloaded 3 processes'
until_true sleepers 3
for pid in $old; do
    ! pgrep -P "$server" -x sleep | grep -qx "$pid" || fail "$pid was not replaced"
done
stop 143

status=0
timeout 30 "$keep" none 1 no-such-program >"$log" 2>&1 || status=$?
expect "status of keep for a program that is not there" 1 "$status"
expect "restarts of such a program" 0 "$(count restarting)"

# A shell, with what it starts: all of it ends.
# shellcheck disable=SC2016 # it is for that shell
run "$keep" shells 1 sh -c 'sleep 1001 & echo "$$ $!" >>"$0"; wait' "$scratch/pids"
until_true test -s "$scratch/pids"
stop 143
read -r shell child <"$scratch/pids"
until_true is_gone "$shell"
until_true is_gone "$child"
