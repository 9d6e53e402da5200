#!/bin/sh
# What a user without root does: install into a prefix of their own, build programs against
# it, find a manual page for every function, and remove it all again.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

prefix=$scratch/prefix
make="${MAKE:-make} --no-print-directory"

# shellcheck disable=SC2086 # a command and its options are words
$make install prefix="$prefix"

PKG_CONFIG_PATH="$prefix/lib/pkgconfig" tests/install/consume.sh "$prefix/lib"

# Debian calls the man of mandoc mman, as that of man-db has the name already.
man='mman'
command -v mman >/dev/null || man='man'
failed=0
while read -r symbol; do
    page=$($man -M "$prefix/share/man" -w "$symbol" 2>/dev/null) || page=
    case $page in
    "$prefix"/share/man/man3/*) ;;
    *)
        echo "$man $symbol: found '$page'"
        failed=1
        ;;
    esac
    grep -q "^\.Nm $symbol\( ,\)*\$" "$page" || {
        echo "$man $symbol: shows a page without that name: $page"
        failed=1
    }
done <tests/abi/symbols.txt
for section in 1 7; do
    $man -M "$prefix/share/man" -w "$section" prefork 2>/dev/null |
        grep -q "/man$section/prefork\.$section" || {
        echo "$man $section prefork: not found"
        failed=1
    }
done

# The manual as HTML is installed by a target of its own.
# shellcheck disable=SC2086
$make install-html prefix="$prefix" >/dev/null
for page in index prefork.7 pf_pool.3; do
    test -s "$prefix/share/doc/libprefork/html/$page.html" || {
        echo "no $page.html"
        failed=1
    }
done

# The command finds the library as any program does, and no path of the build is in it.
version=$(LD_LIBRARY_PATH="$prefix/lib" "$prefix/bin/prefork" --version)
grep -qx "Version: ${version#prefork }" "$prefix/lib/pkgconfig/prefork.pc" || {
    echo "prefork --version: $version"
    failed=1
}
if readelf -dW "$prefix/bin/prefork" | grep -E 'RPATH|RUNPATH'; then
    failed=1
fi

# An installed example is a program that one can build there.
PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # options are words
${CC:-gcc} -std=c99 -o "$prefix/minimal" "$prefix/share/doc/libprefork/examples/minimal.c" \
    $("${PKG_CONFIG:-pkg-config}" --cflags --libs prefork)
rm "$prefix/minimal"

# So is the first program of README.md, by copy and paste.
# shellcheck disable=SC2016 # the quotes are those of Markdown
sed -n '/^```c$/,/^```$/{/^```/!p;}' README.md >"$prefix/pasted.c"
# shellcheck disable=SC2046
${CC:-gcc} -Wall -Wextra -Werror -o "$prefix/pasted" "$prefix/pasted.c" \
    $("${PKG_CONFIG:-pkg-config}" --cflags --libs prefork)
LD_LIBRARY_PATH="$prefix/lib" "$prefix/pasted" | grep -c '^worker [0-3]: [0-9]*$' | grep -qx 4 || {
    echo "the first program of README.md does not work"
    failed=1
}
rm "$prefix/pasted" "$prefix/pasted.c"

# shellcheck disable=SC2086
$make uninstall prefix="$prefix" >/dev/null
left=$(find "$prefix" ! -type d)
test -z "$left" || {
    echo "left behind: $left"
    failed=1
}
exit "$failed"
