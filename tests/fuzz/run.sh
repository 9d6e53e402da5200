#!/bin/bash
# Run fuzz targets, one for each processor at a time: tests/fuzz/run.sh NAME...
#
# SECONDS_EACH (30) for each; with SAMPLE a minute for all. A target begins with the committed
# inputs and keeps what it finds in $FUZZ_DIR/corpus. An input that finds a defect is printed in
# base64, with the command that runs it again. Ends with "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -euo pipefail

directory=${FUZZ_DIR:-build/fuzz}
processors=$(getconf _NPROCESSORS_ONLN)
seconds=${SECONDS_EACH:-30}
if [[ -n ${SAMPLE:-} ]]; then
    seconds=$((50 * processors / $#))
    ((seconds > 0)) || seconds=1
    ((seconds < 25)) || seconds=25
fi
seed=${SEED:-$((RANDOM * 32768 + RANDOM + 1))}
echo "SEED=$seed, $seconds s for each of $# targets"
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'kill $(jobs -p) 2>/dev/null || true; exit 130' INT TERM HUP

export ASAN_OPTIONS="detect_leaks=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"

fuzz() { # name
    local name=$1 log=$results/$1.log status=0 words=() found
    local known=$PWD/tests/fuzz/corpus/$name work=$PWD/$directory/corpus/$name
    local artifacts=$PWD/$directory/artifacts/$name/ # absolute: a target may be elsewhere
    mkdir -p "$work" "$artifacts" "$results/empty"
    [[ -d $known ]] || known=$results/empty
    [[ ! -e tests/fuzz/$name.dict ]] || words=("-dict=tests/fuzz/$name.dict")
    "$directory/$name" -seed="$seed" -max_total_time="$seconds" -timeout=10 -max_len=4096 \
        -print_final_stats=1 -artifact_prefix="$artifacts" "${words[@]}" "$work" "$known" \
        >"$log" 2>&1 </dev/null || status=$?
    if [[ $status -eq 0 ]]; then
        echo passed >"$results/$name.result"
        awk -v name="$name" '
            /^stat::number_of_executed_units:/ { units = $2 }
            /^stat::average_exec_per_sec:/ { speed = $2 }
            / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") covered = $(i + 1) }
            END { printf "  ok   %-12s %9d runs, %7d a second, %5d edges\n",
                      name, units, speed, covered }' "$log"
        return
    fi
    echo failed >"$results/$name.result"
    printf '  FAIL %s (status %d)\n' "$name" "$status"
    grep -vE '^#[0-9]|^INFO|^Dictionary|NEW_FUNC' "$log" | tail -n 60 | sed 's/^/       /'
    found=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    [[ -n $found ]] || return 0
    printf '  run again:\n    echo %s | base64 -d >/tmp/input && %s /tmp/input\n' \
        "$(base64 -w 0 <"$found")" "$directory/$name"
}

for name; do
    while (($(jobs -rp | wc -l) >= processors)); do
        wait -n || true
    done
    fuzz "$name" &
done
wait
passed=$(cat "$results"/*.result | grep -c passed || true)
echo "$passed passed, $(($# - passed)) failed"
[[ $passed -eq $# ]]
