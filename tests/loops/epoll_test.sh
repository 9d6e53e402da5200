#!/bin/sh
# A pool in a loop of epoll itself.
#
# SPDX-License-Identifier: MIT
set -eu
exec tests/loops/supervise.sh man/examples/epoll.c "$PF_EXAMPLES_DIR/epoll"
