#!/bin/sh
# The public header can be used from every language: what is hard to call, or whose size or
# layout may change, has no place in it.
#
# SPDX-License-Identifier: MIT
set -eu

header=include/prefork.h

awk -v header="$header" '
    function complain(text) {
        printf "%s:%d: %s\n", header, start, text
        found = 1
    }
    function has(pattern) { return (" " statement " ") ~ pattern }
    function check_enumerators(list, count, i, each) {
        sub(/^[^{]*\{/, "", list)
        sub(/\}.*/, "", list)
        count = split(list, each, ",")
        for (i = 1; i <= count; i++) {
            if (each[i] ~ /^ *$/ && i == count) continue
            if (each[i] !~ /^ *PF_[A-Z0-9_]+ = -?[0-9]+ *$/)
                complain("an enumerator without an explicit number, or not named PF_: " each[i])
        }
    }
    function check(statement_) {
        statement = statement_
        gsub(/[ \t]+/, " ", statement)
        sub(/^ /, "", statement)
        if (statement ~ /^ *$/ || statement ~ /^} *$/) return
        if (has("[.][.][.]")) complain("a variadic function")
        if (has("[^a-z_]inline[^a-z_]")) complain("an inline function")
        if (has("[^a-z_](long|off_t|time_t|bool|_Bool|pid_t|ssize_t|mode_t)[^a-z_0-9]"))
            complain("a type whose size differs between systems or languages: " statement)
        if (has("[^a-z_]enum [A-Za-z_]")) complain("a named enum, or an enum as a type")
        if (has("[^a-z_](struct|union) [A-Za-z_0-9]* ?[{]")) complain("a public struct or union")
        if (has("[A-Za-z_] ?: ?[0-9]")) complain("a bit-field")
        if (has("^ *enum ?[{]")) { check_enumerators(statement); return }
        if (statement ~ /^typedef/) {
            if (statement !~ /pf_[a-z_]+/) complain("a type that is not named pf_")
            return
        }
        if (statement ~ /[^(]\(/) {
            if (statement !~ /^PF_API .*[ *]pf_[a-z0-9_]+\(/)
                complain("a function without PF_API, or not named pf_: " statement)
            if (statement ~ /\( ?\)/) complain("a function without a prototype: " statement)
            if (statement ~ /\{/) complain("a function with a body")
            return
        }
        complain("exported data, or something else that has no place here: " statement)
    }
    # Declarations one by one, without comments and directives; braces stay together.
    {
        line = $0
        if (in_comment) {
            if (line !~ /\*\//) next
            sub(/^.*\*\//, "", line)
            in_comment = 0
        }
        gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, " ", line)
        if (line ~ /\/\*/) { sub(/\/\*.*/, "", line); in_comment = 1 }
        sub(/\/\/.*/, "", line)
        if (line ~ /^[ \t]*#/) {
            start = FNR
            if (line ~ /^[ \t]*#[ \t]*define/ && line !~ /define (PF_|PREFORK_H)/)
                complain("a macro that is not named PF_")
            if (line ~ /^[ \t]*#[ \t]*include/ && line !~ /<stdint\.h>/)
                complain("includes more than <stdint.h>")
            next
        }
        if (line ~ /^extern "C" *\{ *$/) { guarded = 1; next }
        if (line ~ /^} *$/ && guarded && depth == 0) { guarded = 0; next }
        for (i = 1; i <= length(line); i++) {
            c = substr(line, i, 1)
            if (c == "{") depth++
            if (c == "}") depth--
            if (text ~ /^[ \t]*$/) start = FNR
            if (c == ";" && depth == 0) { check(text); text = "" }
            else text = text c
        }
        text = text " "
    }
    END {
        if (text !~ /^[ \t]*$/) complain("a declaration that does not end: " text)
        exit found
    }
' "$header"
