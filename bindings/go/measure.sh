#!/bin/sh
# measure.sh PREFIX [NAME...] - our servers in Go beside fiber's prefork, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# As ../python/measure.sh. The frameworks come from the module proxy.
set -eu

[ $# -ge 1 ] || {
    echo "usage: measure.sh PREFIX [NAME...]" >&2
    exit 2
}
prefix=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${BUILD_DIR:-$here/../../build}" && pwd)
LOAD=${LOAD:-$build/tests/programs/load}
chosen=" $* "
status=0

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name prefork.pc | head -n 1)")
export LOAD PKG_CONFIG_PATH
LD_LIBRARY_PATH=$(pkg-config --variable=libdir prefork)
export LD_LIBRARY_PATH
export GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=1

row() { # NAME, LABEL, options of measure.py, --, command
    case $chosen in
    "  " | *" $1 "*) ;;
    *) return 0 ;;
    esac
    label=$2
    shift 2
    options=
    while [ "$1" != -- ]; do
        options="$options $1"
        shift
    done
    # shellcheck disable=SC2086 # they are several
    "$here/../measure.py" ${OPTIONS-} $options "$label" "$@" || status=1
}

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
exit $status
