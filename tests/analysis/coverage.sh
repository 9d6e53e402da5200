#!/bin/bash
# Measure how much of lib/ the tests execute: make coverage
#
# Builds with clang and its counters in build/coverage. The counters lie in files that are mapped
# shared (see profile.c), so that forked, executed and killed processes count as well. A branch is
# one outcome of one condition. Fails if too small a share of the lines or branches was executed, or
# if one that was not is missing in uncovered.txt. LIST=1 prints those that are missing there as
# lines for that file.
#
# SPDX-License-Identifier: MIT
set -euo pipefail
export LC_ALL=C

build=build/coverage
list=tests/analysis/uncovered.txt
least_lines=95
least_branches=90
suites='unit api loops abi demo sim deny'
if [[ -n ${SAMPLE-} ]]; then
    least_lines=60
    least_branches=50
    suites='unit sim'
fi

profiles=$PWD/$build/profiles
rm -rf "$profiles"
mkdir -p "$profiles"
if [[ tests/analysis/profile.c -nt $build/profile.o ]]; then
    rm -rf "$build" # the programs do not depend on it
    mkdir -p "$profiles"
    clang -O1 -fPIC -c -o "$build/profile.o" tests/analysis/profile.c
fi
counters="-fprofile-instr-generate=$profiles/%m%c.profraw -fcoverage-mapping"
counters+=" -fprofile-update=atomic -mllvm -runtime-counter-relocation"

# Two tests of tests/abi and one of tests/deny judge the plain build alone. The fuzz targets replace
# the calls that the counters need.
abi=()
for check in tests/abi/*_test.sh; do
    case $check in
    */library_test.sh | */platforms_test.sh) ;;
    *) abi+=("$check") ;;
    esac
done
make_measured() {
    "${MAKE:-make}" --no-print-directory -j"$(getconf _NPROCESSORS_ONLN)" BUILD="$build" \
        CC=clang CXX=clang++ SAN= CFLAGS='-O1 -g' CXXFLAGS="-O1 -g $counters" \
        LDFLAGS="$PWD/$build/profile.o" "$@"
}
if [[ -n ${SAMPLE-} ]]; then
    wanted=()
    for source in tests/unit/*_test.cc; do
        wanted+=("$build/${source%.cc}")
    done
else
    wanted=(tests programs)
fi
wanted+=(all "$build/tests/sim/sim" "$build/examples/version")
make_measured "${wanted[@]}" >"$build/build.log" 2>&1 ||
    { tail -n 30 "$build/build.log" && exit 1; }
# Programs that run as another user write to the same files.
rm -f "$profiles"/*
"$build/examples/version" >/dev/null
chmod a+rwx "$profiles"
chmod a+rw "$profiles"/*
status=0
make_measured check-run TEST= ABI_CHECKS="${abi[*]}" SUITES="$suites" \
    DENY_CHECKS=tests/deny/deny_test.sh \
    >"$build/check.log" 2>&1 || status=1
grep -E -A 20 '^  FAIL' "$build/check.log" || true
tail -n 1 "$build/check.log" | sed 's/^/tests: /'

objects=()
for program in "$build"/tests/unit/*_test "$build/tests/sim/sim"; do
    objects+=(-object "$program")
done
llvm-profdata merge -o "$build/all.profdata" "$profiles"/*.profraw
llvm-cov export -format=lcov -instr-profile="$build/all.profdata" "$build"/libprefork.so.*.*.* \
    "${objects[@]}" -ignore-filename-regex='/tests/' >"$build/all.lcov" 2>"$build/lcov.log"

gawk -v top="$PWD/" -v list="$list" -v show="${LIST-}" -v sample="${SAMPLE-}" \
    -v tests_failed="$status" -v least_lines="$least_lines" -v least_branches="$least_branches" \
    -f tests/analysis/coverage.awk "$list" "$build/all.lcov"
