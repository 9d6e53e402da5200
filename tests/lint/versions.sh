#!/bin/sh
# One version everywhere: the header's macros are its only source, all else agrees with them.
#
# SPDX-License-Identifier: MIT
set -eu

found=0

complain() {
    echo "$1"
    found=1
}

part() {
    sed -n "s/^#define PF_VERSION_$1 \([0-9]*\)\$/\1/p" include/prefork.h
}

version=$(part MAJOR).$(part MINOR).$(part PATCH)
series=$(part MAJOR).$(part MINOR)
echo "$version" | grep -Eqx '[0-9]+\.[0-9]+\.[0-9]+' ||
    complain "include/prefork.h: no version in three macros: $version"

newest=$(sed -n 's/^PREFORK_\([0-9.]*\) {$/\1/p' lib/prefork.map | tail -n 1)
test "$newest" = "$series" ||
    complain "lib/prefork.map: the newest node is $newest, the version is $version"

logged=$(sed -n 's/^## \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md | head -n 1)
test "$logged" = "$version" ||
    complain "CHANGELOG.md: the newest version is $logged, the header's is $version"

grep -qx 'Version: @version@' lib/prefork.pc.in ||
    complain "lib/prefork.pc.in: the version must come from the header"
if test -f "${BUILD_DIR:-build}/prefork.pc"; then
    grep -qx "Version: $version" "${BUILD_DIR:-build}/prefork.pc" ||
        complain "prefork.pc: built with a version other than $version"
fi

# Recipes of packages cannot ask the header.
for recipe in rpm/libprefork.spec:Version: alpine/APKBUILD:pkgver=; do
    packed=$(sed -n "s/^${recipe#*:} *//p" "lib/packaging/${recipe%%:*}")
    test "$packed" = "$version" ||
        complain "lib/packaging/${recipe%%:*}: the version is $packed, the header's is $version"
done

# Each function appeared in one version, which the map, its comment and its page tell.
awk '
    /^PREFORK_/ { node = $1; sub(/PREFORK_/, "", node) }
    /^ *pf_[a-z_]*;$/ { gsub(/[ ;]/, ""); print $0, node }
' lib/prefork.map | {
    while read -r symbol node; do
        page=man/$symbol.3
        test -f "$page" || page=man/$(awk -v name="$symbol.3" '$2 == name { print $1 }' man/aliases)
        sed -n '/^\.Sh HISTORY/,/^\.Sh [^H]/p' "$page" 2>/dev/null |
            grep -Eq "libprefork $node(\$|[^.0-9]|\.\$)" ||
            complain "$page: HISTORY does not say that $symbol appeared in libprefork $node"
        awk -v symbol="$symbol" -v node="$node" '
            /Since: / { since = $NF }
            index($0, symbol "(") && /^PF_API/ { seen = 1; exit }
            END { exit !(seen && since == node) }
        ' include/prefork.h ||
            complain "include/prefork.h: $symbol is not said to be there since $node"
    done
    exit "$found"
} || found=1

exit "$found"
