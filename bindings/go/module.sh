#!/bin/sh
# module.sh PATH - give the module another path: in go.mod and in all imports
#
# SPDX-License-Identifier: MIT
#
# The path is REPOSITORY/bindings/go, where REPOSITORY is the address of the repository without
# https://, such as example.org/libprefork. Versions are tags bindings/go/vX.Y.Z.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 PATH" >&2
    exit 2
fi
cd "$(dirname "$0")"
old=$(sed -n 's/^module //p' go.mod)
grep -rlF "$old" . | while IFS= read -r file; do
    awk -v old="$old" -v new="$1" '{
        rest = $0
        line = ""
        while ((at = index(rest, old)) > 0) {
            line = line substr(rest, 1, at - 1) new
            rest = substr(rest, at + length(old))
        }
        print line rest
    }' "$file" >"$file.new"
    cat "$file.new" >"$file"
    rm "$file.new"
done
