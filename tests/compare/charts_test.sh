#!/bin/sh
# The charts, and the tables of the pages, are those that chart.py makes from the results.
#
# SPDX-License-Identifier: MIT
set -eu

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
    echo "skipped: there is no Python 3.9 or newer"
    exit 77
fi
python3 -B tests/compare/chart.py --check || {
    echo "write them by: make charts"
    exit 1
}

# Each entry can be read, and names no row that there is not.
python3 -B - <<'END'
import sys
sys.path.insert(0, "tests/compare")
import report
from entries import all_entries
rows = {row[0] for row in report.ROWS} | {"all"}
named = [(entry.name, row) for entry in all_entries() for row in entry.lacks]
wrong = [f"{name}: {row}" for name, row in named if row not in rows]
sys.exit("no such row: " + ", ".join(wrong) if wrong else 0)
END
