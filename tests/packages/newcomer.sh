#!/bin/sh
# The first minutes with the library, from nothing: in a minimal root of each release of Debian the
# commands of the README are executed as they stand there, and each is timed.
#
#   tests/packages/newcomer.sh DIRECTORY SUITE...
#
# What is uninstalled leaves nothing. The transcripts of the demo are in DIRECTORY. With CHECK=1 the
# README's `make check` is among the commands. Ends with "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh
. tests/support/debian.sh
. tests/packages/judge.sh
. tests/packages/minimal_root.sh

need debootstrap unshare chroot git
[ "$(id -u)" -eq 0 ] || skip 'the right to make a root'
mkdir -p "$1"
directory=$(cd "$1" && pwd)
shift
root=
suite=
fail_shows=$directory/log

on_exit() {
    test -z "$root" || rm -rf "$root"
}

# The command of the README that begins so: what it says is what is tried.
command_of_readme() { # beginning
    line=$(grep -F -- "$1" README.md | head -n 1 | sed 's/.*`\(.*\)`.*/\1/; s/  *#.*//; s/^ *//')
    test -n "$line" || fail "the README has no command: $1"
    echo "${line#sudo }"
}

# timed COMMAND: one of the README, in the clone. The line in quotes is what is executed.
timed() {
    start=$(date +%s%3N)
    judge "$suite: $1" inside timeout "${2:-600}" env -u MAKEFLAGS HOME=/root \
        sh -c "cd /root/libprefork && $1" || return 1
    spent_ms=$(($(date +%s%3N) - start))
    printf '       %d.%03d s\n' $((spent_ms / 1000)) $((spent_ms % 1000))
}

# Directories of all programs, such as that of pkg-config, may stay.
nothing_is_left() {
    list_files "$directory/after"
    ! diff "$directory/before" "$directory/after" | grep '^[<>]' | while read -r _ name; do
        case ${name##*/} in
        *prefork*) echo "$name" ;;
        *) test -d "$name" || echo "$name" ;;
        esac
    done | grep .
}

try() { # suite
    on_exit
    suite=$1
    root=$(mktemp -d "$directory/root-$1.XXXXXX")
    judge "$1: a minimal root" make_root "$1" || return 0
    mkdir "$root/root/libprefork"
    timed "$(command_of_readme 'apt-get install -y')" || return 0
    git clone -q --bare . "$root/tmp/libprefork.git"
    judge "$1: git clone" inside git clone -q /tmp/libprefork.git /root/libprefork || return 0
    timed "$(command_of_readme 'make demo')" || return 0
    cp "$directory/log" "$directory/demo-$1.txt"
    timed make || return 0
    list_files "$directory/before"
    timed "$(command_of_readme 'make install prefix=/usr/local')" || return 0
    timed "$(command_of_readme 'ldconfig')" || return 0
    # The first program, from the page.
    sed -n '/^```c$/,/^```$/p' README.md | sed '/^```/d' >"$root/tmp/minimal.c"
    timed "cd /tmp && $(command_of_readme 'cc -o minimal') && ./minimal | grep -c '^worker'" || true
    cp lib/packaging/debian/tests/server "$root/tmp"
    timed 'EXAMPLES=/root/libprefork/man/examples sh /tmp/server' || true
    timed 'make uninstall prefix=/usr/local && ldconfig' || true
    judge "$1: nothing is left" nothing_is_left || true
    test -z "${CHECK:-}" || timed "$(command_of_readme 'make check')" 3600 || true
    rm -rf "$root"
    root=
}

for release; do
    try "$release"
done
echo "$passed passed, $failed failed"
test "$failed" -eq 0
