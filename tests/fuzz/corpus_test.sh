#!/bin/sh
# The fuzz targets accept every input of tests/fuzz/corpus, among them those that once found a
# defect, in a build without libFuzzer.
#
# SPDX-License-Identifier: MIT
set -eu
. tests/support/script.sh

test -e "${BUILD_DIR:-build}/tests/fuzz/cpu" || {
    echo "skipped: a 64-bit glibc, whose system calls the targets answer"
    exit 77
}
for target in tests/fuzz/*_fuzz.cc; do
    name=$(basename "$target" _fuzz.cc)
    "${BUILD_DIR:-build}/tests/fuzz/$name" "tests/fuzz/corpus/$name" >"$scratch/log" 2>&1 || {
        tail -n 40 "$scratch/log"
        echo "$name: an input is refused" && found=1
    }
done
exit "$found"
