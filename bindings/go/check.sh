#!/bin/sh
# check.sh PREFIX - test these bindings against the libprefork that is installed there
#
# SPDX-License-Identifier: MIT
#
# The module is copied to another place first, as a user has it without the rest of the tree.
# Ends with "N passed, N failed"; status 77 says that there is no Go here.
set -eu

if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo "usage: $0 PREFIX" >&2
    exit 2
fi
prefix=$(cd "$1" && pwd)
description=$(find "$prefix" -name prefork.pc | head -n 1)
library=$(find "$prefix" -name libprefork.so.0 | head -n 1)
if [ -z "$description" ] || [ -z "$library" ]; then
    echo "$0: libprefork is not installed in $prefix" >&2
    exit 2
fi
if ! command -v go >/dev/null; then
    echo "skipped: Go is not there"
    exit 77
fi

PKG_CONFIG_PATH=$(dirname "$description")
LD_LIBRARY_PATH=$(dirname "$library")
export PKG_CONFIG_PATH LD_LIBRARY_PATH
export GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cp -R "$(dirname "$0")" "$scratch/module"
cd "$scratch/module"

passed=0
failed=0
verdict() { # what, status
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "  ok   $1"
    else
        failed=$((failed + 1))
        echo "  FAIL $1"
    fi
}

status=0
gofmt -l . >"$scratch/output" || status=1
[ ! -s "$scratch/output" ] || status=1
sed 's/^/       /' "$scratch/output"
verdict gofmt "$status"

status=0
go vet ./... || status=1
verdict 'go vet' "$status"

status=0
go doc -all . >"$scratch/output" || status=1
verdict 'go doc' "$status"

# The race detector needs a C library that supports it.
status=0
go test -race -timeout 20m -v ./... >"$scratch/output" 2>&1 || status=$?
# Cases that have cases of their own are not counted.
counts=$(awk '
    $1 == "---" && $2 ~ /^(PASS|FAIL|SKIP):$/ { result[$3] = $2 }
    END {
        for (name in result) {
            parent = name
            while (sub(/\/[^\/]*$/, "", parent)) has_cases[parent] = 1
        }
        for (name in result) {
            if (result[name] == "PASS:" && !(name in has_cases)) passed++
            if (result[name] == "FAIL:" && !(name in has_cases)) failed++
        }
        print passed + 0, failed + 0
    }' "$scratch/output")
passed=$((passed + ${counts% *}))
failed=$((failed + ${counts#* }))
if [ "$status" -ne 0 ]; then
    sed 's/^/       /' "$scratch/output"
    # It did not build, or ended before its time.
    [ "${counts#* }" -gt 0 ] || failed=$((failed + 1))
fi
grep -E '^ *--- ' "$scratch/output" | sed 's/^/  /'
grep -A 1 -E '^ *--- SKIP' "$scratch/output" | sed 's/^/  skipped: /' || true

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
