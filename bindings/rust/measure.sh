#!/bin/sh
# measure.sh PREFIX [NAME...] - our servers in Rust, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# As ../python/measure.sh. cargo builds the recipes in BUILD_DIR/rust/recipes, which takes 100 s of a
# processor the first time. OPTIONS='--kills 0 --most-lost 0' checks that a reload loses nothing. The
# status is 1 if a server could not be measured or lost more than that.
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

row() { # NAME, LABEL, command
    case $chosen in
    "  " | *" $1 "*) ;;
    *) return 0 ;;
    esac
    label=$2
    shift 2
    # shellcheck disable=SC2086 # they are several
    "$here/../measure.py" ${OPTIONS-} "$label" -- "$@" || status=1
}

(cd "$here" && CARGO_TARGET_DIR="$build/rust" cargo build -q --locked --examples)
(cd "$here/recipes" && CARGO_TARGET_DIR="$build/rust/recipes" cargo build -q --locked)
recipes=$build/rust/recipes/debug
row server 'Rust: server.rs' "$build/rust/debug/examples/server" '{port}' '{workers}'
row axum 'Rust: axum, ours' "$recipes/axum"
row hyper 'Rust: hyper, ours' "$recipes/hyper"
row actix 'Rust: actix-web, ours' "$recipes/actix"
row tiny_http 'Rust: tiny_http, ours' "$recipes/tiny_http"
exit $status
