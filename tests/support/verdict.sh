# How a script counts its checks. $fail_shows is a file that is shown of a check that failed.
#
# shellcheck shell=sh disable=SC2034 # the scripts use the variables
# SPDX-License-Identifier: MIT
fail_shows=
passed=0
failed=0

verdict() { # what, status
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "  ok   $1"
    else
        failed=$((failed + 1))
        echo "  FAIL $1"
        [ ! -s "$fail_shows" ] || sed 's/^/       /' "$fail_shows"
    fi
}
