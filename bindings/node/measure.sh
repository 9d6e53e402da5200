#!/bin/sh
# measure.sh PREFIX [OPTION...] - our example beside node:cluster and pm2, measured from outside
#
# SPDX-License-Identifier: MIT
#
# Prints rows of the table of bindings/README.md, by measure.py with these options. The library is the
# one that was installed under PREFIX. LOAD names the load program (default: that of the build).
# BUILD_DIR (default: build of the checkout) gets this package and pm2, from the registry of npm.
set -eu

[ $# -ge 1 ] || {
    echo "usage: measure.sh PREFIX [OPTION...]" >&2
    exit 2
}
prefix=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD_DIR:-$here/../../build}
LOAD=${LOAD:-$build/tests/programs/load}
LD_LIBRARY_PATH=$(dirname "$(find "$prefix" -name libprefork.so.0 | head -n 1)")
export LOAD LD_LIBRARY_PATH npm_config_fund=false npm_config_audit=false

place=$build/bindings/measure-node
rm -rf "$place"
mkdir -p "$place"
place=$(cd "$place" && pwd)
LOAD=$(cd "$(dirname "$LOAD")" && pwd)/$(basename "$LOAD")
(cd "$here" && npm pack --silent --pack-destination "$place" >/dev/null)
cd "$place"
echo '{ "private": true }' >package.json
npm install --silent --ignore-scripts ./libprefork-*.tgz pm2@7

row() { # OPTION... NAME -- COMMAND...
    python3 "$here/../measure.py" "$@" || echo "not measured: $*"
}

# node:cluster hands a connection to a worker that was killed a moment ago, and never answers it.
row --answer 2 "$@" 'Node: hello.js' -- node node_modules/libprefork/examples/hello.js
SPARES=1 row --answer 2 --pause 1.5 "$@" 'Node: hello.js, one spare' -- node node_modules/libprefork/examples/hello.js
row --answer 2 "$@" 'Node: cluster' -- node "$here/bench/cluster.js"
row --answer 2 "$@" 'Node: pm2, cluster mode' -- node "$here/bench/pm2.js"
