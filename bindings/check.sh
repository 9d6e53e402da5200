#!/bin/sh
# Test the bindings against an installed library, as a user would have it.
#
#   bindings/check.sh PREFIX LANGUAGE...
#
# The library is found by pkg-config under PREFIX. Each language has a script check.sh of its own,
# which ends with "N passed, N failed". A language that is not on this machine is skipped by name,
# with NO_SKIP=1 it is a failure. Ends with the sum.
#
# SPDX-License-Identifier: MIT
set -u
export LC_ALL=C

prefix=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM HUP
passed=0
failed=0
skipped=0

tool_of() { # language
    case $1 in
    python) echo python3 ;;
    rust) echo cargo ;;
    shell | examples) echo python3 ;;
    cpp) echo cmake ;;
    lua) echo luajit ;;
    *) echo "$1" ;;
    esac
}

# check HOW_MANY LANGUAGE...: so many at a time. What a language printed, its status if that is not 0,
# and its seconds are in its log. What does not run in the foreground ignores signals, which the tests
# must not.
check() {
    at_a_time=$1
    shift
    # shellcheck disable=SC2016 # the inner shell expands it
    printf '%s\n' "$@" | xargs -r -n 1 -P "$at_a_time" sh -c '
        start=$(date +%s)
        env --default-signal sh "$1/$3/check.sh" "$2" >"$0/$3" 2>&1 </dev/null ||
            echo "check.sh ended with $?" >>"$0/$3"
        echo "($(($(date +%s) - start)) s)" >>"$0/$3"
    ' "$logs" "$here" "$prefix"
}

# Four at a time, for their tests wait much; when one has ended, the next one begins.
present=
for language; do
    ! command -v "$(tool_of "$language")" >/dev/null 2>&1 || present="$present $language"
done
# shellcheck disable=SC2086 # words on purpose
check 4 $present

# Beside others on few processors a deadline may pass. Who has failed is run once more, alone: that
# counts, and both are shown.
for language; do
    test -e "$logs/$language" || continue
    if ! grep -q '^[0-9]* passed, 0 failed$' "$logs/$language" ||
        grep -q '^check.sh ended with ' "$logs/$language"; then
        mv "$logs/$language" "$logs/$language.first"
        check 1 "$language"
    fi
done

for language; do
    printf '\n== %s\n' "$language"
    if ! test -e "$logs/$language"; then
        echo "  skip $language: there is no $(tool_of "$language")"
        skipped=$((skipped + 1))
        continue
    fi
    if test -e "$logs/$language.first"; then
        cat "$logs/$language.first"
        printf '\n== %s, alone, for it failed beside others\n' "$language"
    fi
    cat "$logs/$language"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$logs/$language" | tail -n 1)
    if test -z "$line"; then
        failed=$((failed + 1))
        continue
    fi
    bad=${line#* passed, }
    bad=${bad% failed}
    passed=$((passed + ${line%% *}))
    # One that ends badly has failed, whatever it counted.
    if test "$bad" -eq 0 && grep -q '^check.sh ended with ' "$logs/$language"; then
        bad=1
    fi
    failed=$((failed + bad))
done

if test "${NO_SKIP:-0}" = 1; then
    failed=$((failed + skipped))
fi
echo
test "$skipped" -eq 0 || echo "$skipped skipped"
echo "$passed passed, $failed failed"
test "$failed" -eq 0
