# What the scripts of the tests share. They run in the root of the tree and begin with
#
#   . tests/support/script.sh
#
# Each gets a directory $scratch, which is removed at its end. $server, if it is set, is a process
# that was started by setsid: its group is killed then. What else is to be done at the end is done
# by on_exit, if the script has a function of that name.
#
# shellcheck shell=sh
# SPDX-License-Identifier: MIT

examples=${PF_EXAMPLES_DIR:-$PWD/build/examples}
scratch=$(mktemp -d)
server=
. tests/support/verdict.sh # fail() shows $fail_shows too
found=0 # the status of a check that goes on after its first complaint

on_exit() {
    :
}

clean_up() {
    on_exit
    [ -z "$server" ] || kill -s KILL -- "-$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' HUP INT PIPE TERM

fail() {
    echo "FAILED: $*"
    [ ! -s "$fail_shows" ] || tail -n 50 "$fail_shows" | sed 's/^/   /'
    exit 1
}

complain() {
    echo "$1"
    # shellcheck disable=SC2034 # the script ends with it
    found=1
}

skip() {
    echo "skipped: $*"
    exit 77
}

# need COMMAND...
need() {
    for command; do
        command -v "$command" >/dev/null 2>&1 || skip "$command is not there"
    done
}

# expect WHAT WANTED GOT
expect() {
    [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
}

# Factor of times that a machine may need, as in tests/support/process.c.
time_scale=${TEST_TIME_SCALE:-1}

# until_true COMMAND...: for at least 30 seconds.
until_true() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt $((1500 * time_scale)) ] || fail "waited in vain for: $*"
        sleep 0.02
    done
}

# is_gone PID: it has ended. Who is its parent may not have reaped it yet.
is_gone() {
    ! kill -s 0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status"
}

# get CURL-ARGUMENT...
get() {
    curl -q --noproxy '*' --silent --show-error --globoff --max-time $((30 * time_scale)) "$@"
}

# A port that nobody had a moment ago, chosen by the kernel. Who uses it tries the next one if
# somebody has taken it meanwhile.
free_port() {
    "$examples/bind_sockets" "$scratch/port" 127.0.0.1 | sed -n 's/.* port //p' | head -n 1
    rm -f "$scratch/port"
}
