# What the tests of programs with the library inside share. They have sourced
# tests/support/script.sh before.
#
# shellcheck shell=sh disable=SC2154 # script.sh sets $scratch
# SPDX-License-Identifier: MIT

# $scratch/program, which is static_program.c, supervises workers by each way.
expect_workers() { # what it was made by
    for way in fork exec; do
        status=0
        "$scratch/program" "$way" >"$scratch/lines" 2>"$scratch/errors" || status=$?
        sort -o "$scratch/lines" "$scratch/lines"
        if test "$status" -ne 0 ||
            test "$(paste -s -d , "$scratch/lines")" != 'worker 0,worker 1'; then
            complain "workers by $way, $1: status $status: $(cat "$scratch/errors")"
        fi
    done
}
