#!/bin/sh
# measure.sh PREFIX [NAME...] - our servers in Rust, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# ../measure.sh says more. cargo builds the recipes in BUILD_DIR/rust/recipes, which takes 70 s of a
# processor the first time, 45 of them for actix-web and the metrics. The crate prefork has no row: it does not
# restart workers, and has no reload.
# shellcheck source=bindings/measure.sh
. "$(dirname "$0")/../measure.sh"

(cd "$here" && CARGO_TARGET_DIR="$build/rust" cargo build -q --locked --examples)
(cd "$here/recipes" && CARGO_TARGET_DIR="$build/rust/recipes" cargo build -q --locked)
recipes=$build/rust/recipes/debug
row server 'Rust: server.rs' -- "$build/rust/debug/examples/server" '{port}' '{workers}'
row axum 'Rust: axum, ours' -- "$recipes/axum"
row hyper 'Rust: hyper, ours' -- "$recipes/hyper"
row actix 'Rust: actix-web, ours' -- "$recipes/actix"
row tiny_http 'Rust: tiny_http, ours' -- "$recipes/tiny_http"
exit "$status"
