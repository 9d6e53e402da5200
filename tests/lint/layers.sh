#!/bin/sh
# Data flows one way: api -> runtime -> {core, os} -> base.
#
# A folder of lib/ includes its own headers and those of folders to its right; core and os do
# not know each other. The public header belongs to api alone. System headers belong to os:
# elsewhere only headers without a system behind them may be included, and <errno.h> for its
# names; base may have <stdlib.h> too, since it owns memory.
#
# SPDX-License-Identifier: MIT
set -eu

# shellcheck disable=SC2046 # the names of our sources have no blanks
awk '
    BEGIN {
        may["api"] = " api runtime core os base "
        may["runtime"] = " runtime core os base "
        may["core"] = " core base "
        may["os"] = " os base "
        may["base"] = " base "
        bare = " cstddef stddef.h cstdint stdint.h atomic type_traits utility optional span "
        bare = bare "array bit limits new errno.h "
    }
    function complain(text) {
        printf "%s:%d: %s\n", FILENAME, FNR, text
        found = 1
    }
    FNR == 1 {
        split(FILENAME, part, "/")
        folder = part[2]
        if (!(folder in may)) complain("lib/" folder " is none of the known folders")
    }
    !/^[ \t]*#[ \t]*(include|import)/ { next }
    /"/ {
        name = $0
        sub(/^[^"]*"/, "", name)
        sub(/".*/, "", name)
        if (name == "prefork.h") {
            if (folder != "api") complain("only api includes the public header")
        } else if (name !~ /\// || name ~ /\.\./) {
            complain("include it by its path below lib/: \"" name "\"")
        } else {
            target = name
            sub(/\/.*/, "", target)
            if (index(may[folder], " " target " ") == 0)
                complain("lib/" folder " must not include \"" name "\"")
        }
        next
    }
    /</ {
        name = $0
        sub(/^[^<]*</, "", name)
        sub(/>.*/, "", name)
        if (folder == "os" || index(bare, " " name " ") != 0) next
        if (folder == "base" && name == "stdlib.h") next
        complain("lib/" folder " must not include <" name ">")
        next
    }
    { complain("an include whose name can not be read") }
    END { exit found }
' $(find lib -name '*.h' -o -name '*.cc' | sort)
