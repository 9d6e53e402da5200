#!/bin/sh
# measure.sh PREFIX [NAME...] - the example server, as a row of a table
#
# SPDX-License-Identifier: MIT
#
# ../measure.sh says more.
# shellcheck source=bindings/measure.sh
. "$(dirname "$0")/../measure.sh"

export LUA_PATH="$here/?.lua;$here/?/init.lua;;"
row server 'Lua: server.lua, LuaSocket' -- luajit "$here/examples/server.lua"
exit "$status"
