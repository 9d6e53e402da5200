#!/bin/sh
# check.sh - all checks of the Lua binding, against an installed library
#
# SPDX-License-Identifier: MIT
#
#   check.sh PREFIX
#
# The rock is built and installed into a new tree by "luarocks make", and all tests run from there
# against the library that is installed under PREFIX. BUILD_DIR (default: build of the checkout)
# gets all that is made. LOAD names the program of tests/programs/load.c for the test under load.
set -eu

[ $# -eq 1 ] || {
    echo "usage: check.sh PREFIX" >&2
    exit 2
}
prefix=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
for tool in luajit luarocks pkg-config; do
    command -v "$tool" >/dev/null || {
        echo "skipped: there is no $tool"
        exit 77
    }
done
for module in luaunit socket; do
    luajit -e "require('$module')" 2>/dev/null || {
        echo "skipped: there is no Lua module $module"
        exit 77
    }
done
work=${BUILD_DIR:-$here/../../build}/bindings/lua
rm -rf "$work"
mkdir -p "$work/files"
work=$(cd "$work" && pwd)
passed=0
failed=0

# judge WHAT COMMAND...: one check that passes or fails.
judge() {
    what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "check.sh: FAILED: $what"
        failed=$((failed + 1))
    fi
}

for directory in "$prefix"/lib/pkgconfig "$prefix"/lib/*/pkgconfig; do
    PKG_CONFIG_PATH=$directory:${PKG_CONFIG_PATH-}
done
export PKG_CONFIG_PATH
library=$(pkg-config --variable=libdir prefork)
include=$(pkg-config --variable=includedir prefork)
PREFORK_INTERFACE=$(pkg-config --variable=interface prefork)
export PREFORK_INTERFACE
unset PREFORK_LIBRARY LUA_PATH LUA_CPATH LUA_INIT

rock() {
    cp -R "$here" "$work/source"
    (cd "$work/source" && luarocks --lua-version 5.1 make --tree "$work/tree" \
        prefork-0.2.0-1.rockspec) >"$work/rock.log" 2>&1 || {
        cat "$work/rock.log"
        return 1
    }
}

# loads WHERE: the library that was loaded is the one that is meant.
loads() {
    MEANT=$1 luajit -e '
require("prefork")
local maps = io.open("/proc/self/maps"):read("*a")
local path = maps:match("(/[^\n]*libprefork%.so[^\n]*)")
print("loaded: " .. path)
local meant = os.getenv("MEANT")
os.exit(path:sub(1, #meant) == meant)'
}

# The number before a word in the last line of luaunit.
number_of() {
    sed -n "/^Ran /s/.*[^0-9]\([0-9][0-9]*\) $1.*/\1/p" "$work/tests.log"
}

echo "== $(luajit -v), $(luarocks --version | head -n 1)"
judge "the rock is built and installed by luarocks make" rock
LUA_PATH="$work/tree/share/lua/5.1/?.lua;$work/tree/share/lua/5.1/?/init.lua;;"
export LUA_PATH
# As a user has it who did not run ldconfig, then as the loader finds it.
judge "the library that pkg-config names" loads "$prefix/"
LD_LIBRARY_PATH=$library
export LD_LIBRARY_PATH
judge "the library that the loader finds" loads "$prefix/"

LUA_PATH="$here/tests/?.lua;$LUA_PATH"
export LUA_PATH TEST_DIRECTORY="$work/files" PREFORK_INCLUDE="$include"
export PREFORK_GENERATE="$here/generate.sh" PREFORK_EXAMPLES="$work/tree/lib/luarocks/rocks-5.1/prefork/0.2.0-1/examples"
status=0
timeout -k 10 300 luajit "$here/tests/run.lua" -v >"$work/tests.log" 2>&1 || status=$?
cat "$work/tests.log"
good=$(number_of success)
wrong=$(number_of failure)
broken=$(number_of error)
bad=$((${wrong:-0} + ${broken:-0}))
if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
    bad=1
fi
passed=$((passed + ${good:-0}))
failed=$((failed + bad))
if [ -f "$here/../../LICENSE" ]; then
    judge "the license is that of the project" cmp "$here/LICENSE" "$here/../../LICENSE"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
