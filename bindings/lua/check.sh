#!/bin/sh
# check.sh PREFIX - all checks of the Lua binding, against an installed library
#
# SPDX-License-Identifier: MIT
#
# The rock is built and installed into a new tree by "luarocks make", and all tests run from there
# against the library that is installed under PREFIX. BUILD_DIR (default: build of the checkout)
# gets all that is made. LOAD names the program of tests/programs/load.c for the test under load.
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

need luajit luarocks pkg-config
for module in luaunit socket; do
    luajit -e "require('$module')" 2>/dev/null || skip "there is no Lua module $module"
done
work=${BUILD_DIR:-$here/../../build}/bindings/lua
rm -rf "$work"
mkdir -p "$work/files"
work=$(cd "$work" && pwd)
include=$(pkg-config --variable=includedir prefork)
unset LUA_PATH LUA_CPATH LUA_INIT

rock() {
    cp -R "$here" "$work/source"
    (cd "$work/source" && luarocks --lua-version 5.1 make --tree "$work/tree" \
        prefork-0.2.0-1.rockspec)
}

# The library that was loaded is the one that is meant.
loaded='
require("prefork")
local maps = io.open("/proc/self/maps"):read("*a")
local path = maps:match("(/[^\n]*libprefork%.so[^\n]*)")
print("loaded: " .. path)
local meant = os.getenv("MEANT")
os.exit(path:sub(1, #meant) == meant)'

# The number before a word in the last line of luaunit.
number_of() {
    sed -n "/^Ran /s/.*[^0-9]\([0-9][0-9]*\) $1.*/\1/p" "$work/tests.log"
}

echo "== $(luajit -v), $(luarocks --version | head -n 1)"
judge "the rock is built and installed by luarocks make" rock
if command -v luacheck >/dev/null 2>&1; then
    judge "no warning of luacheck" luacheck --std luajit "$here/prefork" "$here/examples"
fi
LUA_PATH="$work/tree/share/lua/5.1/?.lua;$work/tree/share/lua/5.1/?/init.lua;;"
export LUA_PATH
# As a user has it who did not run ldconfig, then as the loader finds it.
judge "the library that pkg-config names" env -u LD_LIBRARY_PATH MEANT="$prefix/" \
    luajit -e "$loaded"
judge "the library that the loader finds" env MEANT="$prefix/" luajit -e "$loaded"

LUA_PATH="$here/tests/?.lua;$LUA_PATH"
export LUA_PATH TEST_DIRECTORY="$work/files" PREFORK_INCLUDE="$include"
export PREFORK_GENERATE="$here/generate.sh" PREFORK_EXAMPLES="$work/tree/lib/luarocks/rocks-5.1/prefork/0.2.0-1/examples"
status=0
timeout -k 10 $((300 * ${TEST_TIME_SCALE:-1})) luajit "$here/tests/run.lua" -v >"$work/tests.log" 2>&1 || status=$?
cat "$work/tests.log"
good=$(number_of success)
wrong=$(number_of failure)
broken=$(number_of error)
bad=$((${wrong:-0} + ${broken:-0}))
add "${good:-0}" "$bad" "$status"
judge_license

finish
