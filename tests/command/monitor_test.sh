#!/bin/sh
# What the command prefork says of its workers: metrics, health, the table, lines of JSON; and how
# it is a daemon with a pid file and a log file.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh
. tests/command/common.sh

pid_file=$scratch/pid
daemon_log=$scratch/daemon.log

on_exit() {
    [ ! -s "$pid_file" ] || kill -s KILL "$(cat "$pid_file")" 2>/dev/null || true
}

need curl jq ps

page() { # path, options
    get --unix-socket "$monitor" "http://localhost$1"
}

value() { # name with labels
    page /metrics | awk -v name="$1" '$1 == name { print $2 }'
}

health() {
    get --output /dev/null --write-out '%{http_code}' --unix-socket "$monitor" \
        http://localhost/healthz
}

has_health() {
    [ "$(health)" = "$1" ]
}

# ---- metrics, health, lines of JSON ----------------------------------------------------------

start -n 2 --name web --ready-timeout 5 --backoff 0,0 --log-format json -- "$app"
until_true has_health 200
until_true are_ready 2
expect workers 2 "$(value 'prefork_workers{pool="web"}')"
expect ready 2 "$(value 'prefork_workers_ready{pool="web"}')"
expect restarts 0 "$(value 'prefork_workers_restarted_total{pool="web"}')"
kill -KILL "$(pid_of 1)"
until_true logged '"event":"worker_exited".*"signal":9'
until_true are_ready 2
expect restarts 1 "$(value 'prefork_workers_restarted_total{pool="web"}')"
expect restarts 1 "$(value 'prefork_worker_restarts{pool="web",worker="1"}')"
awk -v memory="$(value 'prefork_worker_resident_memory_bytes{pool="web",worker="0"}')" \
    'BEGIN { exit !(memory > 100000 && memory < 1e9) }' || fail 'no worker has such a memory'
expect 'last line' '# EOF' "$(page /metrics | tail -n 1)"
expect 'another path' 404 "$(get --output /dev/null --write-out '%{http_code}' \
    --unix-socket "$monitor" http://localhost/nonsense)"
expect 'mode of the socket' 600 "$(stat -c %a "$monitor")"

stop 143
jq -es 'length > 5 and all(.[]; has("time") and has("level") and has("message")) and
    any(.[]; .event == "worker_exited" and .signal == 9 and .worker == 1 and .will_restart)' \
    "$log" >/dev/null || fail 'the lines are not JSON'

# Nobody is ready: no health.
start -n 1 --ready-timeout 20 -- "$programs/foreign_server" silent
until_true has_health 503
stop 143

# ---- a daemon --------------------------------------------------------------------------------

"$prefork" -n 2 --daemon --pid-file "$pid_file" --log-file "$daemon_log" \
    --ready-timeout 5 --metrics "unix:$monitor" -- "$app" || fail 'no daemon'
are_ready 2 || fail 'the launching command has ended before the workers were ready'
daemon=$(cat "$pid_file")
[ "$(ps -o sid= -p "$daemon")" != "$(ps -o sid= -p $$)" ] || fail 'the daemon is in our session'
status=0
"$prefork" -n 1 --daemon --pid-file "$pid_file" -- "$app" >"$log" 2>&1 || status=$?
expect 'a second daemon' 1 "$status"
logged "$pid_file: a daemon that runs has this pid file" ||
    fail 'the second daemon does not say why'
grep -q 'child 1 .* is ready' "$daemon_log" || fail 'the log file has no messages'
kill -USR1 "$daemon"
until_true grep -q ' was asked$' "$daemon_log"
# The log file that was renamed is begun anew at a reload.
mv "$daemon_log" "$daemon_log.1"
kill -HUP "$daemon"
log=$daemon_log
until_true logged 'Reloaded 2 processes'
# So does an upgrade, which keeps the pid file.
mv "$daemon_log" "$daemon_log.2"
kill -USR2 "$daemon"
until_true logged 'Adopted 2 processes'
until_true are_ready 2
expect 'pid file after the upgrade' "$daemon" "$(cat "$pid_file")"
kill -TERM "$daemon"
until_true is_gone "$daemon"
! test -e "$pid_file" || fail 'the pid file is left'
# Without standard files the log is as complete.
: >"$daemon_log"
"$prefork" -n 1 --daemon --pid-file "$pid_file" --log-file "$daemon_log" --ready-timeout 5 \
    --metrics "unix:$monitor" -- "$app" <&- >&- 2>&- || fail 'no daemon without standard files'
daemon=$(cat "$pid_file")
kill -USR1 "$daemon"
until_true grep -q ' was asked$' "$daemon_log"
kill -HUP "$daemon"
until_true logged 'Reloaded 1 processes'
kill -TERM "$daemon"
until_true is_gone "$daemon"
for closed in 1 2; do
    : >"$daemon_log"
    eval "'$prefork' -n 1 --log-file '$daemon_log' -- \
        sh -c 'echo output; echo error >&2' $closed>&-" || fail "it fails without $closed"
    for line in '^output$' '^error$' 'child 0 .* exited normally'; do
        logged "$line" || fail "without $closed the log has no '$line'"
    done
done
# A FIFO that nobody reads any more does not stop the supervisor.
mkfifo "$scratch/fifo"
exec 8<>"$scratch/fifo"
start -n 1 --ready-timeout 5 --log-file "$scratch/fifo" -- "$app" 8>&-
until_true are_ready 1
exec 8>&-
kill -HUP "$server"
is_reloaded() {
    [ "$(value 'prefork_reloads_total{pool=""}')" = 1 ]
}
until_true is_reloaded
until_true are_ready 1
stop 143
# Why it fails is told to who launches it, or to the log file.
log=$scratch/log
status=0
"$prefork" -n 1 --daemon --pid-file "$pid_file" --boot-limit 2 --backoff 0,0 --ready-timeout 5 \
    -- "$programs/foreign_server" fails >"$log" 2>&1 || status=$?
expect 'a daemon whose program fails' 1 "$status"
logged 'exited with status 3' || fail 'the daemon does not say why it failed'
status=0
"$prefork" -n 1 --daemon --boot-limit 2 --backoff 0,0 --ready-timeout 5 \
    --log-file "$daemon_log" -- "$programs/foreign_server" fails >"$log" 2>&1 || status=$?
expect 'a daemon whose program fails' 1 "$status"
grep -q 'this release is broken' "$daemon_log" || fail 'what the program says is not in the log'
