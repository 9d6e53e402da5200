#!/bin/sh
# measure.sh - the example server, measured from outside
#
# SPDX-License-Identifier: MIT
#
#   LOAD=build/tests/programs/load bindings/lua/measure.sh PREFIX
#
# Prints a row of bindings/measure.py. Lua has no other supervisor in Debian to compare with.
set -eu

[ $# -eq 1 ] || {
    echo "usage: measure.sh PREFIX" >&2
    exit 2
}
prefix=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
for directory in "$prefix"/lib "$prefix"/lib/*; do
    if [ -e "$directory/libprefork.so.0" ]; then
        LD_LIBRARY_PATH=$directory
    fi
done
LUA_PATH="$here/?.lua;$here/?/init.lua;;"
export LD_LIBRARY_PATH LUA_PATH
"$here/../measure.py" --most-lost 0 "Lua: libprefork, LuaSocket" -- luajit "$here/examples/server.lua"
