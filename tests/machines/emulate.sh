#!/bin/sh
# Run a command whose programs are of another machine: tests/machines/emulate.sh MACHINE COMMAND...
#
# The kernel starts such programs by qemu-user, also those that a program executes: the command runs
# in a user namespace whose binfmt_misc has one entry (Linux 6.7), and nothing changes outside.
# ADOPTS_ORPHANS says that the command adopts orphans, which qemu-user cannot be asked for.
#
# SPDX-License-Identifier: MIT
set -eu

machine=$1
shift
case $machine in
aarch64 | riscv64 | s390x) ;;
*) exec "$@" ;;
esac
entry=/usr/lib/binfmt.d/qemu-$machine.conf
test -r "$entry" || { echo 'skipped: qemu-user-static is not there' && exit 77; }
# shellcheck disable=SC2016 # of the inner shell
exec unshare --user --map-root-user --mount sh -c '
    place=/proc/sys/fs/binfmt_misc
    mount -t binfmt_misc none $place && cat "$0" >$place/register || {
        echo "skipped: no binfmt_misc of a user namespace"
        exit 77
    }
    exec "$@"' "$entry" "$@"
