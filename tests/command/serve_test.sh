#!/bin/sh
# The command prefork runs a server that does not use the library: it gets its sockets, is
# restarted, reloaded, resized and stopped, and no broken release of it replaces a good one.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh
. tests/command/common.sh

need curl ps

answers() { # VERSION
    get "http://127.0.0.1:$port/" | grep -q "^$1 [0-9]*\$" &&
        get --unix-socket "$scratch/socket" http://localhost/ | grep -q "^$1 [0-9]*\$"
}

is_another() { # task id, pid
    successor=$(pid_of "$1")
    [ -n "$successor" ] && [ "$successor" != - ] && [ "$successor" != "$2" ]
}

# ---- sockets, and a worker that is killed ----------------------------------------------------

start -n 2 -l 127.0.0.1:0 -l "unix:$scratch/socket" --ready-timeout 5 \
    --heartbeat-timeout "$time_scale" --backoff 0,0 -- "$app"
until_true are_ready 2
port=$(port)
answers good || fail 'the server does not answer'
first=$(pid_of 0)
other=$(pid_of 1)
kill -KILL "$first"
until_true is_another 0 "$first"
until_true are_ready 2
expect 'the other worker' "$other" "$(pid_of 1)"
expect restarts 1 "$(workers | awk '$1 == 0 { print $5 }')"
logged "child 0 (pid $first) killed by signal 9, restarting" || fail 'the kill is not logged'

# One that hangs sends no heartbeats.
first=$(pid_of 0)
kill -STOP "$first"
until_true is_another 0 "$first"
until_true are_ready 2

# ---- signals to the workers, size ------------------------------------------------------------

kill -USR1 "$server"
asked() {
    [ "$(grep -c ' was asked$' "$log")" -eq 2 ]
}
until_true asked
kill -TTIN "$server"
until_true are_ready 3
kill -TTOU "$server"
until_true are_ready 2

# ---- reloads: a good release, and two that are broken ----------------------------------------

release better
old=$(pid_of 0)/$(pid_of 1)
kill -HUP "$server"
until_true logged 'Reloaded 2 processes'
until_true answers better
[ "$(pid_of 0)" != "${old%/*}" ] || fail 'the old worker 0 serves'
[ "$(pid_of 1)" != "${old#*/}" ] || fail 'the old worker 1 serves'
until_true are_ready 2

old=$(pid_of 0)/$(pid_of 1)
release fails
kill -HUP "$server"
until_true logged 'child 0 could not be replaced'
expect 'after a release that fails' "$old" "$(pid_of 0)/$(pid_of 1)"
answers better || fail 'after a release that fails nobody serves'
stop 143
! test -e "$monitor" || fail 'the socket of the monitor is left'

release good
start -n 2 -l 127.0.0.1:0 -l "unix:$scratch/socket" --ready-timeout 1 -- "$app"
until_true are_ready 2
port=$(port)
old=$(pid_of 0)/$(pid_of 1)
release silent
kill -HUP "$server"
until_true logged 'child 0 could not be replaced'
expect 'after a release that is never ready' "$old" "$(pid_of 0)/$(pid_of 1)"
answers good || fail 'after a release that is never ready nobody serves'

# ---- the supervisor is killed ----------------------------------------------------------------

kill -KILL "$server"
ended 137
