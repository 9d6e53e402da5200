#!/bin/sh
# jdk.sh - print the home of a JDK 22 or later: JAVA_HOME, that of javac, or one of /usr/lib/jvm
#
# SPDX-License-Identifier: MIT
set -u

version_of() { # home
    sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release" 2>/dev/null
}

javac=$(command -v javac 2>/dev/null) && javac=$(readlink -f "$javac")
for home in "${JAVA_HOME:-}" "${javac%/bin/javac}" /usr/lib/jvm/*; do
    if [ -x "$home/bin/javac" ] && [ "$(version_of "$home")" -ge 22 ] 2>/dev/null; then
        echo "$home"
        exit 0
    fi
done
exit 1
