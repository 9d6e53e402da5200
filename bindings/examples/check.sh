#!/bin/sh
# check.sh PREFIX - compile each example, and use its server, against an installed library
#
# SPDX-License-Identifier: MIT
#
# An example whose compiler is not on this machine is skipped by name; with NO_SKIP=1 it has failed.
# Debian 12 has no Zig: it comes from PyPI, into the build. BUILD_DIR (default: build of the checkout)
# gets all that is made.
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

work=${BUILD_DIR:-$here/../../build}/bindings/examples
mkdir -p "$work"
work=$(cd "$work" && pwd)
include=$(pkg-config --variable=includedir prefork)
libdir=$LD_LIBRARY_PATH

# The functions that begin with need say what is missing, and fail then.
need_program() {
    command -v "$1" >/dev/null || {
        echo "$1 is missing"
        return 1
    }
}

zig_wheel=ziglang==0.17.1
zig_home=$work/../zig

# With a Zig of the machine, that one; otherwise the one of zig_wheel.
zig() {
    if [ -x "$zig_home/bin/python" ]; then
        "$zig_home/bin/python" -m ziglang "$@"
    else
        command zig "$@"
    fi
}

need_zig() {
    if sh -c 'command -v zig' >/dev/null; then
        rm -rf "$zig_home"
    elif ! [ -e "$zig_home/$zig_wheel" ]; then
        rm -rf "$zig_home"
        if ! { python3 -m venv "$zig_home" &&
            retry "$zig_home/bin/pip" install -q --disable-pip-version-check --no-deps "$zig_wheel" &&
            : >"$zig_home/$zig_wheel"; } >"$work/zig.log" 2>&1; then
            rm -rf "$zig_home"
            echo "zig is missing, and pip cannot install $zig_wheel:" "$(tail -n 1 "$work/zig.log")"
            return 1
        fi
    fi
}

need_ocaml() {
    need_program ocamlfind && need_program ocamlopt || return
    ocamlfind query ctypes.foreign >/dev/null 2>&1 || {
        echo "the package ctypes.foreign of OCaml is missing"
        return 1
    }
}

need_mono() {
    need_program mcs && need_program mono
}

# Each function compiles one example in its own directory, as the head of the example says.

build_zig() {
    ZIG_GLOBAL_CACHE_DIR=$zig_home-cache ZIG_LOCAL_CACHE_DIR=$zig_home-cache \
        zig build-exe -OReleaseSmall "$here/server.zig" -lc "-L$libdir" -lprefork --name server
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

# example NAME SUFFIX NEED... : the command "NEED..." says what is missing.
example() {
    name=$1
    suffix=$2
    shift 2
    if ! missing=$("$@"); then
        echo "  skip $name: $missing"
        [ "${NO_SKIP:-0}" != 1 ] || failed=$((failed + 1))
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
    timeout -k 10 $((300 * ${TEST_TIME_SCALE:-1})) python3 "$here/check.py" "$name" "$@" >"$work/$suffix.log" 2>&1 || true
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

example Zig zig need_zig
example D d need_program ldc2
example Nim nim need_program nim
example OCaml ml need_ocaml
example 'C#' cs need_mono

finish
