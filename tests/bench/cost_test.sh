#!/bin/sh
# One restart costs no more system calls, page faults and instructions than tests/bench/cost.txt
# accepts. With SAVE=1 the file is written anew.
#
# SPDX-License-Identifier: MIT
set -eu

here=$(dirname "$0")
: "${BUILD_DIR:?is the directory of the build}"
save=
if [ "${SAVE:-0}" = 1 ]; then
    save=save
fi
# shellcheck disable=SC2086 # save may be empty, and is no argument then
exec "$BUILD_DIR/bench/cost" "$BUILD_DIR/bench" "$here/cost.txt" $save
