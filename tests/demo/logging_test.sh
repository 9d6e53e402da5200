#!/bin/sh
# The example logging as a daemon: events go to syslog, with their levels; requests go to a file,
# which is opened again after SIGUSR1, and by each new worker; what goes wrong before it serves is
# told on standard error too.
#
# SPDX-License-Identifier: MIT
set -eu

# What goes to syslog is seen only where this script can have a /dev of its own. Elsewhere, with
# LOGGED_TO empty, all the rest is tried.
if [ -z "${LOGGED_TO+set}" ]; then
    LOGGED_TO=$(mktemp)
    export LOGGED_TO
    status=0
    "${PF_PROGRAMS_DIR:-build/tests/programs}/log_socket" "$LOGGED_TO" "$0" || status=$?
    rm -f "$LOGGED_TO"
    [ "$status" -eq 77 ] || exit "$status"
    echo "not tried: syslog, which needs a /dev of its own"
    LOGGED_TO=
fi

. tests/support/script.sh

need curl

logging=$examples/logging
pid_file=$scratch/pid
log=$scratch/log
port=$(free_port)
fail_shows=$LOGGED_TO

on_exit() {
    [ ! -s "$pid_file" ] || kill -s KILL "$(cat "$pid_file")" 2>/dev/null || true
}

# syslog_has LEVEL PATTERN: from the daemon, that is facility 3.
syslog_has() {
    [ -z "$LOGGED_TO" ] || grep -q "^<$((3 * 8 + $1))>.* logging\[[0-9]*\]: $2\$" "$LOGGED_TO"
}

ask() { # once or more often
    for _ in "$@"; do
        said=$(get "telnet://127.0.0.1:$port" </dev/null)
        [ "$said" = hello ] || return 1
    done
}
# After a request the file has a line of a worker.
asked() {
    ask once && grep -Eqx 'task [01], pid [0-9]+: hello' "$log"
}
lines() {
    wc -l <"$1"
}
# All workers have the file open that has this name now.
all_have_it() {
    for worker in $(pgrep -P "$(cat "$pid_file")"); do
        find "/proc/$worker/fd" -lname "$log" | grep -q . || return 1
    done
}
launch() { # LOG_FILE
    status=0
    written=$("$logging" "$port" "$pid_file" "$1" 2>&1) || status=$?
}

launch "$log"
while [ "$status" -ne 0 ]; do
    [ "$written" = "logging: $port: Address already in use" ] || fail "no start: $written"
    port=$((port + 1))
    launch "$log"
done
[ -z "$written" ] || fail "it wrote: $written"
until_true syslog_has 6 'Starting 2 processes'
asked || fail "the request was not logged"

# ---- the file is moved away --------------------------------------------------------------------

mv "$log" "$log.1"
kill -USR1 "$(cat "$pid_file")"
until_true all_have_it
before=$(lines "$log.1")
ask 1 2 3 || fail "it does not serve any more"
asked || fail "the request was not logged in the new file"
[ "$(lines "$log.1")" = "$before" ] || fail "the old file is still written to"
[ -z "$LOGGED_TO" ] || ! syslog_has 4 '.*' || fail "a worker ended"

# ---- a worker is killed ------------------------------------------------------------------------

pid=$(sed -n 's/.*pid \([0-9]*\).*/\1/p' "$log" | tail -n 1)
rm "$log"
kill -KILL "$pid"
until_true syslog_has 4 "child [01] (pid $pid) killed by signal 9, restarting in [0-9]* ms"
until_true test -e "$log" # the new one has opened it
until_true asked

# ---- what goes wrong, and the end --------------------------------------------------------------

status=0
written=$("$logging" "$port" "$scratch/other" "$log" 2>&1) || status=$?
[ "$status $written" = "1 logging: $port: Address already in use" ] || fail "$status: $written"
until_true syslog_has 3 "$port: Address already in use"

pid=$(cat "$pid_file")
kill -TERM "$pid"
until_true is_gone "$pid"
until_true syslog_has 6 'All processes have ended'
[ ! -e "$pid_file" ] || fail "the pid file is still there"
