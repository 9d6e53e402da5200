#!/bin/sh
# page_test.sh - prefork-kernel(7) says of each system call what tests/deny/table.txt shows
#
# SPDX-License-Identifier: MIT
set -eu
. tests/support/script.sh

sh tests/deny/page.sh >"$scratch/page"
diff man/prefork-kernel.7 "$scratch/page" || fail 'see make format'

# Each call that the library makes is there, once.
sed -n 's/^DENIED(\(.*\))$/\1/p' tests/support/denied_calls.h | sort >"$scratch/denied"
sed -n 's/^\.It Sy //p' man/prefork-kernel.7 | sort | diff "$scratch/denied" - ||
    fail 'the page has other calls than tests/support/denied_calls.h'

# What the page says works all the same must not fail anywhere, and the other way round.
awk '
    FILENAME ~ /page/ { if (/^\.\\" list: /) list = $3; if (/^\.It Sy/) in_list[$3] = list; next }
    $0 !~ /: works$/ && in_list[$1] == "replaced" { print; found = 1 }
    END { exit found }
' "$scratch/page" tests/deny/table.txt || fail 'the page says that these work'

# One sentence for both errors is enough only as long as they have the same effect.
sed -n 's/ ENOSYS / /p' tests/deny/table.txt | sed 's/: ENOSYS$/: itself/' >"$scratch/ENOSYS"
sed -n 's/ EPERM / /p' tests/deny/table.txt | sed 's/: EPERM$/: itself/' >"$scratch/EPERM"
diff "$scratch/ENOSYS" "$scratch/EPERM" ||
    fail 'ENOSYS and EPERM differ, and the page does not say so'
