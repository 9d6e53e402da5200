#!/bin/sh
# Services under a real systemd: tests/systemd/run.sh SUITE
#
# The machine is made by machine.sh, the checks are in checks_*.sh: each function of the name
# check_... there is one. TEST= names some of them.
#
# SPDX-License-Identifier: MIT
set -eu

suite=$1
build=${BUILD_DIR:-$PWD/build}
here=tests/systemd
passed=0
failed=0

tests/support/root.sh "$build/systemd/$suite" "$suite" systemd
for tool in nsenter unshare curl pgrep; do
    command -v "$tool" >/dev/null 2>&1 || {
        echo "skipped: $tool is not there"
        exit 77
    }
done

. tests/systemd/machine.sh
. tests/systemd/units.sh
for file in "$here"/checks_*.sh; do
    # shellcheck source=/dev/null # all of them
    . "$file"
done

# For a check of what older versions of systemd do not know.
is_older_than() { # version
    test "$systemd_version" -lt "$1" || return 1
    echo "systemd $systemd_version is older than $1"
}

run_check() { # function
    start=$(now_ms)
    result=ok
    status=0
    "$1" >"$scratch/check.log" 2>&1 || status=$?
    test "$status" -eq 0 || result=FAILED
    test "$status" -ne 77 || result=skipped
    printf '%-7s %s (%d ms)\n' "$result" "$(echo "${1#check_}" | tr _ ' ')" $(($(now_ms) - start))
    if test "$result" = ok; then
        passed=$((passed + 1))
    elif test "$result" = skipped; then
        sed 's/^/   skipped: /' "$scratch/check.log"
    else
        failed=$((failed + 1))
        sed 's/^/   /' "$scratch/check.log"
        inside journalctl --no-pager --quiet -o cat -n 30 2>/dev/null | sed 's/^/   | /' || true
    fi
    inside sh -c 'systemctl stop "t-*" prefork.service; systemctl reset-failed' \
        >/dev/null 2>&1 || true
}

started=$(now_ms)
install_all
start=$(now_ms)
boot "$build/systemd/$suite" || {
    echo "FAILED systemd boots"
    echo "0 passed, 1 failed"
    exit 1
}
systemd_version=$(inside systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
echo "systemd $systemd_version of $suite, booted in $(($(now_ms) - start)) ms"
inside ldconfig

checks=$(sed -n 's/^\(check_[a-z0-9_]*\)() {.*/\1/p' "$here"/checks_*.sh)
for check in $checks; do
    test -z "${TEST-}" || case " $TEST " in *" ${check#check_} "*) ;; *) continue ;; esac
    run_check "$check"
done

# The end of the machine is a check as well.
held=$manager
held_group=$cgroup
if shut_down && ! kill -s 0 "$held" 2>/dev/null && ! test -d "$held_group" &&
    ! grep -q "$scratch" /proc/self/mounts; then
    passed=$((passed + 1))
    echo "ok      machine leaves no process cgroup or mount"
else
    failed=$((failed + 1))
    echo "FAILED  machine leaves no process cgroup or mount"
fi
echo "$(($(now_ms) - started)) ms"
echo "$passed passed, $failed failed"
test "$failed" -eq 0
