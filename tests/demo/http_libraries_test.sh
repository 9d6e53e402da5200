#!/bin/sh
# Workers with the HTTP servers of libevent and libmicrohttpd lose no request in a reload.
#
# SPDX-License-Identifier: MIT
set -eu

for example in evhttp microhttpd; do
    [ -x "$PF_EXAMPLES_DIR/$example" ] || {
        echo "skipped: libevent-dev or libmicrohttpd-dev is not there"
        exit 77
    }
    LOAD="${PF_PROGRAMS_DIR:-build/tests/programs}/load" RELOADS=3 KILLS=1 \
        "$(dirname "$0")/../bench/reload_load.sh" "$PF_EXAMPLES_DIR/$example"
done
