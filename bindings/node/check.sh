#!/bin/sh
# check.sh PREFIX - test this package against the libprefork that is installed there
#
# SPDX-License-Identifier: MIT
#
# The package is packed as for the registry, and installed in a clean directory, from where the tests
# use it. What it depends on comes from the registry. Ends with "N passed, N failed"; status 77 says
# that there is no Node here.
set -eu

if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo "usage: $0 PREFIX" >&2
    exit 2
fi
prefix=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
library=$(find "$prefix" -name libprefork.so.0 | head -n 1)
PREFORK_INTERFACE=$(find "$prefix" -name prefork.json | head -n 1)
if [ -z "$library" ] || [ -z "$PREFORK_INTERFACE" ]; then
    echo "$0: libprefork is not installed in $prefix" >&2
    exit 2
fi
for tool in node npm; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: $tool is not there"
        exit 77
    fi
done

LD_LIBRARY_PATH=$(dirname "$library")
export LD_LIBRARY_PATH PREFORK_INTERFACE
export npm_config_fund=false npm_config_audit=false npm_config_update_notifier=false
unset PREFORK_LIBRARY NODE_OPTIONS NODE_PATH

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$scratch/package" "$scratch/user"
(cd "$here" && tar cf - --exclude=node_modules .) | tar xf - -C "$scratch/package"

passed=0
failed=0
judge() { # what, command...
    what=$1
    shift
    if "$@" >"$scratch/output" 2>&1; then
        passed=$((passed + 1))
        echo "  ok   $what"
    else
        failed=$((failed + 1))
        echo "  FAIL $what"
        sed 's/^/       /' "$scratch/output"
    fi
}

# Without the install scripts of other packages, as npm is set up in many places.
install_package() {
    (cd "$scratch/package" && npm pack --silent --pack-destination "$scratch") &&
        cd "$scratch/user" &&
        echo '{ "private": true }' >package.json &&
        npm install --silent --ignore-scripts "$scratch"/libprefork-*.tgz prom-client@15 \
            typescript@5 @types/node@20
}

license_is_that_of_the_project() {
    [ ! -f "$here/../../LICENSE" ] || cmp "$here/LICENSE" "$here/../../LICENSE"
}

judge 'npm pack and npm install' install_package
judge 'the license is that of the project' license_is_that_of_the_project
cp -R "$scratch/package/test" "$scratch/user/test"
cd "$scratch/user"

status=0
env --default-signal timeout 600 node --test --test-concurrency=4 --test-reporter=tap test/*.test.js \
    test/*.test.mjs >"$scratch/output" 2>&1 ||
    status=$?
grep -E '^(not )?ok ' "$scratch/output" | sed 's/^ok [0-9]* - /  ok   /; s/^not ok [0-9]* - /  FAIL /'
counts=$(awk '
    $1 == "#" && ($2 == "pass" || $2 == "fail" || $2 == "cancelled") { count[$2] = $3 }
    END { print count["pass"] + 0, count["fail"] + count["cancelled"] }' "$scratch/output")
passed=$((passed + ${counts% *}))
failed=$((failed + ${counts#* }))
if [ "$status" -ne 0 ]; then
    sed 's/^/       /' "$scratch/output"
    [ "${counts#* }" -gt 0 ] || failed=$((failed + 1))
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
