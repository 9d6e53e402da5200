#!/bin/sh
# check.sh PREFIX - compile each example, and use its server, against an installed library
#
# SPDX-License-Identifier: MIT
#
# An example whose compiler is not on this machine is skipped by name, and counts as nothing. The
# compilers of Zig (PyPI: ziglang, 440 MB) and OCaml (Debian: ocaml-nox, ocaml-findlib and
# libctypes-ocaml-dev, 460 MB) are large: nothing installs them. BUILD_DIR (default: build of the
# checkout) gets all that is made.
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

work=${BUILD_DIR:-$here/../../build}/bindings/examples
mkdir -p "$work"
work=$(cd "$work" && pwd)
include=$(pkg-config --variable=includedir prefork)
libdir=$LD_LIBRARY_PATH

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
        "-L$libdir" -lprefork --name server
}

build_d() {
    echo '#include <prefork.h>' | ${CC:-cc} -E -P -DPF_API= "-I$include" - >prefork.c
    ldc2 -of=server "$here/server.d" prefork.c "-L-L$libdir" -L-lprefork
}

build_nim() {
    nim compile --hints:off -d:release -d:noSignalHandler --nimcache:cache \
        "--passC:-I$include" "--passL:-L$libdir -lprefork" --out:server "$here/server.nim"
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

finish
