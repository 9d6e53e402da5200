#!/bin/sh
# The manual as HTML: every page is there, every link to a page of this project or to a place in
# one leads somewhere, and no place has two of the same name.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

man/html.sh "$scratch" 2>"$scratch/errors"
test ! -s "$scratch/errors" || {
    cat "$scratch/errors"
    exit 1
}
for page in man/*.[137]; do
    test -s "$scratch/${page##*/}.html" || {
        echo "$page: there is no HTML of it"
        found=1
    }
done
cd "$scratch"
awk '
    BEGIN { is_file["./prefork.css"] = 1 }
    FNR == 1 { is_file[FILENAME] = 1 }
    {
        rest = $0
        while (match(rest, /(id|href)="[^"]*"/)) {
            word = substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART + RLENGTH)
            value = word
            sub(/^[a-z]*="/, "", value)
            sub(/"$/, "", value)
            if (word ~ /^id=/) {
                place = FILENAME "#" value
                if (is_place[place]++) complain(place " stands twice")
            } else if (value !~ /^https:/) {
                link[FILENAME, value] = (value ~ /^#/ ? FILENAME : "./") value
            }
        }
    }
    function complain(text) { print text; found = 1 }
    END {
        for (pair in link) {
            split(pair, part, SUBSEP)
            if (!(link[pair] in is_file) && !(link[pair] in is_place))
                complain(part[1] ": a link to " part[2] ", which is not there")
        }
        exit found
    }
' ./*.html || found=1
exit "$found"
