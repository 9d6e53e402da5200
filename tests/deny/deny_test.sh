#!/bin/sh
# deny_test.sh - a pool works, or is refused with a clear error, where a system call is denied
#
# tests/deny/table.txt holds the result for each call, error and scenario.
#
# SPDX-License-Identifier: MIT
set -eu
. tests/support/script.sh

"$PF_PROGRAMS_DIR/deny" >"$scratch/table.txt" || fail 'the program deny failed'
if grep -q 'NO FILTER$' "$scratch/table.txt"; then
    skip 'seccomp filters are not permitted'
fi
diff tests/deny/table.txt "$scratch/table.txt" ||
    fail 'the results differ from tests/deny/table.txt'
