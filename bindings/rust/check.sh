#!/bin/sh
# check.sh - all checks of the Rust binding, against an installed library
#
# SPDX-License-Identifier: MIT
#
#   check.sh PREFIX
#
# PREFIX is where `make install prefix=PREFIX` has put the library. What is tested are the crates
# as `cargo package` makes them, unpacked elsewhere. RUST_MSRV_BIN may name a directory with the
# cargo and rustc of the oldest Rust that is promised; otherwise they are looked for in /usr/bin.
# Ends with "N passed, N failed"; the status is 0 if none failed, 77 if there is no Rust.
set -eu

[ $# -eq 1 ] || {
    echo "usage: check.sh PREFIX" >&2
    exit 2
}
command -v cargo >/dev/null || {
    echo "skipped: cargo is missing"
    exit 77
}
prefix=$(cd "$1" && pwd)
cd "$(dirname "$0")"
root=$(pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

package=$(find "$prefix" -name prefork.pc | head -n 1)
[ -n "$package" ] || {
    echo "check.sh: no prefork.pc below $prefix" >&2
    exit 2
}
PKG_CONFIG_PATH=$(dirname "$package")
export PKG_CONFIG_PATH
LD_LIBRARY_PATH=$("${PKG_CONFIG:-pkg-config}" --variable=libdir prefork)
export LD_LIBRARY_PATH
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/../../build/rust}"
export CARGO_TERM_COLOR=never RUST_BACKTRACE=0
# What the caller exports for the library is not for this.
unset CFLAGS CXXFLAGS LDFLAGS MAKEFLAGS MFLAGS
passed=0
failed=0

# step NAME COMMAND...: one check, or as many as the tests that it reports.
step() {
    name=$1
    shift
    status=0
    "$@" >"$scratch/log" 2>&1 || status=$?
    good=$(sed -n 's/^test result: .* \([0-9]*\) passed; .*/\1/p' "$scratch/log" | paste -s -d + -)
    bad=$(sed -n 's/^test result: .* \([0-9]*\) failed; .*/\1/p' "$scratch/log" | paste -s -d + -)
    good=$((${good:-0}))
    bad=$((${bad:-0}))
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
    elif [ "$status" -eq 0 ] && [ "$good" -eq 0 ]; then
        good=1
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    printf '%-44s %s passed, %s failed\n' "$name" "$good" "$bad"
    if [ "$status" -ne 0 ]; then
        cat "$scratch/log"
    fi
}

# unpack DIRECTORY: a workspace of the packed crates, which uses the packed libprefork-sys.
unpack() {
    mkdir -p "$1"
    for crate in libprefork-sys libprefork; do
        tar -C "$1" -xzf "$CARGO_TARGET_DIR/package/$crate-0.2.0.crate"
        mv "$1/$crate-0.2.0" "$1/$crate"
        rm -f "$1/$crate/Cargo.lock" # of a crate alone; the workspace has one
    done
    # Packed files are all of one old day, by which cargo would take what it built before for new.
    find "$1" -type f -exec touch {} +
    printf '%s\n' '[workspace]' 'members = ["libprefork-sys", "libprefork"]' 'resolver = "2"' \
        '[patch.crates-io]' 'libprefork-sys = { path = "libprefork-sys" }' >"$1/Cargo.toml"
}

# For a compiler that is older than tokio's: no tokio, and none of the tests that need it.
without_tokio() {
    for manifest in "$1"/*/Cargo.toml; do
        awk '
            function finish() {
                if (block !~ /^\[dev-dependencies/ && block !~ /name = "(tokio|servers)"/)
                    printf "%s", block
                block = ""
            }
            /^\[/ { finish() }
            { block = block $0 "\n" }
            END { finish() }' "$manifest" >"$manifest.new"
        mv "$manifest.new" "$manifest"
    done
    rm -f "$1/libprefork/tests/tokio.rs" "$1/libprefork/tests/servers.rs" \
        "$1/libprefork/examples/tokio.rs"
}

step 'format' cargo fmt --all --check
step 'the README of the package' cmp README.md libprefork/README.md
step 'clippy' cargo clippy --locked --workspace --all-targets -- -D warnings
RUSTDOCFLAGS='-D warnings' step 'doc' cargo doc --locked --workspace --no-deps
rm -rf "$CARGO_TARGET_DIR/package"
step 'package' cargo package --locked --workspace --allow-dirty --no-verify
unpack "$scratch/packed"
cp Cargo.lock "$scratch/packed"
cd "$scratch/packed"
step 'tests of the packed crates' cargo test --workspace --no-fail-fast
step 'bench, shortly' cargo bench --bench replacement -- 3

# Ten reloads under load. What serves are the recipes of the checkout. On a busy machine a client may not
# run for a while, so connections are kept for a second.
loses_nothing() { # server
    env BUILD_DIR="$CARGO_TARGET_DIR/.." GRACE_S=1 \
        OPTIONS='--kills 0 --pause 0 --workers 2 --most-lost 0' \
        "$root/measure.sh" "$prefix" "$1"
}
if [ -x "${LOAD:=$root/../../build/tests/programs/load}" ]; then
    export LOAD
    for server in server axum hyper actix tiny_http; do
        step "reloads of $server lose nothing" loses_nothing "$server"
        sed 's/^/    /' "$scratch/log"
    done
else
    echo "skipped: the reloads of servers, for the program load, which is not there"
fi

oldest=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/libprefork/Cargo.toml")
bin=${RUST_MSRV_BIN:-/usr/bin}
case $([ -x "$bin/cargo" ] && "$bin/rustc" --version 2>/dev/null) in
"rustc $oldest".*)
    unpack "$scratch/oldest"
    without_tokio "$scratch/oldest"
    cd "$scratch/oldest"
    CARGO_TARGET_DIR=$CARGO_TARGET_DIR/oldest
    export RUSTC="$bin/rustc" RUSTDOC="$bin/rustdoc"
    step "tests with Rust $oldest" "$bin/cargo" test --offline --workspace --no-fail-fast
    ;;
*) echo "skipped: the tests with Rust $oldest, which is not in $bin" ;;
esac

echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
