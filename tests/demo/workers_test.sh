#!/bin/sh
# The examples of what workers say and hear: graceful cuts no piece of work off, heartbeat
# replaces two workers, reload serves on over good reloads, one that fails, and its own end.
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

stop() {
    kill -s TERM "$server"
    status=0
    wait "$server" || status=$?
    expect "status after a stop" 0 "$status"
    server=
}

# ---- graceful ------------------------------------------------------------------------------

run "$examples/graceful"
until_true has 2 'is ready$'
kill -s HUP "$server"
until_true has 1 '^Reloaded 2 processes$'
until_true has 2 'exited normally$'
expect "workers that tell of their work after a reload" 2 "$(count '^worker [01]: [0-9]* pieces')"
stop
expect "workers that tell of their work" 4 "$(count '^worker [01]: [0-9]* pieces, all finished$')"
expect "workers that ended well" 4 "$(count 'exited normally$')"

# ---- signals -------------------------------------------------------------------------------

run "$examples/signals"
until_true has 2 'is ready$'
kill -s TTIN "$server"
until_true has 3 'is ready$'
kill -s USR1 "$server"
until_true has 3 '^a worker has received SIGUSR1$'
kill -s HUP "$server"
until_true has 1 '^Reloaded 3 processes$'
kill -s TERM "$server"
status=0
wait "$server" || status=$?
server=
expect "status after SIGTERM" 143 "$status"
expect "lines of a stop" 1 "$(count '^Stopping [34] processes')"

# ---- heartbeat -----------------------------------------------------------------------------

# It may leave a core dump there.
(cd "$scratch" && "$examples/heartbeat") >"$log" || fail "heartbeat: status $?"
expect "workers that do not respond" 2 "$(count ' does not respond, killing$')"
expect "one never got ready" 1 "$(count '^child 0 (pid [0-9]*) killed by signal 9, restarting$')"
expect "one hung" 1 "$(count '^child 1 (pid [0-9]*) killed by signal 6, restarting$')"
expect "workers that were ready" 3 "$(count 'is ready$')"

# ---- reload --------------------------------------------------------------------------------

text() {
    curl -q --noproxy '*' --silent --show-error --fail --max-time 30 "http://127.0.0.1:$port/"
}

is_ready_or_has_ended() {
    has 2 'is ready$' || ! kill -s 0 "$server"
}

start() {
    while :; do
        run "$examples/reload" "$port" "$scratch/text" 2
        until_true is_ready_or_has_ended
        ! kill -s 0 "$server" 2>/dev/null || return 0
        has 1 'Address already in use' || fail "reload did not start"
        port=$((port + 1))
    done
}

group_is_gone() {
    ! kill -s 0 -- "-$server"
}

echo 'text 0' >"$scratch/text"
start
expect "the first text" 'text 0' "$(text)"
expect "connections for two requests" '1 0 ' "$(curl -q --noproxy '*' --silent --max-time 30 \
    --output /dev/null --output /dev/null --write-out '%{num_connects} ' \
    "http://127.0.0.1:$port/" "http://127.0.0.1:$port/")"
echo 'text 1' >"$scratch/text"
kill -s HUP "$server"
until_true has 1 '^Reloaded 2 processes$'
until_true has 2 'exited normally$' # until then an old one may answer
expect "the text after a reload" 'text 1' "$(text)"

rm "$scratch/text"
kill -s HUP "$server"
until_true has 1 '^child 0 could not be replaced$'
expect "the text after a reload that failed" 'text 1' "$(text)"
expect "old workers that ended" 2 "$(count 'exited normally$')"
# A signal to the whole group, as a terminal sends it: the workers leave it to the supervisor.
kill -s TERM -- "-$server"
status=0
wait "$server" || status=$?
expect "status after a stop" 0 "$status"
expect "workers that ended well" 4 "$(count 'exited normally$')"

# Without their supervisor the workers end by themselves.
echo 'text 2' >"$scratch/text"
start
kill -s KILL "$server"
wait "$server" 2>/dev/null || true
until_true group_is_gone
server=
