#!/bin/bash
# Show that the fuzz targets bite: each deliberate defect of tests/fuzz/defects.txt is put into a
# copy of its file, and the target has to find it from the committed inputs within SECONDS_EACH.
#
#   tests/fuzz/defects.sh [TARGET...]
#
# Called by make fuzz-defects, which tells how a file is compiled and linked: FUZZ_COMPILE,
# FUZZ_WRAP. Ends with "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -euo pipefail

directory=${FUZZ_DIR:-build/fuzz}
seconds=${SECONDS_EACH:-20}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0
failed=0
export ASAN_OPTIONS="detect_leaks=1:${ASAN_OPTIONS:-}"

# Replaces the text, which has to be there once.
replace() { # file, from, to
    awk -v from="${2//\\/\\\\}" -v to="${3//\\/\\\\}" '
        { at = index($0, from) }
        at > 0 { found++; $0 = substr($0, 1, at - 1) to substr($0, at + length(from)) }
        { print }
        END { exit found != 1 }' "$1"
}

try() { # target, file, from, to
    local target=$1 file=$2 object start words=() status=0
    replace "lib/$file" "$3" "$4" >"$scratch/mutant.cc" || {
        echo "  does not apply: $file: $3"
        return 1
    }
    object=$directory/lib/${file%.cc}.o
    # shellcheck disable=SC2086 # words
    $FUZZ_COMPILE -w -fsanitize=fuzzer-no-link -c -o "$scratch/mutant.o" "$scratch/mutant.cc"
    mapfile -t objects < <(find "$directory/lib" -name '*.o' ! -path "$object" |
        grep -xFf <(find lib -name '*.cc' | sed "s|^\(.*\)\.cc\$|$directory/\1.o|"))
    mapfile -t support < <(find "$directory/objects" -name 'fake_*.o')
    # shellcheck disable=SC2086 # words
    $FUZZ_COMPILE -fsanitize=fuzzer $FUZZ_WRAP -o "$scratch/mutant" \
        "$directory/objects/${target}_fuzz.o" "${support[@]}" "${objects[@]}" "$scratch/mutant.o"
    [[ ! -e tests/fuzz/$target.dict ]] || words=("-dict=tests/fuzz/$target.dict")
    mkdir -p "$scratch/work"
    start=$(date +%s%N)
    "$scratch/mutant" -seed=1 -max_total_time="$seconds" -timeout=10 -max_len=4096 \
        -artifact_prefix="$scratch/" "${words[@]}" "$scratch/work" \
        "$PWD/tests/fuzz/corpus/$target" >"$scratch/log" 2>&1 </dev/null || status=$?
    rm -rf "$scratch/work"
    printf '  %-9s %-11s %6d ms  %s\n' "$([[ $status -ne 0 ]] && echo found || echo 'NOT FOUND')" \
        "$target" $((($(date +%s%N) - start) / 1000000)) "$3"
    [[ $status -ne 0 ]]
}

wanted=" $* "
while read -r word text; do
    case $word in
    target) target=$text ;;
    file) file=$text ;;
    from) from=$text ;;
    to)
        [[ $# -eq 0 || $wanted == *" $target "* ]] || continue
        if try "$target" "$file" "$from" "$text"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
        fi
        ;;
    esac
done <tests/fuzz/defects.txt
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
