#!/bin/sh
# Write the examples into the pages that show them, and into README.md: `make format` does it.
#
# SPDX-License-Identifier: MIT
set -eu

new=$(mktemp)
trap 'rm -f "$new"' EXIT

# Under the line that names its file, a display is that file.
for page in man/*.[37]; do
    awk '
        /^\.\\" example: / { file = "man/examples/" $3 }
        /^\.Bd/ && file != "" {
            print
            while ((getline line <file) > 0) {
                gsub(/\\/, "\\e", line)
                if (line ~ /^[.'\'']/) line = "\\&" line
                print line
            }
            close(file)
            shown = 1
        }
        /^\.Ed/ { file = ""; shown = 0 }
        !shown
    ' "$page" >"$new"
    cmp -s "$new" "$page" || cat "$new" >"$page"
done

# The first program, without its head.
awk '
    !done && /^```c$/ {
        print
        while ((getline line <"man/examples/minimal.c") > 0) {
            if (line ~ /^#include/) begun = 1
            if (begun) print line
        }
        inside = done = 1
    }
    inside && /^```$/ { inside = 0 }
    !inside
' README.md >"$new"
cmp -s "$new" README.md || cat "$new" >README.md
