#!/bin/bash
# A program with a pool in an event loop does what it should: starts, restarts, goes on with its
# own work, stops on TERM and on INT, and leaves nobody behind, whatever it dies of.
#
#   tests/loops/supervise.sh SOURCE PROGRAM [PACKAGE DEBIAN-PACKAGE]
#
# PACKAGE is the library of the loop, as pkg-config knows it. Without it the test is skipped.
#
# SPDX-License-Identifier: MIT
set -eu

source=$1
program=$2
pkg_config=${PKG_CONFIG:-pkg-config}
if test $# -gt 2 && ! "$pkg_config" --exists "$3"; then
    echo "skipped: $4 is not there"
    exit 77
fi

. tests/support/script.sh

log=$scratch/log
fail_shows=$log

log_has() {
    grep -q -x -e "$1" "$log"
}

# pid_of TASK-ID: of the worker that was started last.
pid_of() {
    sed -n "s/^child $1 (pid \([0-9]*\)) started\$/\1/p" "$log" | tail -n 1
}

# at_work TASK-ID PID: by what the program tells on its socket, where it has one, or in its log.
at_work() {
    if test -n "$port"; then
        answer_has "task $1, pid $2\(, restarts [0-9]*\)\{0,1\}"
    else
        log_has "task $1, pid $2, is at work"
    fi
}

answer_has() {
    bash -c 'exec timeout 5 cat <"/dev/tcp/127.0.0.1/$1"' - "$port" >"$scratch/answer" &&
        grep -q -x -e "$1" "$scratch/answer"
}

start() {
    : >"$log"
    setsid "$program" >"$log" 2>&1 &
    server=$!
    until_true log_has 'child 1 (pid [0-9]*) started'
    port=$(sed -n 's/^.* on port //p' "$log")
    first=$(pid_of 0)
    second=$(pid_of 1)
    until_true at_work 0 "$first"
    until_true at_work 1 "$second"
}

has_ended() {
    ! kill -0 "$1" 2>/dev/null
}

# ends_with STATUS: the program ends, and with that status.
ends_with() {
    local status=0
    until_true has_ended "$server"
    wait "$server" 2>/dev/null || status=$?
    test "$status" -eq "$1" || fail "ended with status $status, not $1"
}

# ends_well: it ends with status 0, with all events told and all workers reaped.
ends_well() {
    ends_with 0
    has_ended "-$server" || fail "processes are left"
    server=
    test "$(lines 'child [01] (pid [0-9]*) exited normally')" -eq 2 || fail "ends were not told"
    test "$(tail -n 1 "$log")" = 'All processes have ended' || fail "the end was not told"
}

# No process of the group runs. Who adopts the orphans may not have reaped them yet.
nobody_runs() {
    cat /proc/[0-9]*/stat 2>/dev/null | sed 's/^.*) //' |
        awk -v group="$1" '$3 == group && $1 != "Z" { found = 1 } END { exit found }'
}

lines() {
    grep -c -x -e "$1" "$log" || true
}

restarted() {
    third=$(pid_of 1)
    test "$third" != "$second" && at_work 1 "$third"
}

# The program tells of its workers by its own timer each second, or whenever it is asked.
own_work_goes_on() {
    if grep -q 'status on port' "$log"; then
        answer_has "task 1, pid $third, restarts 1"
    else
        test "$(lines '2 workers alive')" -gt "$count"
    fi
}

# ---- built as its page says ---------------------------------------------------------------

# With prefork.pc as it will be installed, but for the directories.
cp "$BUILD_DIR/prefork.pc" "$scratch"
options=$("$pkg_config" --define-variable=includedir="$PWD/include" \
    --define-variable=libdir="$BUILD_DIR" --cflags --libs "$scratch/prefork.pc")
options="$options ${3:+$("$pkg_config" --cflags --libs "$3")}"
# shellcheck disable=SC2086 # options are words
"${CC:-gcc}" -o "$scratch/built" "$source" $options >"$log" 2>&1 || fail "$source: no program"

# ---- one worker is killed, the others are not touched -------------------------------------

start
count=$(lines '2 workers alive')
kill -KILL "$second"
until_true log_has "child 1 (pid $second) killed by signal 9, restarting in [0-9]* ms"
until_true restarted
until_true own_work_goes_on
test "$(pid_of 0)" = "$first" || fail "the other worker was restarted, too"
kill -0 "$first" || fail "the other worker is gone"
kill -TERM "$server"
ends_well
log_has 'Stopping 2 processes' || fail "the stop was not told"
test "$(lines 'child 1 (pid [0-9]*) started')" -eq 2 || fail "task 1 did not start twice"

# ---- Ctrl-C reaches the supervisor and its workers together -------------------------------

start
kill -INT -- "-$server"
ends_well

# ---- a supervisor that is killed leaves nobody --------------------------------------------

start
kill -KILL "$server"
ends_with 137
until_true nobody_runs "$server"
server=
