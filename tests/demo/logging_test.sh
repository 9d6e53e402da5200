#!/bin/sh
# The example logging as a daemon: events go to syslog, with their levels; requests go to a file,
# which is opened again after SIGUSR1, and by each new worker; what goes wrong before it serves is
# told on standard error too.
#
# SPDX-License-Identifier: MIT
set -eu

command -v curl >/dev/null || {
    echo "skipped: curl is not there"
    exit 77
}

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

logging=${PF_EXAMPLES_DIR:-build/examples}/logging
directory=$(mktemp -d)
pid_file=$directory/pid
log=$directory/log
port=$((30000 + $$ % 10000))

fail() {
    echo "FAILED: $*"
    [ -z "$LOGGED_TO" ] || sed 's/^/   syslog: /' "$LOGGED_TO"
    exit 1
}

clean_up() {
    [ ! -s "$pid_file" ] || kill -s KILL "$(cat "$pid_file")" 2>/dev/null || true
    rm -rf "$directory"
}
trap clean_up EXIT
trap 'exit 130' HUP INT PIPE TERM

until_true() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 500 ] || fail "waited in vain for: $*"
        sleep 0.02
    done
}

# syslog_has LEVEL PATTERN: from the daemon, that is facility 3.
syslog_has() {
    [ -z "$LOGGED_TO" ] || grep -q "^<$((3 * 8 + $1))>.* logging\[[0-9]*\]: $2\$" "$LOGGED_TO"
}

ask() { # once or more often
    for _ in "$@"; do
        said=$(curl -q --noproxy '*' -s --max-time 5 "telnet://127.0.0.1:$port" </dev/null)
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
is_gone() {
    ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status"
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
syslog_has 6 'Starting 2 processes' || fail "the start was not logged"
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
written=$("$logging" "$port" "$directory/other" "$log" 2>&1) || status=$?
[ "$status $written" = "1 logging: $port: Address already in use" ] || fail "$status: $written"
syslog_has 3 "$port: Address already in use" || fail "the failure was not logged"

pid=$(cat "$pid_file")
kill -TERM "$pid"
until_true is_gone "$pid"
until_true syslog_has 6 'All processes have ended'
[ ! -e "$pid_file" ] || fail "the pid file is still there"
