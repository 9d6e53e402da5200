#!/bin/sh
# check.sh PREFIX - test this package against the libprefork that is installed there
#
# SPDX-License-Identifier: MIT
#
# The package is packed as for the registry, and installed in a clean directory, from where the tests
# use it. What it depends on comes from the registry. Ends with "N passed, N failed"; status 77 says
# that there is no Node here.
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

need node npm
export npm_config_fund=false npm_config_audit=false npm_config_update_notifier=false
unset NODE_OPTIONS NODE_PATH

mkdir "$scratch/package" "$scratch/user"
(cd "$here" && tar cf - --exclude=node_modules .) | tar xf - -C "$scratch/package"

# Without the install scripts of other packages, as npm is set up in many places.
install_package() {
    (cd "$scratch/package" && npm pack --silent --pack-destination "$scratch") &&
        cd "$scratch/user" &&
        echo '{ "private": true }' >package.json &&
        npm install --silent --ignore-scripts "$scratch"/libprefork-*.tgz prom-client@15 \
            typescript@5 @types/node@20
}

judge 'npm pack and npm install' install_package
judge_license
cp -R "$scratch/package/test" "$scratch/user/test"
cd "$scratch/user"

status=0
env --default-signal timeout $((600 * ${TEST_TIME_SCALE:-1})) node --test --test-concurrency=4 --test-reporter=tap test/*.test.js \
    test/*.test.mjs >"$scratch/output" 2>&1 ||
    status=$?
grep -E '^(not )?ok ' "$scratch/output" | sed 's/^ok [0-9]* - /  ok   /; s/^not ok [0-9]* - /  FAIL /'
counts=$(awk '
    $1 == "#" && ($2 == "pass" || $2 == "fail" || $2 == "cancelled") { count[$2] = $3 }
    END { print count["pass"] + 0, count["fail"] + count["cancelled"] }' "$scratch/output")
add "${counts% *}" "${counts#* }" "$status"
[ "$status" -eq 0 ] || sed 's/^/       /' "$scratch/output"

finish
