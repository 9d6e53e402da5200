# What the tests of set-user-id programs begin with: the scripts of tests, with a directory that
# other users can read.
#
# shellcheck shell=sh
# SPDX-License-Identifier: MIT
test "$(id -u)" = 0 || {
    echo "skipped: only root can make such a program"
    exit 77
}
. tests/support/script.sh
chmod 755 "$scratch"
