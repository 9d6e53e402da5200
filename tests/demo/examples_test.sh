#!/bin/sh
# The examples do what their heads say: minimal, which README.md shows, adds up; hello speaks
# HTTP/1.1, refuses what is wrong, ends workers when told to and says why it cannot start.
#
# SPDX-License-Identifier: MIT
set -eu

root=$(dirname "$0")/../..
. tests/support/script.sh

log=$scratch/log
fail_shows=$log
port=$(free_port)

need curl

# raw TEXT: what the server sends back for these bytes; the request asks to close.
raw() {
    # shellcheck disable=SC2059 # the text has escapes
    printf "$1" | get "telnet://127.0.0.1:$port" | tr -d '\r'
}

log_has() {
    grep -q -e "$1" "$log"
}

started_or_ended() {
    { log_has 'child 0 (pid [0-9]*) started' && get "http://127.0.0.1:$port/"; } ||
        ! kill -0 "$server"
}

# start OPTION...: hello on the next free port.
start() {
    while :; do
        : >"$log"
        setsid "$examples/hello" -p "$port" "$@" >"$log" 2>&1 &
        server=$!
        until_true started_or_ended
        ! kill -0 "$server" 2>/dev/null || return 0
        log_has 'Address already in use' || fail "hello $* did not start"
        port=$((port + 1))
    done
}

# ends_with STATUS: the server ends, and with that status.
ends_with() {
    status=0
    wait "$server" || status=$?
    expect "status of the server" "$1" "$status"
    server=
}

# ---- minimal -----------------------------------------------------------------------------

"$examples/minimal" >"$log" || fail "minimal: status $?"
expect "workers of minimal" 4 "$(grep -c '^worker [0-3]: [0-9]*$' "$log")"
expect "sum of minimal" 499999500000 "$(awk '{ sum += $3 } END { printf "%.0f", sum }' "$log")"

sed -n '/^#include/,$p' "$root/man/examples/minimal.c" >"$scratch/minimal"
# shellcheck disable=SC2016 # the quotes are markdown's
sed -n '/^```c$/,/^```$/{/^```/!p;}' "$root/README.md" | cmp - "$scratch/minimal" ||
    fail "README.md and minimal.c differ"

# ---- what hello refuses ------------------------------------------------------------------

: >"$log"
for options in '-p 0' '-p x' '-z' '-p 65536'; do
    status=0
    # shellcheck disable=SC2086 # an option and its value
    "$examples/hello" $options >"$log" 2>&1 || status=$?
    expect "status of hello $options" 2 "$status"
done
start -n 1
url=http://127.0.0.1:$port/
status=0
"$examples/hello" -p "$port" >"$scratch/second" 2>&1 || status=$?
expect "status on a port that is taken" 1 "$status"
expect "message on a port that is taken" \
    "hello: 127.0.0.1 port $port: Address already in use" "$(cat "$scratch/second")"

# ---- requests ----------------------------------------------------------------------------

# code WANTED CURL-ARGUMENT...
code() {
    wanted=$1
    shift
    expect "answer to $*" "$wanted" "$(get --output /dev/null --write-out '%{http_code}' "$@")"
}
code 200 "$url"
code 200 --head "$url"
code 200 --http1.0 "$url?sleep=0.01"
code 404 "${url}other"
code 405 --data text "$url"
code 431 --header "Long: $(printf '%09000d' 0)" "$url"
for query in 'exit=abc' 'exit=256' 'signal=-1' 'sleep=31' 'sleep=nan' 'other'; do
    code 400 "$url?$query"
done
expect "connections for three requests" "1 0 0 " \
    "$(get --output /dev/null --output /dev/null --output /dev/null \
        --write-out '%{num_connects} ' "$url" "$url" "$url")"
one='GET / HTTP/1.1\r\nHost: a\r\n\r\n'
last='GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
expect "answers to three requests at once" 3 "$(raw "$one$one$last" | grep -c '^Hello, world')"
expect "answers after the one that closes" 1 "$(raw "$last$one" | grep -c '^HTTP/1.1')"
for bad in 'GET /\r\n\r\n' 'GET / HTTP/1.1\r\n\r\n' 'GET / HTTP/1.1\r\nHost\r\n\r\n' \
    'GET / HTTP/1.1\r\nHost: a\r\n folded: a\r\n\r\n' 'GET / HTTP/1.1\r\nHost: \0\r\n\r\n'; do
    expect "answer to $bad" "HTTP/1.1 400 Bad Request" "$(raw "$bad" | head -n 1)"
done

# ---- the ends of workers and of the server ------------------------------------------------

get "$url?exit=3" >"$scratch/answer"
grep -q '^Hello, world from pid [0-9]*, task 0$' "$scratch/answer" || fail "no answer to exit=3"
until_true log_has 'child 0 (pid [0-9]*) exited with status 3, restarting'
get "$url?signal=11" >/dev/null
until_true log_has 'child 0 (pid [0-9]*) killed by signal 11, restarting'

get "$url?sleep=0.5" >"$scratch/answer" &
request=$!
until_true log_has 'sleeps, in seconds: 0.5'
kill -TERM "$server"
wait "$request" || fail "the request under way was cut off"
grep -q '^Hello, world' "$scratch/answer" || fail "the answer under way was cut off"
ends_with 143

start -n 1
get "http://127.0.0.1:$port/?exit=0" >/dev/null
ends_with 0

start -n 2 -r 0
get "http://127.0.0.1:$port/?exit=1" >/dev/null
ends_with 1
log_has 'Too many child restarts, giving up' || fail "giving up was not reported"
log_has 'hello: pf_fork_processes: ' || fail "the error was not printed"
