#!/bin/busybox sh
# shellcheck shell=dash disable=SC2154 # the kernel sets the variables
#
# The first process of a real kernel: the results go to the second serial line. The command line of
# the kernel sets jobs=, limit_s= and scale=.
#
# SPDX-License-Identifier: MIT
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmp /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
stty -F /dev/ttyS1 raw -echo 2>/dev/null
# The kernel gives its first process 1,024 descriptors, too few for the largest pools of the tests.
ulimit -n 4096
# The tests run in a session of their own, with nothing from the console.
setsid env -i PATH=/bin:/usr/bin:/sbin HOME=/tmp sh /t/inside.sh "$jobs" "$limit_s" "$scale" \
    </dev/null >/dev/ttyS1 2>/dev/ttyS1
sync
poweroff -f
