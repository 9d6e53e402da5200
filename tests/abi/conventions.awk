# How each function of the public header returns, as its comment says: one line a function, with
# what a success is and whether an error is a negative code.
#
#   awk -f tests/abi/conventions.awk include/prefork.h
#
# A function without a comment of its own belongs to a family, whose comment comes first.
#
# SPDX-License-Identifier: MIT

function success(type, text) {
    sub(/^.*\n *Returns: */, "", text)
    if (type ~ /\*/) return "pointer"
    if (type == "void") return "nothing"
    if (text ~ /^0/) return "zero"
    if (text ~ /^1 /) return "one-or-zero"
    if (text ~ /^the (descriptor|socket|connection)/) return "descriptor"
    if (text ~ /^only if it failed/) return "only-errors"
    return "number"
}

/^\/\*/ { comment = "\n"; in_comment = 1 }
in_comment {
    line = $0
    in_comment = line !~ /\*\//
    gsub(/^[ \/]*\*+|\*+\/.*$/, "", line)
    comment = comment line "\n"
    next
}
/^PF_API / {
    declaration = $0
    while (declaration !~ /;/ && (getline line) > 0) declaration = declaration line
    sub(/^PF_API /, "", declaration)
    name = type = substr(declaration, 1, index(declaration, "(") - 1)
    sub(/.*[ *]/, "", name)
    sub(/[a-z0-9_]+$/, "", type)
    gsub(/ /, "", type)
    if (comment ~ /\n *Returns:/) {
        has_code = comment ~ /-E[A-Z]|PF_E[A-Z]|negative code/
        print name, success(type, comment), has_code ? "negative-code" : "no-error"
    } else {
        print name, type == "void" ? "nothing" : "family", "family"
    }
    comment = ""
}
