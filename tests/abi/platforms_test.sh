#!/bin/sh
# The library builds with another C library and with pointers of 32 bits, without a warning and
# without a library of the compiler, and supervises workers there. A compiler that is not here is
# left out, and said. Other machines and more tests are a matter of make machines.
#
#   tests/abi/platforms_test.sh [PLATFORM...]
#
# SPDX-License-Identifier: MIT
set -eu
export LC_ALL=C

. tests/support/script.sh
. tests/machines/toolchain.sh
tried=0
jobs=-j$(getconf _NPROCESSORS_ONLN)

understands() { # compiler with options, language
    # shellcheck disable=SC2086 # words on purpose
    echo '#include <errno.h>' | $1 -x "$2" -fsyntax-only - >/dev/null 2>&1
}

# Both compilers may come with options.
try() { # target, C compiler, C++ compiler, options of the link
    target=$1
    if ! understands "$2" c || ! understands "$3" c++; then
        echo "skipped: no compiler for $target"
        return 0
    fi
    tried=$((tried + 1))
    # shellcheck disable=SC2086 # words on purpose
    archiver=$($2 -print-prog-name=ar)
    # Without debugging information and the optimisation of the whole it is done in half the time.
    if ! "${MAKE:-make}" "$jobs" --no-print-directory WERROR=1 TEST= SAN= BUILD="$scratch/$target" \
        CC="$2" CXX="$3" AR="$archiver" CFLAGS=-O1 PF_LTO=-fno-lto without_lto=: all \
        >"$scratch/output" 2>&1; then
        complain "does not build for $target: $(grep -E 'error|undefined' "$scratch/output")"
        return 0
    fi
    needed=$(readelf -dW "$scratch/$target/libprefork.so" |
        sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | paste -s -d ' ')
    case $needed in
    libc.so.6 | libc.so | 'libc.so.6 ld'*) ;;
    *) complain "needs more than libc for $target: $needed" ;;
    esac
    # shellcheck disable=SC2086 # words on purpose
    $2 -Iinclude $4 -o "$scratch/program" tests/abi/static_program.c "$scratch/$target/libprefork.a"
    for way in fork exec; do
        lines=$("$scratch/program" "$way" | sort | paste -s -d ,)
        test "$lines" = 'worker 0,worker 1' || complain "workers by $way, $target: $lines"
    done
}

for platform in "${@:-all}"; do
    case $platform in
    all | musl)
        if command -v musl-gcc >/dev/null 2>&1; then
            headers=$(musl_headers "$scratch/musl-headers")
            try musl "musl-gcc -isystem $scratch/musl-headers" "g++ $headers" ''
        else
            echo 'skipped: no compiler for musl'
        fi
        ;;
    esac
    case $platform in
    all | i686) try i686 i686-linux-gnu-gcc i686-linux-gnu-g++ "$(machine_ldflags i686)" ;;
    esac
done

echo "$tried platforms"
test "$tried" -gt 0 || exit 77
exit "$found"
