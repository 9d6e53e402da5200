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
            if (each[i] ~ /^ *PF_E[A-Z]+ =/ && each[i] !~ /^ *PF_E(VENT|XIT) / && \
                substr(each[i], index(each[i], "=") + 1) + 0 >= -4096)
                complain("an error code that may be a negative errno:" each[i])
        }
    }
    function trim(text) {
        gsub(/^ +| +$/, "", text)
        return text
    }
    # What is easy to call from every language, and nothing else.
    function is_result(type) {
        return type ~ /^(void|int|int32_t|uint64_t|const char \*|pf_pool \*)$/
    }
    function is_parameter(type) {
        return type ~ /^(int|int32_t|uint32_t|uint64_t|pf_event_fn|const char \*|void \*)$/ || \
            type ~ /^(const char \*const \*|(const )?pf_pool \*|const pf_event \*)$/ || \
            type ~ /^(int \*|pf_pool \*\*|const pf_event \*\*)$/
    }
    function check_parameter(function_, text, name, type) {
        if (text ~ /\(\*[a-z_]+\)\(/) {
            name = text
            sub(/^[^*]*\(\*/, "", name)
            sub(/\).*/, "", name)
            return name == "free_user" ? "free_user" : "fn"
        }
        name = text
        sub(/^.*[ *]/, "", name)
        type = trim(substr(text, 1, length(text) - length(name)))
        if (name == "" || type == "") { complain("a parameter without a name: " text); return }
        if (!is_parameter(type))
            complain(function_ ": a type that is hard to call with: " type)
        if ((name ~ /^ret_/) != (type ~ /^(int \*|.*\*\*)$/ && type !~ /const \*$/))
            complain(function_ ": only and every result parameter is named ret_: " name)
        if ((name ~ /(^|_)pid$/) != (type == "int32_t"))
            complain(function_ ": a process id is an int32_t, and nothing else is: " name)
        # -1 waits without end, as in poll(2).
        if ((name ~ /_ms$/) != (type == "uint64_t") && function_ != "pf_pool_dispatch")
            complain(function_ ": a duration is a uint64_t name_ms: " name)
        return type == "pf_event_fn" ? "fn" : name
    }
    function check_function(statement, name, result, list, depth, i, c, text, names) {
        name = result = list = statement
        sub(/\(.*/, "", name)
        sub(/^.*[ *]/, "", name)
        sub(/^ *PF_API /, "", result)
        result = trim(substr(result, 1, index(result, name) - 1))
        if (!is_result(result)) complain(name ": a result that is hard to read: " result)
        if (name ~ /_pid$/ && result != "int32_t") complain(name ": a process id is an int32_t")
        if (result == "uint64_t" && name !~ /_(ms|us|ns|kib|counter)$/)
            complain(name ": a number without its unit in the name")
        if (name ~ /_free$/ && result !~ /\*$/) complain(name ": returns no pointer, for NULL")
        list = substr(list, index(list, "(") + 1)
        sub(/\) *$/, "", list)
        if (trim(list) == "void") return
        for (i = 1; i <= length(list) + 1; i++) {
            c = i <= length(list) ? substr(list, i, 1) : ","
            depth += (c == "(") - (c == ")")
            if (c != "," || depth > 0) { text = text c; continue }
            names = names " " check_parameter(name, trim(text))
            text = ""
        }
        if (name ~ /_set_/ && names ~ /^ pool .*fn/ && names !~ / fn user free_user$/)
            complain(name ": a callback without user and free_user")
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
            else check_function(statement)
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
