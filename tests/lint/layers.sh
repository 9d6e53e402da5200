#!/bin/sh
# Data flows one way: api -> runtime -> {core, os} -> base.
#
# A folder of lib/ includes its own headers and those of folders to its right; core and os do
# not know each other. The public header belongs to api alone. System headers belong to os:
# elsewhere only headers without a system behind them may be included, and <errno.h> for its
# names; base may have <stdlib.h> too, since it owns memory.
#
# The rooms of lib/os have an order of their own: each includes only those in its row below. A
# circle of files is found unit by unit in all of lib/; a unit is a header and its source.
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
        ground = " process fd "
        rooms["process"] = rooms["fd"] = ground
        rooms["cpu"] = ground " cpu "
        rooms["net"] = ground " net "
        rooms["signals"] = ground " signals "
        rooms["channel"] = ground " channel "
        rooms["service"] = ground " service "
        rooms["watch"] = ground " watch signals "
        rooms["spawn"] = ground " spawn watch signals channel net service "
        rooms["upgrade"] = rooms["spawn"] " upgrade "
    }
    function complain(text) {
        printf "%s:%d: %s\n", FILENAME, FNR, text
        found = 1
    }
    FNR == 1 {
        split(FILENAME, part, "/")
        folder = part[2]
        if (!(folder in may)) complain("lib/" folder " is none of the known folders")
        room = part[3]
        if (folder == "os" && !(room in rooms))
            complain("lib/os/" room " is none of the known rooms")
        unit = FILENAME
        sub(/^lib\//, "", unit)
        sub(/\.[a-z]+$/, "", unit)
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
            split(name, part, "/")
            if (folder == "os" && target == "os" && index(rooms[room], " " part[2] " ") == 0)
                complain("lib/os/" room " must not include \"" name "\"")
            sub(/\.h$/, "", name)
            if (name != unit) {
                includes[unit] = includes[unit] " " name
                left[unit] = 1
            }
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
    { complain("an include whose name cannot be read") }
    # Units that include nothing that is left are taken away until no more can be: what stays is
    # in a circle or includes one.
    END {
        do {
            taken = 0
            for (unit in left) {
                count = split(includes[unit], names, " ")
                while (count > 0 && !(names[count] in left)) count--
                if (count == 0) {
                    delete left[unit]
                    taken = 1
                }
            }
        } while (taken)
        for (unit in left) {
            # From any of them the way ends in a circle.
            while (!(unit in seen)) {
                seen[unit] = 1
                count = split(includes[unit], names, " ")
                while (!(names[count] in left)) count--
                path = path " -> " names[count]
                unit = names[count]
            }
            sub(".* -> " unit " -> ", " -> ", path)
            print "lib: a circle of files: " unit path
            found = 1
            break
        }
        exit found
    }
' $(find lib -name '*.h' -o -name '*.cc' | sort)
