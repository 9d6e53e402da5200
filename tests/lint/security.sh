#!/bin/sh
# Each test that SECURITY.md names exists: `FOLDER/FILE` or `FOLDER/FILE:CASE`.
#
# SPDX-License-Identifier: MIT
set -eu

page=SECURITY.md
found=0
count=0

complain() {
    echo "$page: $1"
    found=1
}

source_of() { # folder/file
    for ending in c cc sh; do
        test ! -f "tests/$1.$ending" || echo "tests/$1.$ending"
    done
}

for name in $(grep -o '`[a-z_]*/[a-z0-9_]*_test[a-z0-9_:]*`' "$page" | tr -d '`'); do
    count=$((count + 1))
    file=$(source_of "${name%%:*}")
    if test -z "$file"; then
        complain "there is no test $name"
    elif test "$name" != "${name%%:*}"; then
        # A case is a function, and is in the list of those that run.
        case=${name#*:}
        grep -q "^static void ${case}(" "$file" || grep -q "^void ${case}(" "$file" ||
            complain "there is no case $name"
        grep -q "_test[a-z_]*(${case}[,)]" "$file" || complain "does not run: $name"
    fi
done
test "$count" -gt 50 || complain "names only $count tests"

# An entry says what an attacker tries, and a test shows what prevents it.
awk '
    function finish() { if (entry != "" && !shown) print "SECURITY.md: no test for: " entry }
    /^- \*\*/ { finish(); entry = $0; shown = 0 }
    /^$|^#/ { finish(); entry = "" }
    /`[a-z_]*\/[a-z0-9_]*_test/ { shown = 1 }
    END { finish() }
' "$page" | grep . && found=1

exit "$found"
