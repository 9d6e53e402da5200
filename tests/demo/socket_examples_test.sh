#!/bin/sh
# The examples with sockets do what their heads say: bind_sockets tells its addresses, accept
# greets from all of its workers, listen_fds takes over what it is given.
#
# SPDX-License-Identifier: MIT
set -eu

examples=${PF_EXAMPLES_DIR:-build/examples}
directory=$(mktemp -d)
server=
port=$((20000 + $$ % 10000))

fail() {
    echo "FAILED: $*"
    cat "$directory"/*.log 2>/dev/null || true
    exit 1
}

clean_up() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$directory"
}
trap clean_up EXIT
trap 'exit 130' HUP INT PIPE TERM

command -v curl >/dev/null || {
    echo "skipped: curl is not there"
    exit 77
}

# hear: what the server says to who connects.
hear() {
    curl -q --noproxy '*' --silent --max-time 5 "telnet://127.0.0.1:$port" </dev/null
}

# start COMMAND...: on a port that nobody else has.
start() {
    "$@" >"$directory/server.log" 2>&1 &
    server=$!
    tries=0
    until hear >"$directory/heard"; do
        tries=$((tries + 1))
        [ "$tries" -lt 250 ] || fail "$* does not answer"
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
    "$examples/bind_sockets" "$directory/socket" 127.0.0.1 >"$directory/out" ||
        fail "bind_sockets: $?"
    sed -n 1p "$directory/out" | grep -Eqx '127\.0\.0\.1 port [1-9][0-9]*' ||
        fail "round $round: $(cat "$directory/out")"
    tail -n 1 "$directory/out" | grep -qxF "$directory/socket" || fail "$(cat "$directory/out")"
    [ "$(sed -n 's/.* port //p' "$directory/out" | uniq | wc -l)" = 1 ] || fail "several ports"
    test -S "$directory/socket" || fail "no socket"
    [ "$(stat -c %a "$directory/socket")" = 660 ] || fail "mode $(stat -c %a "$directory/socket")"
done
echo precious >"$directory/file"
if "$examples/bind_sockets" "$directory/file" 127.0.0.1 >/dev/null 2>"$directory/error"; then
    fail "a file was replaced"
fi
grep -q 'File exists' "$directory/error" || fail "$(cat "$directory/error")"
grep -qx precious "$directory/file" || fail "a file was changed"
if "$examples/bind_sockets" "$directory/socket" name.invalid >/dev/null 2>"$directory/error"; then
    fail "name.invalid has an address"
fi
grep -qx 'bind_sockets: name.invalid: Host name not found' "$directory/error" ||
    fail "$(cat "$directory/error")"

# ---- accept ------------------------------------------------------------------------------

until start "$examples/accept" "$port"; do
    grep -q 'Address already in use' "$directory/server.log" || fail "accept did not start"
    port=$((port + 1))
done
count=0
while [ "$count" -lt 40 ]; do
    hear >>"$directory/heard"
    count=$((count + 1))
done
grep -vx 'hello from worker [0-3]' "$directory/heard" && fail "an answer that is none"
[ "$(sort -u "$directory/heard" | wc -l)" = 4 ] ||
    fail "not all workers were heard: $(sort "$directory/heard" | uniq -c)"
ends

# ---- listen_fds --------------------------------------------------------------------------

if command -v systemd-socket-activate >/dev/null; then
    until start systemd-socket-activate -l "127.0.0.1:$port" -l "$directory/other" \
        "$examples/listen_fds"; do
        grep -q 'Address already in use' "$directory/server.log" || fail "listen_fds: no start"
        port=$((port + 1))
    done
    [ "$(cat "$directory/heard")" = 'socket 1 of 2' ] || fail "heard: $(cat "$directory/heard")"
    ends
else
    echo "not tried: systemd-socket-activate is not there"
fi
