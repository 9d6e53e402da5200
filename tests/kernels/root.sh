#!/bin/bash
# Make the files of the other systems: tests/kernels/root.sh DIRECTORY PROGRAM...
#
# Busybox, the few programs that tests execute, the tests, and the libraries of all of them. The
# tests find libprefork from where they are, as in the build.
#
# SPDX-License-Identifier: MIT
set -euo pipefail

root=$1
shift
rm -rf "$root"
mkdir -p "$root"/{bin,usr/bin,sbin,proc,sys,dev,tmp,var/tmp,run,etc,t/tests/programs}
chmod 1777 "$root/tmp" "$root/var/tmp"
busybox=$(command -v busybox)
cp "$busybox" "$root/bin/busybox"
for name in $("$busybox" --list | grep -vx busybox); do ln -s busybox "$root/bin/$name"; done
own=(sh true sleep env test)
for name in "${own[@]}"; do
    rm -f "$root/bin/$name"
    cp -L "$(type -P "$name")" "$root/bin/$name"
done
for name in env prlimit taskset setpriv flock unshare; do
    cp -L "$(type -P "$name")" "$root/usr/bin/$name"
done
cp "$root/bin/test" "$root/usr/bin/test"
echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo 'hosts: files' >"$root/etc/nsswitch.conf"
# A name may have several lines in /etc/hosts, as Debian has it.
echo 'multi on' >"$root/etc/host.conf"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
for file in "$BUILD_DIR"/libprefork.so*; do cp -P "$file" "$root/t/"; done
find "$BUILD_DIR/tests/programs" -maxdepth 1 -type f -perm -u+x \
    -exec cp -t "$root/t/tests/programs" {} +
for program; do
    mkdir -p "$root/t/tests/$(dirname "$program")"
    cp "$BUILD_DIR/tests/$program" "$root/t/tests/$program"
done
# ldd fails for programs that are static.
{ find "$root/bin" "$root/usr/bin" "$root/t/tests" -type f -exec ldd {} + 2>/dev/null ||
    true; } |
    sed -n 's|.*=> \(/[^ ]*\) (.*|\1|p; s|^[[:space:]]*\(/[^ ]*ld-[^ ]*\) (.*|\1|p' | sort -u |
    while read -r library; do
        case $library in
        */libprefork.so*) ;;
        *) mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library" ;;
        esac
    done
# A second name space of libraries finds the loader among them, by its name.
for loader in "$root"/lib64/ld-*; do
    for library in "$root"/lib/*/libc.so.6; do
        name=$(dirname "$library")/$(basename "$loader")
        test -e "$name" || cp "$loader" "$name"
    done
done
cp tests/kernels/inside.sh "$root/t/inside.sh"
