#!/bin/bash
# Servers that do not use the library, run by the command prefork: each row of the table in
# prefork(1) is tried. `make servers` does it.
#
#   tests/command/servers.sh [SERVER...]
#
# A worker is killed, all are reloaded ten times and the supervisor is upgraded under load, a
# release is broken, and all are stopped. No request may be lost under load, and the broken release
# must not replace the good one. TRANSCRIPT= is a file that gets the messages. Ends with "N passed,
# N failed".
#
# SPDX-License-Identifier: MIT
set -euo pipefail

. tests/support/script.sh
. tests/command/common.sh

all='gunicorn uvicorn puma haproxy php-fpm nginx node go'
reloads=${RELOADS:-10}
connections=4
files=$PWD/tests/command/servers
passed=0
failed=0

on_exit() {
    [ -z "${load-}" ] || kill "$load" 2>/dev/null || true
}

# ---- The servers -----------------------------------------------------------------------------
# Each has a file that can be broken, in $directory, which is the working directory. Its row of
# the table is: $stop, the stop signal; $ready, whether it says READY=1; $command. Some close
# connections at their end that they have accepted, so that each stop may lose one a connection.

use_gunicorn() {
    needs=gunicorn stop=TERM ready=yes file=app.py
    command=(gunicorn --preload app:app)
}
break_gunicorn() { printf 'import time\ntime.sleep(2.5)\nraise RuntimeError("broken")\n' >app.py; }

use_uvicorn() {
    needs=uvicorn stop=TERM ready=no file=asgi.py may_lose=$((2 * reloads * connections))
    command=(uvicorn --no-access-log --fd 3 asgi:app)
}
break_uvicorn() { echo 'raise RuntimeError("broken")' >asgi.py; }

use_puma() {
    needs=puma stop=TERM ready=yes file=config.ru may_lose=$((2 * reloads * connections))
    command=(puma --bind-to-activated-sockets only config.ru)
}
break_puma() { printf 'sleep 2.5\nraise "broken"\n' >config.ru; }

use_haproxy() {
    needs=haproxy stop=USR1 ready=yes file=haproxy.cfg
    command=(haproxy -Ws -f haproxy.cfg)
}
break_haproxy() { echo broken >haproxy.cfg; }

use_php-fpm() {
    needs=cgi-fcgi stop=QUIT ready=yes file=fpm.conf
    export FPM_ADDRESS=127.0.0.1:$number FPM_SOCKETS=127.0.0.1:$number=3
    cp "$files/page.php" .
    command=("$(compgen -c php-fpm | sort | tail -n 1)" -F -y fpm.conf)
}
break_php-fpm() { echo broken >fpm.conf; }

use_nginx() {
    needs=nginx stop=QUIT ready=no file=nginx.conf
    export NGINX='3;'
    sed "s/@address@/127.0.0.1:$number/" "$files/nginx.conf" >nginx.conf
    # shellcheck disable=SC2016 # the worker expands it
    command=(sh -c 'exec nginx -p . -c nginx.conf -g "daemon off; pid nginx.$$.pid;"')
}
break_nginx() { echo broken >nginx.conf; }

use_node() {
    needs=node stop=TERM ready=no file=server.js
    command=(node server.js)
}
break_node() { echo 'throw new Error("broken")' >server.js; }

use_go() {
    needs=go stop=TERM ready=yes file=server may_lose=$((2 * reloads * connections))
    cp "$files/go.mod" "$files/go.sum" "$files/main.go" .
    [ -x server ] || go build -o server . || skip 'github.com/coreos/go-systemd cannot be had'
    command=(./server)
}
break_go() { printf '#!/bin/sh\nsleep 2.5\nexit 1\n' >new && chmod +x new && mv new server; }

# ---- One trial -------------------------------------------------------------------------------

answers() {
    case $name in
    php-fpm) SCRIPT_FILENAME=$PWD/page.php REQUEST_METHOD=GET cgi-fcgi -bind \
        -connect "127.0.0.1:$number" 2>/dev/null | grep -q '^good' ;;
    *) get "http://127.0.0.1:$number/" | grep -q '^good' ;;
    esac
}

# What is not answered is lost.
load_by_turns() {
    local good=0 lost=0
    trap 'is_over=1' INT
    is_over=
    while [ -z "$is_over" ]; do
        if answers; then good=$((good + 1)); else lost=$((lost + 1)); fi
    done
    echo "answered $good lost $lost refused 0 late 0"
}

begin_load() {
    case $name in
    php-fpm) load_by_turns >"$scratch/load" & ;;
    *) "$programs/load" "$number" "$connections" new >"$scratch/load" & ;;
    esac
    load=$!
}

end_load() { # sets answered and lost
    kill -INT "$load"
    wait "$load" || true
    load=
    read -r answered lost < <(awk '{ print $2, $4 + $6 + $8 }' "$scratch/load")
}

reloaded() { # how many times
    [ "$(grep -c 'Reloaded 2 processes' "$log")" -eq "$1" ]
}

is_replaced() { # the pid of worker 0
    are_ready 2 && [ "$(pid_of 0)" != "$1" ]
}

note() {
    echo "---- $*" >>"$log"
}

try() {
    local options=() old answered=0 lost=0
    [ "$ready" = no ] || options=(--ready-timeout 20)
    note "prefork -n 2 -l 127.0.0.1:$number --stop-signal $stop ${options[*]} -- ${command[*]}"
    setsid "$prefork" -n 2 -l "127.0.0.1:$number" --metrics "unix:$monitor" \
        --stop-signal "$stop" "${options[@]}" -- "${command[@]}" >>"$log" 2>&1 &
    server=$!
    until_true are_ready 2
    until_true answers

    note "kill -KILL of a worker"
    old=$(pid_of 0)
    kill -KILL "$old"
    until_true is_replaced "$old"
    note "$(workers | head -n 1)"

    note "$reloads reloads under load"
    until_true answers
    begin_load
    sleep 0.5
    for count in $(seq "$reloads"); do
        kill -HUP "$server"
        until_true reloaded "$count"
    done
    note "an upgrade of the supervisor under load"
    old=$(pid_of 0)/$(pid_of 1)
    kill -USR2 "$server"
    until_true logged 'Adopted [0-9]* processes'
    until_true are_ready 2
    expect 'workers after the upgrade' "$old" "$(pid_of 0)/$(pid_of 1)"
    sleep 0.5
    end_load
    "$prefork" status "$monitor" >>"$log"

    note "a reload to a release that is broken"
    old=$(pid_of 0)/$(pid_of 1)
    "break_$name"
    kill -HUP "$server"
    until_true logged 'child 0 could not be replaced'
    expect 'workers after the broken release' "$old" "$(pid_of 0)/$(pid_of 1)"
    answers || fail 'nobody serves after the broken release'

    note "kill -TERM of the supervisor"
    stop 143
    note "status 143, no process is left"
    printf '  %-9s %-5s %-4s %8s %5s  %s\n' "$name" "$stop" "$ready" "$answered" "$lost" \
        "${command[*]}"
    [ "$lost" -le "$may_lose" ] && [ "$answered" -gt 100 ]
}

# In a process of its own, which can fail.
try_server() { (
    # shellcheck disable=SC2030,SC2031 # for this trial alone
    name=$1 log=$scratch/$1.log
    number=$(free_port)
    directory=$scratch/$name
    fail_shows=$log
    monitor=$directory/monitor
    mkdir -p "$directory"
    chmod 755 "$scratch" "$directory" # php-fpm has another user
    cd "$directory"
    may_lose=0
    "use_$name"
    for tool in $needs ${command[0]##*/}; do
        [ "$tool" != server ] || continue
        command -v "$tool" >/dev/null || skip "$tool is not there"
    done
    [ -e "$file" ] || cp "$files/$file" .
    : >"$log"
    trap clean_up_trial EXIT
    try
); }

# shellcheck disable=SC2031 # those of the trial
clean_up_trial() {
    [ -z "$server" ] || kill -s KILL -- "-$server" 2>/dev/null || true
    [ -z "${load-}" ] || kill "$load" 2>/dev/null || true
    [ -z "${TRANSCRIPT-}" ] || { echo "== $name" && cat "$log"; } >>"$TRANSCRIPT"
}

# The file of the transcript is named from where this script was called.
[ -z "${TRANSCRIPT-}" ] || TRANSCRIPT=$(realpath "$TRANSCRIPT")
printf '  %-9s %-5s %-4s %8s %5s  %s\n' server stop READY answered lost command
# shellcheck disable=SC2086 # words
[ $# -gt 0 ] || set -- $all
for server_name; do
    status=0
    try_server "$server_name" || status=$?
    case $status in
    0) passed=$((passed + 1)) ;;
    77) ;;
    *) failed=$((failed + 1)) && echo "  FAIL $server_name" ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
