#!/bin/sh
# calls_test.sh - the denial table names every system call that the library makes
#
# functions.txt has the calls of each function of the C library; calls by number are in the source.
#
# SPDX-License-Identifier: MIT
set -eu
. tests/support/script.sh

test "$(uname -m)" = x86_64 || skip 'the table is that of x86-64'
need nm
sed 's/#.*//' tests/deny/functions.txt >"$scratch/functions"
nm -D --undefined-only "$BUILD_DIR/libprefork.so" | awk '
    FNR == NR { if (NF) known[$1] = 1; next }
    { sub(/@.*/, "", $NF) }
    $NF ~ /^(_ITM_|__gmon|__cxa_finalize|__stack_chk)/ { next }
    !($NF in known) { print $NF }' "$scratch/functions" - >"$scratch/unknown"
while read -r name; do
    complain "tests/deny/functions.txt does not say which system calls $name() makes"
done <"$scratch/unknown"

awk '{ for (i = 2; i <= NF; i++) if ($i != "-") print $i }' "$scratch/functions" >"$scratch/calls"
grep -rhoE '\bSYS_[a-z0-9_]+' lib --include='*.cc' --include='*.h' |
    sed 's/SYS_//' >>"$scratch/calls"
"$PF_PROGRAMS_DIR/deny" known | sort >"$scratch/known"
sort -u "$scratch/calls" | comm -23 - "$scratch/known" | sed 's/^pipe$//;/^$/d' >"$scratch/missing"
while read -r name; do
    complain "tests/support/denied_calls.h does not have $name"
done <"$scratch/missing"

# What is not exempt is denied in some scenario with both errors, or has its reason.
awk -F '[ :]' '/^[a-z]/ { print $1 }' tests/deny/unplayed.txt | sort >"$scratch/reasons"
sed -n 's/^DENIED(\(.*\))$/\1/p' tests/support/denied_calls.h | sort >"$scratch/denied"
for error in ENOSYS EPERM; do
    awk -v error="$error" '$2 == error { print $1 }' tests/deny/table.txt | sort -u |
        sort - "$scratch/reasons" >"$scratch/held"
    uniq -d "$scratch/held" | while read -r name; do
        echo "tests/deny/unplayed.txt has $name, which table.txt has as well"
    done >"$scratch/twice"
    uniq "$scratch/held" | comm -13 - "$scratch/denied" | while read -r name; do
        echo "no scenario denies $name with $error"
    done >>"$scratch/twice"
    while read -r line; do
        complain "$line"
    done <"$scratch/twice"
done
exit "$found"
