#!/bin/sh
# What reloads of a server, and kills of its workers, cost those who are using it.
#
#   PF_EXAMPLES_DIR=DIRECTORY [RELOADS=50] [KILLS=200] [LOAD=PROGRAM] [SAVE=1] \
#       tests/bench/reload_load.sh [-x] [SERVER]
#
# SERVER  the program to load, by default the example reload; it is called as that is: SERVER PORT
#         FILE WORKERS, takes HUP as a reload, answers with the text of FILE, and prints its events
# -x      SERVER gets the option -x, too, and executes its workers anew: in each reload not the text
#         is replaced, but the program itself, by a copy in which the words "release 0000", which
#         are part of its answer, have another number
# LOAD    loads the server in the place of wrk, as tests/programs/load.c does
# SAVE=1  keep the table in tests/bench/RESULTS.md
#
# There are two loads, of 16 connections that are kept alive, and of 16 that are made anew for each
# request. Under each, RELOADS reloads may lose no request and refuse no connection, and each must
# show in the answers. KILLS random workers are sent SIGKILL: that may lose one request for each
# connection that the killed had accepted and not closed, and nothing else. These connections are
# counted exactly, in the tables of the kernel, when the worker has been stopped by SIGSTOP and
# before it is killed. Ends with status 1 if anything else was lost.
#
# wrk asks on a kept connection as soon as it has an answer. So a connection that is closed without
# an answer that said so always counts as an error.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

here=$(dirname "$0")
reloads=${RELOADS:-50}
kills=${KILLS:-200}
load_program=${LOAD:-wrk}
workers=4
connections=16
executes=0
option=
if [ "${1:-}" = -x ]; then
    executes=1
    option=-x
    shift
fi
original=${1:-$examples/reload}
original=$(realpath "$original")
port=$(free_port)
program=$original
log=$scratch/log
fail_shows=$log
load=
failed=0
if [ "$executes" -eq 1 ]; then
    program=$scratch/server
    grep -q 'release 0000' "$original" || {
        echo "$original does not have the words: release 0000" >&2
        exit 2
    }
    # A copy does not find the library beside it.
    LD_LIBRARY_PATH=${original%/*}/..${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH
fi

on_exit() {
    [ -z "$load" ] || kill -s KILL "$load" 2>/dev/null || true
}

need "${load_program%% *}" curl pgrep shuf setsid

# ---- the server ----------------------------------------------------------------------------

count() {
    grep -c -e "$1" "$log" || true
}

# until_count NUMBER PATTERN: wait until so many lines of the log match.
until_count() {
    tries=0
    while [ "$(count "$2")" -lt "$1" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 6000 ] || fail "waited in vain for $1 times: $2"
        kill -s 0 "$server" 2>/dev/null || fail "the server has ended"
        sleep 0.01
    done
}

# renew NUMBER: the next workers have another answer.
renew() {
    wanted=$(printf 'release %04d' "$1")
    if [ "$executes" -eq 1 ]; then
        sed "s/release 0000/$wanted/g" "$original" >"$program.new"
        chmod +x "$program.new"
        mv "$program.new" "$program"
    else
        echo "Hello, world, $wanted" >"$scratch/text.new"
        mv "$scratch/text.new" "$scratch/text"
    fi
}

# The answer is that of the latest renewal.
is_renewed() {
    curl -q --noproxy '*' --silent --include --max-time 30 "http://127.0.0.1:$port/" |
        grep -q "$wanted"
}

start_server() {
    echo "Hello, world" >"$scratch/text"
    renew 0
    while :; do
        : >"$log"
        # shellcheck disable=SC2086 # an option, or none
        setsid "$program" $option "$port" "$scratch/text" "$workers" >"$log" 2>&1 &
        server=$!
        until grep -q 'is ready' "$log" || ! kill -s 0 "$server" 2>/dev/null; do
            sleep 0.02
        done
        ! kill -s 0 "$server" 2>/dev/null || break
        grep -q 'Address already in use' "$log" || fail "the server did not start"
        port=$((port + 1))
    done
    until_count "$workers" 'is ready'
    is_renewed || fail "the answer is not that of $wanted"
}

stop_server() {
    kill -s TERM "$server"
    status=0
    wait "$server" || status=$?
    server=
    [ "$status" -eq 0 ] || fail "the server ended with status $status"
}

# ---- the load ------------------------------------------------------------------------------

# start_load KIND: until it is told to end.
start_load() {
    if [ "$load_program" != wrk ]; then
        set -- "$load_program" "$port" "$connections" "$1"
    elif [ "$1" = kept ]; then
        set -- wrk -t 1 -c "$connections" -d 900 --timeout 30 "http://127.0.0.1:$port/"
    else
        set -- wrk -t 1 -c "$connections" -d 900 --timeout 30 -H 'Connection: close' \
            "http://127.0.0.1:$port/"
    fi
    "$@" >"$scratch/said" 2>&1 &
    load=$!
    sleep 0.5 # not needed: so that there is a time before the first reload
}

# What wrk says, in the words of load.c.
translate() {
    awk '
        / requests in / { answered = $1 }
        /Socket errors:/ { gsub(/,/, ""); refused = $4; lost = $6 + $8; late = $10 }
        /Non-2xx/ { lost += $NF }
        END { printf "answered %d lost %d refused %d late %d\n", answered, lost, refused, late }
    ' "$scratch/said"
}

# Sets answered, lost, refused and late.
stop_load() {
    kill -s INT "$load"
    wait "$load" || fail "$load_program: status $?"
    load=
    if [ "$load_program" = wrk ]; then
        counts=$(translate)
    else
        counts=$(tail -n 1 "$scratch/said")
    fi
    # shellcheck disable=SC2086 # words
    set -- $counts
    [ $# -eq 8 ] || fail "$load_program said: $(cat "$scratch/said")"
    answered=$2 lost=$4 refused=$6 late=$8
    [ "$answered" -gt 0 ] || fail "no request was answered"
}

# expect WHAT KIND MOST: no more than so many requests were lost, and nothing else.
expect() {
    echo "| $1 | $2 | $answered | $3 | $lost | $refused | $late |" >>"$scratch/rows"
    echo "$1, connections $2: answered $answered; lost $lost of at most $3," \
        "refused $refused, late $late"
    if [ "$lost" -gt "$3" ] || [ "$refused" -ne 0 ] || [ "$late" -ne 0 ]; then
        echo "FAILED: more was lost than may be"
        grep -v '^answered' "$scratch/said" || true
        failed=1
    fi
}

# ---- what happens under it -----------------------------------------------------------------

reload_under() {
    start_server
    start_load "$1"
    number=1
    while [ "$number" -le "$reloads" ]; do
        renew "$number"
        kill -s HUP "$server"
        until_count "$number" '^Reloaded'
        # Until then the last old ones may still accept. They end by themselves.
        until_count $((number * workers)) 'exited normally$'
        is_renewed || fail "the answer after reload $number is not $wanted"
        number=$((number + 1))
    done
    stop_load
    [ "$(count 'killed\|did not\|does not respond\|with status')" -eq 0 ] ||
        fail "a worker did not end well"
    expect "$reloads reloads of $workers workers" "$1" 0
    stop_server
}

# count_accepted PID: the connections to the server's port that a process holds.
count_accepted() {
    find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n' >"$scratch/held"
    awk -v port=":$(printf '%04X' "$port")" '
        NR == FNR { held[$1] = 1; next }
        $2 ~ port "$" && $4 != "0A" && $10 in held { count++ }
        END { print count + 0 }
    ' "$scratch/held" /proc/net/tcp
}

kill_under() {
    start_server
    start_load "$1"
    accepted=0
    killed=0
    while [ "$killed" -lt "$kills" ]; do
        pid=$(pgrep -P "$server" | shuf -n 1)
        kill -s STOP "$pid"
        until grep -q '^State:.*T (stopped)' "/proc/$pid/status"; do
            sleep 0.001
        done
        accepted=$((accepted + $(count_accepted "$pid")))
        kill -s KILL "$pid"
        killed=$((killed + 1))
        until_count "$killed" 'killed by signal 9, restarting'
        until_count $((workers + killed)) 'is ready'
    done
    stop_load
    expect "$kills kills" "$1" "$accepted"
    stop_server
}

: >"$log"
for kind in kept new; do
    reload_under "$kind"
    kill_under "$kind"
done

# ---- what is kept --------------------------------------------------------------------------

title="## Reloads and kills under load"
if [ "$executes" -eq 1 ]; then
    title="$title, each worker executes the program anew"
fi

describe() {
    echo "$title"
    echo
    echo "By \"make load SAVE=1\": reload_load.sh says how each number is taken. The load is wrk"
    echo "with $connections connections, kept alive or new for each request; a request may be lost"
    echo "only if a killed worker had accepted its connection."
    echo
    echo "- date: $(date -u '+%Y-%m-%d %H:%M UTC')"
    echo "- kernel: $(uname -srm), $(nproc) processors"
    echo "- command: tests/bench/reload_load.sh${option:+ $option}"
    echo
    echo "| what | connections | answered | may be lost | lost | refused | late |"
    echo "|---|---|---:|---:|---:|---:|---:|"
    cat "$scratch/rows"
}

if [ "${SAVE:-0}" = 1 ] && [ "$failed" -eq 0 ]; then
    # The other sections stay as they are.
    awk -v title="$title" '/^## /{ skips = ($0 == title) } !skips' "$here/RESULTS.md" |
        sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' >"$scratch/results"
    { cat "$scratch/results" && echo && describe; } >"$here/RESULTS.md"
    echo "kept in $here/RESULTS.md"
fi
[ "$failed" -eq 0 ]
