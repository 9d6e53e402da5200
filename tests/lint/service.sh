#!/bin/sh
# systemd finds no fault with the example unit, and the unit leaves the pool time to stop.
#
# SPDX-License-Identifier: MIT
set -eu

unit=man/examples/prefork.service
command -v systemd-analyze >/dev/null || {
    echo "skipped: systemd-analyze is not there"
    exit 77
}

. tests/support/script.sh

# What it is to start is not installed here.
sed "s|^ExecStart=[^ ]*|ExecStart=$(command -v true)|" "$unit" >"$scratch/prefork.service"
systemd-analyze verify --man=no "$scratch/prefork.service" >"$scratch/output" 2>&1 || found=1
# Warnings do not change its status. Those of the system's own units are not ours.
if grep "prefork[.]service" "$scratch/output"; then
    found=1
fi

value() {
    sed -n "s/^$1=//p" "$unit"
}
test "$(value Type)" = notify || complain "Type is not notify"
test "$(value KillMode)" = mixed || complain "workers get signals that the supervisor is to send"
test "$(value TimeoutStopSec)" -gt 10 || complain "TimeoutStopSec leaves less than the pool takes"
# A small system has no procps, and kill is in its shell.
! grep -Eq '^Exec[A-Za-z]*=[^ ]*/(kill|pkill|killall)( |$)' "$unit" || complain "procps is needed"

exit "$found"
