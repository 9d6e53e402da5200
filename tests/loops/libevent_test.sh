#!/bin/sh
# A pool in a loop of libevent.
#
# SPDX-License-Identifier: MIT
set -eu
exec tests/loops/supervise.sh man/examples/libevent.c "$PF_EXAMPLES_DIR/libevent" \
    libevent_core libevent-dev
