#!/bin/sh
# How the command prefork ends, and what it says: limits, time-outs, wrong options, addresses that
# others have.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh
. tests/command/common.sh

need curl ps

# ends STATUS PATTERN ARGUMENT...: it does by itself, and says so.
ends() {
    wanted=$1
    pattern=$2
    shift 2
    status=0
    timeout 60 "$prefork" "$@" >"$log" 2>&1 || status=$?
    expect "status of prefork $*" "$wanted" "$status"
    grep -q -e "$pattern" "$log" || fail "prefork $*: does not say: $pattern"
}

# ---- wrong options ---------------------------------------------------------------------------

ends 2 'a program is missing'
ends 2 'a program is missing' -n 2 --
ends 2 'unrecognized option .--nonsense' --nonsense
ends 2 'not a number from 1 on: 0' -n 0 true
ends 2 'not a number from 1 on: 2x' --workers 2x true
ends 2 'not a number from 0 on: 99999999999' --max-restarts 99999999999 true
ends 2 '--workers: Invalid argument' -n 65537 true
ends 2 'not a time in seconds: soon' --stop-timeout soon true
ends 2 'not a time in seconds: -1' --ready-timeout -1 true
ends 2 'not a signal: NONE' --stop-signal NONE true
ends 2 'not one of the choices: sometimes' --restart sometimes true
ends 2 'two times with a comma between them are needed: 1' --backoff 1 true
ends 2 'not PORT, HOST:PORT, \[IPV6\]:PORT or unix:PATH: 65536' -l 65536 true
ends 2 'an IPv6 address needs brackets: ::1:80' -l ::1:80 true
ends 2 'a path is missing: unix:' -l unix: true
ends 2 '--pid-file needs --daemon' --pid-file "$scratch/pid" true
ends 2 '--spares needs --native' --spares 2 true
ends 2 'a name has letters' --name 'a"b' true
for wrong in '-l 65536' '--metrics localhost:0' '-n 65537' '--backoff 5,1'; do
    # shellcheck disable=SC2086 # an option and its value
    ends 2 prefork --daemon --log-file "$scratch/nothing" $wrong true
done
! test -e "$scratch/nothing" || fail 'wrong arguments make a log file'
ends 2 'status needs one SOCKET' status
ends 2 'needs an IP address, not a name' --metrics localhost:0 true
ends 1 'nowhere: No such file' status "$scratch/nowhere"
ends 127 'nonsuch: No such file or directory' -- nonsuch
ends 127 '/nonsuch: No such file or directory' -- /nonsuch
ends 126 "version: Permission denied" -- "$scratch/version"
ends 126 'Permission denied' -- "$scratch"
echo nonsense >"$scratch/nonsense"
chmod +x "$scratch/nonsense"
ends 126 'the pool has failed: Exec format error' -- "$scratch/nonsense"
printf '#!/nonsuch/interpreter\n' >"$scratch/script"
chmod +x "$scratch/script"
ends 127 'the pool has failed: No such file or directory' -- "$scratch/script"
# PATH is searched as a shell does: a directory of the name is not the program.
mkdir -p "$scratch/first/true"
PATH=$scratch/first:$PATH ends 0 'child 0 .* exited normally' -n 1 -- true
# An empty part at its end is the current directory.
printf '#!/bin/sh\n' >"$scratch/here"
chmod +x "$scratch/here"
(cd "$scratch" && PATH=$PATH: ends 0 'child 0 .* exited normally' -n 1 -- here)
ends 0 '^usage: prefork ' --help
[ "$(wc -l <"$log")" -le 24 ] || fail 'the help has more than 24 lines'
! grep -q '.\{80\}' "$log" || fail 'the help has lines of more than 79 columns'
ends 0 '^prefork [0-9.]*$' --version

# ---- sockets as systemd passes them -----------------------------------------------------------

# shellcheck disable=SC2016 # the worker expands it
show='echo $(($$ - LISTEN_PID)) $LISTEN_FDS; grep flags: /proc/self/fdinfo/3; ls -l /proc/$$/fd/4'
ends 0 '^0 2$' -n 1 -l 127.0.0.1:0 -l "unix:$scratch/socket" -- sh -c "$show"
logged '^flags:.02$' || fail 'a socket does not block'
logged 'socket:' || fail 'there is no second socket'
ends 0 '^flags:.04002$' -n 1 --native -l 127.0.0.1:0 -l "unix:$scratch/socket" -- sh -c "$show"
# Those that prefork itself got stand before its own.
ends 0 '^0 3$' -n 1 -l 127.0.0.1:0 -- "$prefork" -n 1 -l 127.0.0.1:0 -l 127.0.0.1:0 -- sh -c "$show"

# ---- limits ----------------------------------------------------------------------------------

ends 0 'child 1 .* exited normally' -n 2 -- true
ends 1 'Too many child restarts, giving up' -n 1 --max-restarts 2 --boot-limit 0 \
    --backoff 0,0 -- sh -c 'exit 3'
expect restarts 3 "$(grep -c 'exited with status 3' "$log")"
ends 1 'Too many child restarts, giving up' -n 2 --restart-window 3,10 --boot-limit 0 \
    --backoff 0,0 --restart always -- true
# A program that cannot start.
ends 1 'the pool has failed' -n 1 --boot-limit 3 --min-uptime 60 --backoff 0.01,0.01 -- \
    sh -c 'exit 1'
expect starts 3 "$(grep -c 'started$' "$log")"
ends 1 'the pool has failed' -n 1 --boot-limit 2 --backoff 0,0 --ready-timeout 0.1 -- \
    "$programs/foreign_server" silent
ends 0 'exited with status 3' -n 1 --restart never -- sh -c 'exit 3'

# ---- a program that uses the library ---------------------------------------------------------

# A spare takes the slot of a worker that ends.
start -n 1 --native --spares 1 -l 127.0.0.1:0 --ready-timeout 10 -- "$examples/spares" 0
until_true are_ready 1
first=$(pid_of 0)
has_spare() {
    get --unix-socket "$monitor" http://localhost/metrics | grep -q '^prefork_spares{pool=""} 1$'
}
until_true has_spare
spare=$(sed -n 's/.*spare child (pid \([0-9]*\)) started.*/\1/p' "$log" | head -n 1)
kill -KILL "$first"
is_taken_over() {
    [ "$(pid_of 0)" = "$spare" ]
}
until_true is_taken_over
stop 143

# ---- as process 1 of a container -------------------------------------------------------------

# The worker waits until process 1 has no other child, not even one that has ended.
# shellcheck disable=SC2016 # the worker expands it
alone='for count in 1 2 3; do (sleep 0.1 &); done
    until [ "$(ps -o pid= --ppid 1 | wc -l)" -eq 1 ]; do sleep 0.02; done'
if unshare --map-root-user --pid --fork --mount-proc true 2>/dev/null; then
    timeout 30 unshare --map-root-user --pid --fork --kill-child --mount-proc \
        "$prefork" -n 1 -- sh -c "$alone" >"$log" 2>&1 || fail 'orphans are left'
fi

# ---- no directory for the notify socket -------------------------------------------------------

# shellcheck disable=SC2016 # the inner shell expands it
locked='for place in /run /tmp /dev/shm; do mount -t tmpfs -o mode=0 none "$place" || exit; done
    exec setpriv --inh-caps=-all --bounding-set=-all "$@"'
# locked COMMAND...
locked() {
    timeout 30 env -u TMPDIR -u XDG_RUNTIME_DIR unshare --map-root-user --mount \
        sh -c "$locked" sh "$@"
}
if locked "$prefork" --version >/dev/null 2>&1; then
    status=0
    locked "$prefork" -n 1 --ready-timeout 5 -- true >"$log" 2>&1 || status=$?
    expect 'status without a notify socket' 1 "$status"
    logged 'the pool has failed: Permission denied' || fail 'the notify socket was bound'
fi

# ---- nobody answers --------------------------------------------------------------------------

# The queue of the socket has room for two.
start -n 1 --min-uptime 0 --backlog 1 -l "unix:$scratch/silent" -- sleep 1000
until_true are_ready 1
asking=
for _ in 1 2 3; do
    timeout 30 "$prefork" status "$scratch/silent" >>"$scratch/answers" 2>&1 &
    asking="$asking $!"
done
for process in $asking; do
    status=0
    wait "$process" || status=$?
    expect 'status without an answer' 1 "$status"
done
stop 143

# ---- a worker that does not stop -------------------------------------------------------------

start -n 1 --stop-timeout 0.2 --ready-timeout 5 -- "$programs/foreign_server" stubborn
until_true are_ready 1
status=0
"$prefork" status "$monitor" >/dev/full || status=$?
expect 'status on a full device' 1 "$status"
status=0
timeout 30 "$prefork" top "$monitor" >/dev/full || status=$?
expect 'status of top on a full device' 1 "$status"
stop 143
logged 'killed by signal 9' || fail 'the worker that ignores TERM was not killed'
start -n 1 --stop-signal USR1 --stop-timeout 5 --ready-timeout 5 -- sh -c \
    'trap "echo asked; exit 0" USR1; echo trapped; while :; do sleep 0.02; done'
until_true logged '^trapped$'
stop 143
logged '^asked$' || fail 'the worker did not get its stop signal'
# A child of a worker is not left behind.
start -n 1 --ready-timeout 5 -- "$programs/foreign_server" parent
until_true are_ready 1
stop 143

# ---- addresses that others have --------------------------------------------------------------

start -n 1 -l 127.0.0.1:0 -l "unix:$scratch/socket" -- "$app"
until_true are_ready 1
busy=$(port)
mv "$log" "$scratch/first"
ends 1 "127.0.0.1:$busy: Address already in use" -l "127.0.0.1:$busy" -- "$app"
ends 1 "unix:$scratch/socket: Address already in use" -l "unix:$scratch/socket" -- "$app"
ends 1 "unix:$monitor: Address already in use" --metrics "unix:$monitor" -- "$app"
ends 1 "nowhere.invalid:80: " -l nowhere.invalid:80 -- "$app"
stop 143
