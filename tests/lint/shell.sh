#!/bin/sh
# No script has a fault that shellcheck knows, whether its name ends in .sh or not. Programs
# of awk stand in single quotes on purpose (SC2016). What a script sources is read with it.
#
# SPDX-License-Identifier: MIT
set -eu

find . \( -path ./.git -o -path ./build \) -prune -o -type f -print |
    while read -r file; do
        head -n 1 "$file" | grep -aEq '^#!.*[/ ](sh|bash)$' && echo "$file"
    done | sort | xargs shellcheck --external-sources --exclude=SC2016
