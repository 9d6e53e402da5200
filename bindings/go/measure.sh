#!/bin/sh
# measure.sh PREFIX [NAME...] - our servers in Go beside tableflip, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# ../measure.sh says more. The frameworks come from the module proxy.
# shellcheck source=bindings/measure.sh
. "$(dirname "$0")/../measure.sh"

export GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=1
binaries=$build/bindings/measure-go
mkdir -p "$binaries"
(cd "$here" && go build -o "$binaries/server" ./examples/server)
# nomsgpack: gin without what takes half of the time.
(cd "$here/bench/frameworks" && retry go build -tags nomsgpack -o "$binaries/frameworks" .)
(cd "$here/bench/upgrades" && go build -o "$binaries/upgrades" .)
row server 'Go: examples/server' -- "$binaries/server" -p '{port}' -n '{workers}'
row gin 'Go: gin, ours' -- "$binaries/frameworks" gin
row fiber 'Go: fiber, ours' -- "$binaries/frameworks" fiber
# fiber's prefork has no row: it ends when one of its processes does, and has no reload.
# One process, which HUP upgrades. Nobody restarts it.
row tableflip 'Go: tableflip, net/http' --kills 0 --workers 1 --unsupervised -- \
    "$binaries/upgrades" tableflip
exit "$status"
