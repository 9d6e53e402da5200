#!/bin/sh
# A pool in a loop of libuv.
#
# SPDX-License-Identifier: MIT
set -eu
exec tests/loops/supervise.sh man/examples/libuv.c "$PF_EXAMPLES_DIR/libuv" libuv libuv1-dev
