# judge WHAT COMMAND...: one check of a script of tests/packages, of which the output is shown if it
# fails. Needs tests/support/script.sh, and $fail_shows.
#
# shellcheck shell=sh
# SPDX-License-Identifier: MIT

judge() {
    what=$1
    shift
    status=0
    "$@" >"$fail_shows" 2>&1 || status=$?
    verdict "$what" "$status"
    return "$status"
}
