#!/bin/sh
# generate.sh - write prefork/cdef.lua from the header of the library
#
# SPDX-License-Identifier: MIT
#
#   generate.sh HEADER >prefork/cdef.lua
#
# LuaJIT reads C without comments, macros and attributes. The tests compare the file with the header
# that is installed.
set -eu

header=$1
cat <<'HEAD'
--- The declarations of prefork.h. generate.sh makes this file.
--
-- SPDX-License-Identifier: MIT
return [[
HEAD
sed '/^#include/d' "$header" | ${CC:-cc} -E -P -DPF_API= -x c - | sed 's/^ *//; /^$/d'
echo ']]'
