# The public header as JSON, for generators of bindings and for their tests.
#
#   awk -f lib/interface.awk lib/prefork.map include/prefork.h
#
# The symbol map says since which version a function exists. The header holds nothing but
# comments, directives, anonymous enums with explicit numbers, opaque types, callback types and
# functions: tests/lint/ffi.sh sees to that. Whatever else is found ends this program with an error.
#
# SPDX-License-Identifier: MIT

function fail(text) {
    printf "%s: cannot describe: %s\n", FILENAME, text >"/dev/stderr"
    failed = 1
    exit 1
}

function trim(text) {
    gsub(/[ \t]+/, " ", text)
    gsub(/^ | $/, "", text)
    return text
}

function append(list, item) { return list == "" ? item : list ",\n" item }

# The end of the argument list that begins with text: the index of its closing parenthesis.
function closing(text, i, depth) {
    for (i = 1; i <= length(text); i++) {
        depth += (substr(text, i, 1) == "(") - (substr(text, i, 1) == ")")
        if (depth == 0) return i
    }
    fail(text)
}

# "int (*fn)(int, void *)" or "const char *name": the JSON of one parameter.
function parameter(text, at, name, type, rest) {
    text = trim(text)
    if ((at = index(text, "(*")) > 0) {
        rest = substr(text, at + 2)
        name = substr(rest, 1, index(rest, ")") - 1)
        rest = substr(rest, index(rest, ")") + 1)
        return sprintf("{\"name\": \"%s\", \"type\": \"%s (*)%s\", \"callback\": {%s}}", name,
                       trim(substr(text, 1, at - 1)), rest,
                       signature(trim(substr(text, 1, at - 1)), rest))
    }
    if (!match(text, /[a-z_0-9]+$/) || RSTART == 1)
        return sprintf("{\"name\": null, \"type\": \"%s\"}", text)
    name = substr(text, RSTART)
    type = trim(substr(text, 1, RSTART - 1))
    return sprintf("{\"name\": \"%s\", \"type\": \"%s\"}", name, type)
}

# A result type and "(int a, void *b)".
function signature(result, list, inner, depth, i, c, each, all) {
    inner = substr(list, 2, closing(list) - 2)
    if (trim(inner) == "void") inner = ""
    for (i = 1; i <= length(inner) + 1; i++) {
        c = i <= length(inner) ? substr(inner, i, 1) : ","
        depth += (c == "(") - (c == ")")
        if (c != "," || depth > 0) {
            each = each c
        } else if (inner != "") {
            all = (all == "" ? "" : all ", ") parameter(each)
            each = ""
        }
    }
    return sprintf("\"returns\": \"%s\", \"parameters\": [%s]", result, all)
}

function enumerators(text, count, i, each, pair) {
    sub(/^[^{]*\{/, "", text)
    sub(/\}.*/, "", text)
    count = split(text, each, ",")
    for (i = 1; i <= count; i++) {
        if (trim(each[i]) == "" && i == count) continue
        if (split(trim(each[i]), pair, " = ") != 2 || pair[2] !~ /^-?[0-9]+$/) fail(each[i])
        constants = append(constants, sprintf("    \"%s\": %s", pair[1], pair[2]))
    }
}

function declaration(text, at, name, result) {
    text = trim(text)
    if (text == "" || text == "}") return
    if (text ~ /^enum \{/) {
        enumerators(text)
    } else if (text ~ /^typedef struct [a-z_]+ [a-z_]+$/) {
        sub(/^.* /, "", text)
        opaque = (opaque == "" ? "" : opaque ", ") "\"" text "\""
    } else if (text ~ /^typedef [^(]*\(\*[a-z_]+\)\(/) {
        sub(/^typedef /, "", text)
        at = index(text, "(*")
        name = substr(text, at + 2)
        result = trim(substr(text, 1, at - 1))
        at = index(name, ")")
        callbacks = append(callbacks, sprintf("    \"%s\": {%s}", substr(name, 1, at - 1),
                                              signature(result, substr(name, at + 1))))
    } else if (text ~ /^PF_API [^(]*[ *]pf_[a-z0-9_]+\(.*\)$/) {
        sub(/^PF_API /, "", text)
        at = index(text, "(")
        match(substr(text, 1, at - 1), /[a-z0-9_]+$/)
        name = substr(text, RSTART, at - RSTART)
        if (!(name in since)) fail(name ": not in the symbol map")
        functions = append(functions, sprintf("    \"%s\": {%s, \"since\": \"%s\"}", name,
                           signature(trim(substr(text, 1, RSTART - 1)), substr(text, at)),
                           since[name]))
    } else {
        fail(text)
    }
}

FNR == 1 { file++ }
file == 1 && /^PREFORK_/ { sub(/PREFORK_/, "", $1); node = $1 }
file == 1 && /^ *pf_[a-z0-9_]+;/ { sub(/;/, "", $1); since[$1] = node }
file == 1 { next }

/^#define PF_VERSION_[A-Z]+ [0-9]+$/ {
    version = (version == "" ? "" : version ".") $3
    constants = append(constants, sprintf("    \"%s\": %s", $2, $3))
}
/^#define PF_/ && !/^#define PF_(API|VERSION_[A-Z]+) / { fail($0) }
{
    line = $0
    if (in_comment) {
        if (!sub(/^.*\*\//, "", line)) next
        in_comment = 0
    }
    gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, " ", line)
    if (sub(/\/\*.*/, "", line)) in_comment = 1
    if (line ~ /^[ \t]*#/ || line ~ /^extern "C"/) next
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        depth += (c == "{") - (c == "}")
        if (c == "}" && depth < 0) { # of extern "C"
            depth = 0
        } else if (c == ";" && depth == 0) {
            declaration(text)
            text = ""
        } else {
            text = text c
        }
    }
    text = text " "
}

END {
    if (failed) exit 1
    if (trim(text) != "") fail(text)
    printf "{\n  \"version\": \"%s\",\n  \"soname\": \"libprefork.so.%d\",\n", version, version
    printf "  \"opaque_types\": [%s],\n", opaque
    printf "  \"constants\": {\n%s\n  },\n", constants
    printf "  \"callback_types\": {\n%s\n  },\n", callbacks
    printf "  \"functions\": {\n%s\n  }\n}\n", functions
}
