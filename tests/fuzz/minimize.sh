#!/bin/bash
# Choose the inputs that are committed: tests/fuzz/minimize.sh NAME...
#
# From those in tests/fuzz/corpus and those that runs have found in $FUZZ_DIR/corpus, the smallest
# that reach together what all of them reach. An input whose name begins with "defect-" once found
# a defect, one that begins with "seed-" is at a bound that is hard to find: both stay.
#
# SPDX-License-Identifier: MIT
set -euo pipefail

directory=${FUZZ_DIR:-build/fuzz}
for name; do
    kept=tests/fuzz/corpus/$name
    chosen=$(mktemp -d)
    mkdir -p "$kept" "$directory/corpus/$name"
    # Without counters: not how often something is reached.
    "$directory/$name" -set_cover_merge=1 -use_counters=0 -max_len=4096 "$chosen" "$kept" \
        "$directory/corpus/$name" 2>/dev/null
    find "$kept" -type f ! -name 'defect-*' ! -name 'seed-*' -delete
    # The longest ones are few, and take most of the room.
    find "$chosen" -type f -size -"${BYTES_MAX:-513}"c -exec mv -t "$kept" '{}' +
    rm -rf "$chosen"
    echo "$name: $(find "$kept" -type f | wc -l) inputs," \
        "$(find "$kept" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }') bytes"
done
