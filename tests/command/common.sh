# What the tests of the command prefork share. They begin with
#
#   . tests/support/script.sh
#   . tests/command/common.sh
#
# shellcheck shell=sh
# SPDX-License-Identifier: MIT

prefork=${BUILD_DIR:-$PWD/build}/prefork
programs=${PF_PROGRAMS_DIR:-$PWD/build/tests/programs}
log=${scratch:?}/log
monitor=$scratch/monitor
# shellcheck disable=SC2034 # fail() shows it
fail_shows=$log

# A program whose release can be changed while it runs: `release WORD`, see foreign_server.c.
release() {
    echo "$1" >"$scratch/version"
}
app=$scratch/app
printf '#!/bin/sh\nexec "%s/foreign_server" "$(cat "%s/version")"\n' "$programs" "$scratch" >"$app"
chmod +x "$app"
release good

# start ARGUMENT...: the command in the background, as $server.
start() {
    : >"$log"
    setsid "$prefork" --metrics "unix:$monitor" "$@" >>"$log" 2>&1 &
    server=$!
}

# stop STATUS [SIGNAL]: it ends with the status, and leaves nobody.
stop() {
    kill -s "${2:-TERM}" "$server"
    ended "$1"
}

# ended STATUS
ended() {
    status=0
    wait "$server" || status=$?
    expect 'exit status' "$1" "$status"
    until_true nobody_is_left
    server=
}

nobody_is_left() {
    [ -z "$(ps -o pid= -s "$server")" ]
}

port() {
    sed -n 's/.* has port //p' "$log" | head -n 1
}

workers() { # the lines of the table
    "$prefork" status "$monitor" 2>/dev/null | sed '1,/WORKER/d'
}

pid_of() { # the worker with this task id
    workers | awk -v id="$1" '$1 == id { print $3 }'
}

are_ready() { # how many
    [ "$(workers | grep -c ' ready ')" -eq "$1" ] && [ "$(workers | wc -l)" -eq "$1" ]
}

logged() { # a pattern
    grep -q "$1" "$log"
}
