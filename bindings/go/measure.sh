#!/bin/sh
# measure.sh PREFIX [NAME...] - our servers in Go beside fiber's prefork, as rows of a table
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
(cd "$here/bench/frameworks" && go build -o "$binaries/frameworks" .)
row server 'Go: examples/server' -- "$binaries/server" -p '{port}' -n '{workers}'
row gin 'Go: gin, ours' -- "$binaries/frameworks" gin
row fiber 'Go: fiber, ours' -- "$binaries/frameworks" fiber
# fiber's prefork has one process for each processor, and ends when one of them does.
row fiber-prefork 'Go: fiber, its prefork' --reloads 0 --workers "$(nproc)" -- \
    "$binaries/frameworks" fiber-prefork
exit "$status"
