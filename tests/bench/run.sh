#!/bin/sh
# Measure the library against the floor and the lean loop, and print the table.
#
#   BENCH_DIR=DIRECTORY [QUICK=1] [SAVE=1 | RESULTS=FILE] tests/bench/run.sh
#
# BENCH_DIR  where the programs driver, floor, lean, ours, pool, readiness, exec_memory, spares and
#            upgrade are
# QUICK=1    fewer rounds: under a minute, for a look rather than for the record
# RESULTS    also keep what is printed in that file; SAVE=1 means tests/bench/RESULTS.md
#
# SPDX-License-Identifier: MIT
set -eu

here=$(dirname "$0")
: "${BENCH_DIR:?is the directory of the built programs}"
results=${RESULTS:-}
if [ "${SAVE:-0}" = 1 ] && [ -z "$results" ]; then
    results=$here/RESULTS.md
fi
quick=
if [ "${QUICK:-0}" = 1 ]; then
    quick=quick
fi

# Functions bound lazily would be looked up in every worker anew, and that would be measured.
for program in floor lean ours pool; do
    if ! readelf -d "$BENCH_DIR/$program" | grep -q 'NOW'; then
        echo "bench: $program has to be linked with -Wl,-z,now" >&2
        exit 1
    fi
done

report=$(mktemp)
trap 'rm -f "$report" "$report.so"' EXIT

describe() {
    echo '# Bench'
    echo
    echo 'The library, by its one call (ours) and as a pool in an epoll loop (pool), beside the'
    echo 'smallest fork loop (floor) and the smallest loop that keeps its promises (lean). Kept by'
    echo '"make bench SAVE=1"; measure.h says how each number is taken. A ratio is the median over'
    echo 'interleaved rounds of the ratios within a round.'
    echo
    echo "- date: $(date -u '+%Y-%m-%d %H:%M UTC')"
    echo "- kernel: $(uname -srm)"
    echo "- processors: $(nproc), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
    echo "- compiler: $(readelf -p .comment "$BENCH_DIR/ours" | sed -n 's/^ *\[ *0\] *//p')"
    echo "- load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
    if [ -n "$quick" ]; then
        echo '- quick: few rounds, not for the record'
    fi
    echo
}

# The goals that need no process: size and needs of the shared library.
describe_library() {
    library=$BENCH_DIR/../libprefork.so
    strip -o "$report.so" "$library"
    size=$(wc -c <"$report.so")
    needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | tr '\n' ' ')
    verdict=met
    if [ "$size" -gt 65536 ]; then
        verdict='**not met**'
    fi
    echo
    echo "Stripped shared library: $size bytes, goal at most 65536: $verdict. Needs ${needed% }."
}

describe >"$report"
# In the background, so that a signal to this script ends the driver at once.
# shellcheck disable=SC2086 # quick may be empty, and is no argument then
"$BENCH_DIR/driver" "$BENCH_DIR" $quick >>"$report" &
driver=$!
trap 'kill "$driver"; wait "$driver"; exit 1' HUP INT TERM
wait "$driver"
for program in readiness exec_memory spares upgrade; do
    # shellcheck disable=SC2086
    "$BENCH_DIR/$program" $quick >>"$report" &
    driver=$!
    wait "$driver"
done
describe_library >>"$report"
# Sections that others keep there stay, see reload_load.sh.
if [ -n "$results" ] && grep -q '^## ' "$results" 2>/dev/null; then
    echo >>"$report"
    sed -n '/^## /,$p' "$results" >>"$report"
fi
cat "$report"
if [ -n "$results" ]; then
    cp "$report" "$results"
    echo "bench: kept in $results" >&2
fi
