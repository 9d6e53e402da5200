#!/bin/sh
# check.sh - compile each example, and use its server, against an installed library
#
# SPDX-License-Identifier: MIT
#
#   check.sh PREFIX
#
# An example whose compiler is not on this machine is skipped by name, and counts as nothing. The
# compilers of Zig (PyPI: ziglang, 440 MB) and OCaml (Debian: ocaml-nox, ocaml-findlib and
# libctypes-ocaml-dev, 460 MB) are large: nothing installs them. BUILD_DIR (default: build of the
# checkout) gets all that is made.
set -eu

[ $# -eq 1 ] || {
    echo "usage: check.sh PREFIX" >&2
    exit 2
}
prefix=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=${BUILD_DIR:-$here/../../build}/bindings/examples
mkdir -p "$work"
work=$(cd "$work" && pwd)
passed=0
failed=0

for directory in "$prefix"/lib/pkgconfig "$prefix"/lib/*/pkgconfig; do
    PKG_CONFIG_PATH=$directory:${PKG_CONFIG_PATH-}
done
export PKG_CONFIG_PATH
include=$(pkg-config --variable=includedir prefork)
library=$(pkg-config --variable=libdir prefork)
LD_LIBRARY_PATH=$library
export LD_LIBRARY_PATH

has() {
    command -v "$1" >/dev/null
}

zig() {
    if has_zig_program; then
        command zig "$@"
    else
        python3 -m ziglang "$@"
    fi
}

has_zig_program() {
    sh -c 'command -v zig' >/dev/null
}

has_zig() {
    has_zig_program || python3 -c 'import ziglang' 2>/dev/null
}

has_ctypes() {
    has ocamlfind && ocamlfind ocamlopt -version >/dev/null 2>&1 &&
        ocamlfind query ctypes.foreign >/dev/null 2>&1
}

# Each function compiles one example in its own directory, as the head of the example says.

build_zig() {
    zig translate-c -lc "-I$include" "$include/prefork.h" >prefork.zig
    zig build-exe -OReleaseSmall --dep prefork "-Mroot=$here/server.zig" -Mprefork=prefork.zig -lc \
        "-L$library" -lprefork --name server
}

build_d() {
    echo '#include <prefork.h>' | ${CC:-cc} -E -P -DPF_API= "-I$include" - >prefork.c
    ldc2 -of=server "$here/server.d" prefork.c "-L-L$library" -L-lprefork
}

build_nim() {
    nim compile --hints:off -d:release -d:noSignalHandler --nimcache:cache \
        "--passC:-I$include" "--passL:-L$library -lprefork" --out:server "$here/server.nim"
}

build_ml() {
    cp "$here/server.ml" .
    ocamlfind ocamlopt -thread -package unix,ctypes.foreign -linkpkg server.ml -o server
}

build_cs() {
    mcs -out:server.exe "$here/server.cs"
}

# example NAME SUFFIX HAS... : the command "HAS..." says whether the compiler is there.
example() {
    name=$1
    suffix=$2
    shift 2
    if ! "$@"; then
        echo "  skip $name: there is no compiler"
        return
    fi
    rm -rf "${work:?}/$suffix"
    mkdir "$work/$suffix"
    if ! (cd "$work/$suffix" && "build_$suffix") >"$work/$suffix.log" 2>&1; then
        cat "$work/$suffix.log"
        echo "  FAIL $name: it does not compile"
        failed=$((failed + 1))
        return
    fi
    set -- "$work/$suffix/server"
    if [ "$suffix" = cs ]; then
        set -- mono "$work/$suffix/server.exe"
    fi
    timeout -k 10 300 python3 "$here/check.py" "$name" "$@" >"$work/$suffix.log" 2>&1 || true
    sed '$d' "$work/$suffix.log"
    line=$(tail -n 1 "$work/$suffix.log")
    case $line in
    *' passed, '*' failed')
        passed=$((passed + ${line%% *}))
        bad=${line#* passed, }
        failed=$((failed + ${bad% failed}))
        ;;
    *)
        echo "$line"
        failed=$((failed + 1))
        ;;
    esac
}

example Zig zig has_zig
example D d has ldc2
example Nim nim has nim
example OCaml ml has_ctypes
example 'C#' cs has mcs

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
