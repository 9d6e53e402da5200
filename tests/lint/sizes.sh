#!/bin/sh
# Files have at most 400 lines, functions at most 70, lines at most 100 columns.
#
# SPDX-License-Identifier: MIT
set -eu

# The public header may have more lines.
awk 'length($0) > 100 { print FILENAME ":" FNR ": more than 100 columns"; found = 1 }
    END { exit found }' include/prefork.h

find lib man/examples tests bindings/shell bindings/cpp \
    \( -name '*.c' -o -name '*.cc' -o -name '*.h' -o -name '*.hpp' -o -name '*.sh' \) |
    sort | xargs awk -v lines_max=400 -v function_max=70 -v columns_max=100 '
    function complain(line, text) {
        printf "%s:%d: %s\n", file, line, text
        found = 1
    }
    function end_file() {
        if (file != "" && count > lines_max) complain(count, "more than " lines_max " lines")
        if (file != "" && depth != 0) complain(count, "braces that this check cannot follow")
    }
    # A brace opens a function if what stands before it has parameters, and nothing around it
    # is a function already. Types, namespaces and initial values open something else.
    function open_brace(i) {
        depth++
        kind[depth] = "other"
        if (inside == 0 && text ~ /\)/ && text !~ /=[ \t]*$/ && text !~ /^[ \t]*extern/) {
            kind[depth] = "function"
            inside = depth
            first = text_line
        }
        text = ""
    }
    function close_brace() {
        if (inside == depth) {
            inside = 0
            if (FNR - first + 1 > function_max)
                complain(first, "a function of " (FNR - first + 1) " lines, at most " function_max)
        }
        depth--
        text = ""
    }
    # Goes through the code of one line, without comments, strings and characters.
    function scan(line, at, length_, c, two) {
        length_ = length(line)
        for (at = 1; at <= length_; at++) {
            c = substr(line, at, 1)
            two = substr(line, at, 2)
            if (comment) {
                if (two == "*/") { comment = 0; at++ }
            } else if (quote != "") {
                if (c == "\\") at++
                else if (c == quote) quote = ""
            } else if (two == "//") return
            else if (two == "/*") { comment = 1; at++ }
            else if (c == "\"") quote = c
            # Between digits it only separates them.
            else if (c == "\047" && substr(line, at - 1, 1) !~ /[0-9]/) quote = c
            else if (c == "{") open_brace()
            else if (c == "}") close_brace()
            else if (c == ";") text = ""
            else {
                if (text ~ /^[ \t]*$/) text_line = FNR
                text = text c
            }
        }
        text = text " "
    }
    FNR == 1 {
        end_file()
        file = FILENAME
        depth = inside = comment = directive = 0
        quote = text = ""
    }
    { count = FNR }
    length($0) > columns_max { complain(FNR, length($0) " columns, at most " columns_max) }
    /[ \t]$/ { complain(FNR, "white space at the end of the line") }
    FILENAME ~ /\.sh$/ { next }
    directive || (!comment && /^[ \t]*#/) {
        directive = /\\$/
        next
    }
    { scan($0) }
    END { end_file(); exit found }
'
