#!/bin/sh
# check.sh PREFIX - test these bindings against the libprefork that is installed there
#
# SPDX-License-Identifier: MIT
#
# The module is copied to another place first, as a user has it without the rest of the tree.
# Ends with "N passed, N failed"; status 77 says that there is no Go here.
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

need go
export GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=1
cp -R "$here" "$scratch/module"
cd "$scratch/module"

formatted() {
    gofmt -l . && [ -z "$(gofmt -l .)" ]
}

judge gofmt formatted
judge 'go vet' go vet ./...
judge 'go doc' go doc -all .

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
add "${counts% *}" "${counts#* }" "$status"
[ "$status" -eq 0 ] || sed 's/^/       /' "$scratch/output"
grep -E '^ *--- ' "$scratch/output" | sed 's/^/  /'
grep -A 1 -E '^ *--- SKIP' "$scratch/output" | sed 's/^/  skipped: /' || true

# Ten reloads under load. The frameworks come from the module proxy. On a busy machine a client may
# not run for a while, so fiber keeps connections for a second, all of which it waits.
loses_nothing() { # server
    env -u GOFLAGS -u GOPROXY GRACE_S=1 \
        OPTIONS='--kills 0 --pause 0 --workers 2 --most-lost 0' \
        "$here/measure.sh" "$prefix" "$1"
}
grpc_loses_nothing() {
    (cd "$here/bench/grpc" && unset GOFLAGS GOPROXY && retry go build -o "$scratch/grpc" . && "$scratch/grpc")
}
if [ -x "${LOAD:=$here/../../build/tests/programs/load}" ]; then
    export LOAD
    for server in server gin fiber; do
        judge "reloads of $server lose nothing" loses_nothing "$server"
        sed 's/^/       /' "$scratch/log"
    done
    judge 'reloads of grpc lose nothing' grpc_loses_nothing
    sed 's/^/       /' "$scratch/log"
else
    echo "  skipped: the reloads of servers, for the program load, which is not there"
fi

finish
