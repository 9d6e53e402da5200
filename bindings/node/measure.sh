#!/bin/sh
# measure.sh PREFIX [NAME...] - our example beside node:cluster and pm2, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# ../measure.sh says more. BUILD_DIR gets this package and pm2, from the registry of npm.
# shellcheck source=bindings/measure.sh
. "$(dirname "$0")/../measure.sh"

export npm_config_fund=false npm_config_audit=false
place=$build/bindings/measure-node
rm -rf "$place"
mkdir -p "$place"
(cd "$here" && npm pack --silent --pack-destination "$place" >/dev/null)
cd "$place"
echo '{ "private": true }' >package.json
npm install --silent --ignore-scripts ./libprefork-*.tgz pm2@7

# node:cluster hands a connection to a worker that was killed a moment ago, and never answers it.
hello=node_modules/libprefork/examples/hello.js
row hello 'Node: hello.js' --answer 2 -- node "$hello"
row hello-spare 'Node: hello.js, one spare' --answer 2 --pause 1.5 -- env SPARES=1 node "$hello"
row cluster 'Node: cluster' --answer 2 -- node "$here/bench/cluster.js"
row pm2 'Node: pm2, cluster mode' --answer 2 -- node "$here/bench/pm2.js"
exit "$status"
