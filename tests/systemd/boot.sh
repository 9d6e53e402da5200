#!/bin/sh
# Boot systemd as process 1: tests/systemd/boot.sh CGROUP ROOT OVERLAY
#
# CGROUP is an empty cgroup of version 2. systemd gets namespaces of its own, of every kind but
# users; all that is mounted here goes with them. OVERLAY has the files that are added to ROOT.
# Neither is changed.
#
# SPDX-License-Identifier: MIT
set -eu

if test "$1" != --inside; then
    echo $$ >"$1/cgroup.procs"
    # Who kills unshare kills systemd, and the end of process 1 kills all that it started.
    # It goes with who started this as well, whatever ends that.
    exec setpriv --pdeathsig KILL \
        unshare --pid --fork --kill-child --mount --propagation private --cgroup --uts --ipc --net \
        "$0" --inside "$2" "$3"
fi

root=$2
overlay=$3
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o "lowerdir=$overlay:$root,upperdir=/mnt/upper,workdir=/mnt/work" overlay \
    /mnt/root
cd /mnt/root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
hostname prefork-test
mkdir -p old
pivot_root . old
cd /
umount -l old
exec env -i PATH=/usr/sbin:/usr/bin container=prefork-test TERM=dumb \
    /usr/lib/systemd/systemd --unit=prefork-test.target --show-status=no --log-target=null
