#!/bin/sh
# A pool in a loop of GLib.
#
# SPDX-License-Identifier: MIT
set -eu
exec tests/loops/supervise.sh tests/loops/glib.c "$BUILD_DIR/tests/loops/glib" \
    glib-2.0 libglib2.0-dev
