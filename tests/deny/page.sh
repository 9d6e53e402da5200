#!/bin/sh
# page.sh - prints man/prefork-kernel.7 with the lists of system calls as they must be
#
# They come from calls.txt; which of the three lists has a call follows from table.txt.
#
# SPDX-License-Identifier: MIT
set -eu

awk '
    FILENAME ~ /table/ {
        if ($0 !~ /: works$/) fails[$1] = 1
        if ($0 !~ /: works$/ && $3 == "fork:") needed[$1] = 1
        next
    }
    FILENAME ~ /calls/ {
        if (/^#/) next
        split($0, field, / \| /)
        list = field[1] in needed ? "needed" : field[1] in fails ? "partly" : "replaced"
        items[list] = items[list] ".It Sy " field[1] "\n" source(toupper(substr(field[2], 1, 1)) \
            substr(field[2], 2) ".") source("Without it: " field[3] ".")
        next
    }
    /^\.\\" list: / { print; printf "%s", items[$3]; skips = 1; next }
    /^\.El/ { skips = 0 }
    !skips

    # Names of functions are references.
    function source(text,    words, count, i, line, out, name, mark) {
        gsub(/-E/, "\\-E", text)
        count = split(text, words, " ")
        for (i = 1; i <= count; i++) {
            if (words[i] !~ /^[Pp]f_[a-z_]+\(3\)/) {
                line = line (line == "" ? "" : " ") words[i]
                continue
            }
            name = mark = tolower(words[i])
            sub(/\(3\).*/, "", name)
            sub(/.*\)/, "", mark)
            mark = mark == "" ? "" : " " mark
            out = out (line == "" ? "" : line "\n") ".Xr " name " 3" mark "\n"
            line = ""
        }
        return out (line == "" ? "" : line "\n")
    }
' tests/deny/table.txt tests/deny/calls.txt man/prefork-kernel.7
