#!/bin/sh
# The shared library needs libc and nothing else, has the right soname, is small and hardened, and
# leaves nothing of a C++ runtime to be found elsewhere. The static one keeps to its own names.
#
# SPDX-License-Identifier: MIT
set -eu
export LC_ALL=C

size_max=$((136 * 1024))
library=$BUILD_DIR/libprefork.so
. tests/support/script.sh

field() {
    readelf -dW "$library" | sed -n "s/.*($1).*\[\(.*\)\]/\1/p"
}

needed=$(field NEEDED)
# Debian's name of libc, or that of musl.
case $needed in
libc.so.6 | libc.so | libc.musl-*.so.1) ;;
*) complain "needs more than libc, or not even that: $needed" ;;
esac

major=$(sed -n 's/^#define PF_VERSION_MAJOR //p' include/prefork.h)
test "$(field SONAME)" = "libprefork.so.$major" || complain "has the soname $(field SONAME)"

for flag in 'BIND_NOW' 'GNU_RELRO'; do
    readelf -dlW "$library" | grep -q "$flag" || complain "is linked without $flag"
done
readelf -lW "$library" | grep -q 'GNU_STACK.* RW ' || complain "has an executable stack"
readelf -lW "$library" | grep -q ' LOAD .* RWE ' && complain "has a segment to write and execute"
readelf -dW "$library" | grep -q TEXTREL && complain "has text relocations"

# What the compiler was asked for is in the objects, which the archive has as they are.
properties() { # file: what it is marked with for the processor
    readelf -nW "$1" 2>/dev/null | sed -n 's/.*feature: //p'
}
flags=$(sed 's|.* / \(.*-std=c++\)|\1|' "$BUILD_DIR/flags")
marks=
case $flags in *-fcf-protection=none*) ;; *-fcf-protection*) marks='IBT, SHSTK' ;; esac
case $flags in *-mbranch-protection=standard*) marks='BTI, PAC' ;; esac
if test -n "$marks"; then
    objects=$(ar t "$BUILD_DIR/libprefork.a" | wc -l)
    marked=$(properties "$BUILD_DIR/libprefork.a" | grep -c "$marks" || true)
    test "$marked" -eq "$objects" || complain "$marked of $objects objects have the note $marks"
    # The linker leaves it out if the start files of this system lack it.
    # shellcheck disable=SC2086 # the compiler may come with options
    case $(properties "$(${CC:-gcc} -print-file-name=crti.o)") in
    *"$marks"*) test "$(properties "$library")" = "$marks" || complain "lacks the note $marks" ;;
    esac
fi
case $needed$flags in
*-O0*) ;;
libc.so.6*_FORTIFY_SOURCE*)
    nm -D --undefined-only "$library" | grep -q '__[a-z]*_chk@' ||
        complain "calls no function of the C library that checks sizes"
    ;;
esac

# __cxa_finalize is libc's, and weak: the C start files refer to it.
nm -D --undefined-only "$library" | awk '{ print $NF }' |
    grep -E '^(_Z|__cxa_|__gxx_|_Unwind)|GLIBCXX|CXXABI' | grep -v '^__cxa_finalize' \
    >"$scratch/runtime" || true
test ! -s "$scratch/runtime" || complain "wants of the C++ runtime: $(cat "$scratch/runtime")"

strip -o "$scratch/stripped" "$(readlink -f "$library")"
size=$(wc -c <"$scratch/stripped")
# The bound is for what is shipped, which gcc makes as a whole; clang's code is larger.
case $(readelf -p .comment "$library") in
*clang*) ;;
*) test "$size" -le "$size_max" || complain "has $size bytes when stripped, at most $size_max" ;;
esac

# In a static link all names of a program share one space.
nm -g --defined-only "$BUILD_DIR/libprefork.a" 2>/dev/null |
    awk 'NF == 3 && $2 !~ /^[VWu]$/ && $3 !~ /^pf_/ && $3 !~ /^_Z.*7prefork/ { print $3 }' \
        >"$scratch/strays"
test ! -s "$scratch/strays" || complain "libprefork.a defines: $(cat "$scratch/strays")"

echo "$size bytes when stripped, the limit being $size_max"
exit "$found"
