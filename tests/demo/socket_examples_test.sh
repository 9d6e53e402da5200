#!/bin/sh
# The examples with sockets do what their heads say: bind_sockets tells its addresses, accept
# greets from all of its workers, listen_fds takes over what it is given.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

need curl
port=$(free_port)
fail_shows=$scratch/server.log

# hear: what the server says to who connects.
hear() {
    get "telnet://127.0.0.1:$port" </dev/null
}

# start COMMAND...: on a port that nobody else has.
start() {
    setsid "$@" >"$fail_shows" 2>&1 &
    server=$!
    tries=0
    until hear >"$scratch/heard"; do
        tries=$((tries + 1))
        [ "$tries" -lt $((250 * time_scale)) ] || fail "$* does not answer"
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.02
    done
}

# ends: by the signal that it is sent.
ends() {
    status=0
    kill -s TERM "$server"
    wait "$server" || status=$?
    server=
    [ "$status" = 143 ] || fail "the server ended with $status"
}

# ---- bind_sockets ------------------------------------------------------------------------

for round in 1 2; do # the second finds what the first has left
    "$examples/bind_sockets" "$scratch/socket" 127.0.0.1 >"$scratch/out" ||
        fail "bind_sockets: $?"
    sed -n 1p "$scratch/out" | grep -Eqx '127\.0\.0\.1 port [1-9][0-9]*' ||
        fail "round $round: $(cat "$scratch/out")"
    tail -n 1 "$scratch/out" | grep -qxF "$scratch/socket" || fail "$(cat "$scratch/out")"
    [ "$(sed -n 's/.* port //p' "$scratch/out" | uniq | wc -l)" = 1 ] || fail "several ports"
    test -S "$scratch/socket" || fail "no socket"
    [ "$(stat -c %a "$scratch/socket")" = 660 ] || fail "mode $(stat -c %a "$scratch/socket")"
done
echo precious >"$scratch/file"
if "$examples/bind_sockets" "$scratch/file" 127.0.0.1 >/dev/null 2>"$scratch/error"; then
    fail "a file was replaced"
fi
grep -q 'File exists' "$scratch/error" || fail "$(cat "$scratch/error")"
grep -qx precious "$scratch/file" || fail "a file was changed"

# Without the name servers of the machine, which may say anything, at any time.
echo 'hosts: files' >"$scratch/nsswitch.conf"
without_servers() {
    unshare --map-root-user --mount --net sh -c \
        'mount --bind "$0" /etc/nsswitch.conf && exec "$@"' "$scratch/nsswitch.conf" "$@"
}
if without_servers true 2>/dev/null; then
    if without_servers "$examples/bind_sockets" "$scratch/socket" name.invalid >/dev/null \
        2>"$scratch/error"; then
        fail "name.invalid has an address"
    fi
    grep -qx 'bind_sockets: name.invalid: Host name not found' "$scratch/error" ||
        fail "$(cat "$scratch/error")"
else
    echo "not tried: a name without an address, which needs namespaces"
fi

# ---- accept ------------------------------------------------------------------------------

until start "$examples/accept" "$port"; do
    grep -q 'Address already in use' "$fail_shows" || fail "accept did not start"
    port=$((port + 1))
done
count=0
while [ "$count" -lt 40 ]; do
    hear >>"$scratch/heard"
    count=$((count + 1))
done
grep -vx 'hello from worker [0-3]' "$scratch/heard" && fail "an answer that is none"
[ "$(sort -u "$scratch/heard" | wc -l)" = 4 ] ||
    fail "not all workers were heard: $(sort "$scratch/heard" | uniq -c)"
ends

# ---- listen_fds --------------------------------------------------------------------------

if command -v systemd-socket-activate >/dev/null; then
    until start systemd-socket-activate -l "127.0.0.1:$port" -l "$scratch/other" \
        "$examples/listen_fds"; do
        grep -q 'Address already in use' "$fail_shows" || fail "listen_fds: no start"
        port=$((port + 1))
    done
    [ "$(cat "$scratch/heard")" = 'socket 1 of 2' ] || fail "heard: $(cat "$scratch/heard")"
    ends
else
    echo "not tried: systemd-socket-activate is not there"
fi
