#!/bin/sh
# demo.sh - start the example server, use it, crash a worker, stop it, and check each step
#
# SPDX-License-Identifier: MIT
#
# Prints a transcript. Every claim in it is checked; the first that is not true ends the
# script with status 1. Builds nothing: hello is taken from PF_EXAMPLES_DIR.
set -eu

. tests/support/script.sh

hello=${examples#"$PWD/"}/hello
log=$scratch/log
fail_shows=$log
port=8090
shown=0
checks=0

step() {
    printf '\n== %s\n' "$*"
}

# passed CLAIM: the check before this line was good.
passed() {
    checks=$((checks + 1))
    echo "   ok: $*"
}

# show_log: the lines of the server that have not been shown yet.
show_log() {
    tail -n "+$((shown + 1))" "$log" >"$scratch/new"
    shown=$((shown + $(wc -l <"$scratch/new")))
    sed 's/^/   /' "$scratch/new"
}

# log_has COUNT PATTERN: at least so many lines of the log match.
log_has() {
    [ "$(grep -c -e "$2" "$log")" -ge "$1" ]
}

# get WHAT [ADDRESS]: one request to the server; its answer is the output.
get() {
    curl -q --noproxy '*' --silent --show-error --fail --globoff --max-time $((5 * time_scale)) \
        "http://${2:-127.0.0.1}:$port$1"
}

# pid_in FILE, task_in FILE: who gave the answer in the file; nothing if it is no answer.
pid_in() {
    sed -n 's/^Hello, world from pid \([0-9]*\), task [0-9]*$/\1/p' "$1"
}
task_in() {
    sed -n 's/^Hello, world from pid [0-9]*, task \([0-9]*\)$/\1/p' "$1"
}

# ask_both WHAT: one request that holds a worker a while, then, while it is held, WHAT.
# The answers go to the files held and free. A held worker takes no connection, so that it
# must be the other one that answers the second.
ask_both() {
    held_before=$(grep -c 'sleeps' "$log" || true)
    echo "\$ curl 'http://127.0.0.1:$port/?sleep=$time_scale' &"
    get "/?sleep=$time_scale" >"$scratch/held" &
    held_request=$!
    until_true log_has $((held_before + 1)) 'sleeps'
    echo "\$ curl 'http://127.0.0.1:$port$1'"
    get "$1" >"$scratch/free" || fail "no answer to $1"
    wait "$held_request" || fail "no answer to /?sleep=$time_scale"
    cat "$scratch/held" "$scratch/free"
}

start_server() {
    : >"$log"
    # In a session of its own, so that all that belongs to it can be found by its group.
    setsid "$hello" -p "$port" -n 2 >"$log" 2>&1 &
    server=$!
    until_true server_started_or_ended
}
# Another server may have the port: an answer alone does not tell that it is this one.
server_started_or_ended() {
    { log_has 2 'child [01] (pid [0-9]*) started' && get /; } || ! kill -0 "$server"
}

group_is_there() {
    kill -s 0 -- "-$server" 2>/dev/null
}

need curl
[ -x "$hello" ] || fail "$hello is not there: run make examples"

step "A server with two workers"
until start_server && kill -0 "$server" 2>/dev/null; do
    status=0
    wait "$server" || status=$?
    server=
    [ "$status" -eq 1 ] || fail "the server ended with status $status"
    log_has 1 'Address already in use' || fail "the server ended for a reason of its own"
    echo "   port $port is taken, says the server, so the next one is tried:"
    show_log
    shown=0
    port=$((port + 1))
    [ "$port" -lt 8110 ] || fail "no port from 8090 on is free"
done
echo "\$ $hello -p $port -n 2 &"
show_log
for task in 0 1; do
    log_has 1 "child $task (pid [0-9]*) started" || fail "the start of task $task is not reported"
done
group_is_there || fail "the server does not lead a group: what is left at the end cannot be seen"
passed "it listens on port $port, and the supervisor, pid $server, has started tasks 0 and 1"

step "Ordinary requests"
for address in 127.0.0.1 '[::1]'; do
    if [ "$address" = '[::1]' ] && ! log_has 1 'listening on ::1'; then
        echo "   this machine has no IPv6: passed over"
        continue
    fi
    echo "\$ curl 'http://$address:$port/'"
    get / "$address" >"$scratch/answer" || fail "no answer from $address"
    cat "$scratch/answer"
    [ -n "$(pid_in "$scratch/answer")" ] || fail "this is not the answer of a worker"
    [ "$(pid_in "$scratch/answer")" != "$server" ] || fail "the supervisor has answered"
done
passed "a worker has answered each of them"

step "Two slow requests at the same time"
ask_both '/?sleep=1'
show_log
first=$(pid_in "$scratch/held")
second=$(pid_in "$scratch/free")
[ -n "$first" ] || fail "the first was not answered by a worker"
[ -n "$second" ] || fail "the second was not answered by a worker"
[ "$first" != "$second" ] || fail "both were answered by pid $first"
passed "they were answered by two processes, $first and $second"

step "A worker crashes"
echo "\$ curl 'http://127.0.0.1:$port/?signal=9'"
get '/?signal=9' >"$scratch/answer" || fail "no answer to /?signal=9"
cat "$scratch/answer"
old=$(pid_in "$scratch/answer")
task=$(task_in "$scratch/answer")
sibling=$first
[ "$old" = "$first" ] && sibling=$second
until_true log_has 1 "child $task (pid $old) killed by signal 9, restarting"
until_true log_has 2 "child $task (pid [0-9]*) started"
show_log
new=$(sed -n "s/.*child $task (pid \([0-9]*\)) started\$/\1/p" "$log" | tail -n 1)
passed "the supervisor saw it and started task $task again, as pid $new"
ask_both /
show_log
{ pid_in "$scratch/held" && pid_in "$scratch/free"; } | sort >"$scratch/pids"
printf '%s\n' "$new" "$sibling" | sort | cmp -s - "$scratch/pids" ||
    fail "expected answers from pids $new and $sibling"
cat "$scratch/held" "$scratch/free" | grep -q "pid $new, task $task\$" ||
    fail "pid $new does not have task $task"
passed "pid $new now answers with the task id of pid $old; pid $sibling went on unharmed"

step "The server is stopped in the middle of a request"
echo "\$ curl 'http://127.0.0.1:$port/?sleep=1' &"
slept=$(grep -c 'sleeps' "$log")
get '/?sleep=1' >"$scratch/answer" &
request=$!
until_true log_has $((slept + 1)) 'sleeps'
echo "\$ kill -TERM $server"
kill -TERM "$server"
wait "$request" || fail "the request under way was cut off"
status=0
wait "$server" 2>/dev/null || status=$? # or a shell writes "Terminated"
cat "$scratch/answer"
show_log
[ -n "$(pid_in "$scratch/answer")" ] || fail "the answer under way was cut off"
passed "the answer under way was finished first"
[ "$status" -eq 143 ] || fail "the status of the server is $status, not 143"
passed "the server's status is 143: it died of SIGTERM, once its workers had ended"

step "What is left"
if group_is_there; then
    fail "a process of the group $server is still there"
fi
for pid in "$server" "$old" "$new" "$sibling"; do
    [ ! -d "/proc/$pid" ] || fail "pid $pid is still there"
done
server=
passed "no process"
status=0
get / >/dev/null 2>&1 || status=$?
[ "$status" -eq 7 ] || fail "port $port: curl ended with $status, not 7 (connection refused)"
passed "port $port is closed"

printf '\ndemo: %d checks passed\n' "$checks"
