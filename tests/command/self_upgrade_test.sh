#!/bin/sh
# SIGUSR2 has the command execute itself anew: the same process id, the same workers, and no request
# is lost. A file that cannot run is refused.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh
. tests/command/common.sh

need ps

upgrades=5
# A copy, which is replaced, beside a link to the library.
mkdir "$scratch/bin"
ln -s "$(dirname "$prefork")/libprefork.so.0" "$scratch/bin"
cp "$prefork" "$scratch/bin"
prefork=$scratch/bin/prefork

adopted() { # how many times
    [ "$(grep -c 'Adopted 3 processes' "$log")" -eq "$1" ]
}

# The workers have made the socket one that does not block. A supervisor that changes that lets them
# wait in accept(2) for connections that another worker has.
does_not_block() {
    for pid in $pids; do
        grep -q '^flags:.04002$' "/proc/$pid/fdinfo/3" || fail "the socket of $pid has other flags"
    done
}

start -n 3 -l 127.0.0.1:0 --ready-timeout 5 --heartbeat-timeout $((2 * time_scale)) -- "$app"
until_true are_ready 3
pids=$(workers | awk '{ print $3 }')
"$programs/load" "$(port)" 4 new >"$scratch/load" 2>&1 &
load=$!
for count in $(seq "$upgrades"); do
    cp "$prefork" "$scratch/bin/new"
    mv "$scratch/bin/new" "$prefork"
    kill -USR2 "$server"
    until_true adopted "$count"
    until_true are_ready 3
    does_not_block
done
expect workers "$pids" "$(workers | awk '{ print $3 }')"
! logged 'signal 12 does not control' || fail 'the log says that SIGUSR2 is not available'

# A new file that does not even show its version.
cp "$prefork" "$scratch/bin/good"
printf "#!/bin/sh\nexit 1\n" >"$scratch/bin/new"
chmod +x "$scratch/bin/new"
mv "$scratch/bin/new" "$prefork"
kill -USR2 "$server"
until_true logged 'no upgrade: .* --version fails'
mv "$scratch/bin/good" "$prefork"
expect 'workers after a broken file' "$pids" "$(workers | awk '{ print $3 }')"

# The heartbeats, a reload and a kill reach the supervisor as before.
kill -HUP "$server"
until_true logged 'Reloaded 3 processes'
sleep 0.5
kill -INT "$load"
wait "$load" || true
grep -Eq '^answered [1-9][0-9]* lost 0 refused 0 late 0$' "$scratch/load" ||
    fail "under load: $(cat "$scratch/load")"
until_true are_ready 3
kill -KILL "$(pid_of 1)"
until_true logged 'child 1 .* killed by signal 9, restarting'
until_true are_ready 3
stop 143

# The log file cannot be opened any more: the messages go to the one from before, and one says so.
mkdir "$scratch/logs"
start -n 3 --ready-timeout 5 --log-file "$scratch/logs/log" -- "$app"
until_true are_ready 3
mv "$scratch/logs" "$scratch/moved"
log=$scratch/moved/log
kill -USR2 "$server"
until_true adopted 1
logged 'error: .*/logs/log: No such file or directory' || fail 'nothing is said about the log file'
stop 143
