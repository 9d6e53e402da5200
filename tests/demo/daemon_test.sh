#!/bin/sh
# The example daemon as a script uses it: when the command that launches it has ended, the next
# line finds the port answering; or the command says why not, and there is no daemon.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

daemon=$examples/daemon

pid_file=$scratch/daemon.pid
port=$(free_port)
rounds=20

on_exit() {
    for file in "$scratch"/*.pid; do
        [ ! -s "$file" ] || kill -s KILL "$(cat "$file")" 2>/dev/null || true
    done
}

need curl

answer() {
    get "http://127.0.0.1:$port/"
}

# launch PID_FILE: its status in $status, what it wrote in $written. A substitution would wait
# for ever if the daemon or a worker kept the output open.
launch() {
    status=0
    written=$("$daemon" "$port" "$1" 2>&1) || status=$?
}

stop() {
    pid=$(cat "$pid_file")
    kill -TERM "$pid"
    until_true is_gone "$pid"
    [ ! -e "$pid_file" ] || fail "the pid file is still there"
}

# At the first port that nobody has.
start_daemon() {
    launch "$pid_file"
    while [ "$status" -ne 0 ]; do
        case $written in
        *'Address already in use'*) port=$((port + 1)) ;;
        *) fail "the daemon did not start: $written" ;;
        esac
        launch "$pid_file"
    done
}
start_daemon
stop

# ---- started, and the next line --------------------------------------------------------------

round=0
while [ "$round" -lt "$rounds" ]; do
    start_daemon
    answer >"$scratch/answer" || fail "round $round: the next line finds nobody"
    grep -q '^Hello from task [0-9]*$' "$scratch/answer" || fail "round $round: a wrong answer"
    stop
    round=$((round + 1))
done

# ---- what cannot be bound -----------------------------------------------------------------

launch "$pid_file"
expect "status of the first" "0 " "$status $written"
launch "$scratch/second.pid"
expect "status on a port that is taken" 1 "$status"
expect "message on a port that is taken" "daemon: port $port: Address already in use" "$written"
[ ! -e "$scratch/second.pid" ] || fail "a daemon that failed left its pid file"

# ---- two at once -----------------------------------------------------------------------------

launch "$pid_file"
expect "status of a second one" 1 "$status"
expect "message of a second one" "daemon: $pid_file: already running" "$written"
stop

for name in first second third; do
    {
        status=0
        "$daemon" "$port" "$pid_file" 2>"$scratch/$name.message" || status=$?
        echo "$status" >"$scratch/$name.status"
    } &
done
wait
expect "statuses of three at once" "0 1 1 " \
    "$(sort "$scratch"/*.status | tr '\n' ' ')"
answer >/dev/null || fail "of three at once none serves"
expect "those who were told" 2 "$(cat "$scratch"/*.message | grep -c 'already running')"

# ---- killed and started again ------------------------------------------------------------------

pid=$(cat "$pid_file")
kill -KILL "$pid"
until_true is_gone "$pid"
expect "the pid file of a daemon that was killed" "$pid" "$(cat "$pid_file")"
# Its workers end with it, and with them what they hold of the port.
until_true "$daemon" "$port" "$pid_file"
answer >/dev/null || fail "after a SIGKILL the next one does not serve"
[ "$pid" != "$(cat "$pid_file")" ] || fail "the pid file names the one that was killed"
stop

# ---- in the foreground -------------------------------------------------------------------------

"$daemon" "$port" &
pid=$!
until_true answer
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
expect "status of the server in the foreground" 0 "$status"
