#!/bin/sh
# prefork.json says what the header says: every function with its types and every constant with its
# number. A C compiler compares the two.
#
# SPDX-License-Identifier: MIT
set -eu
export LC_ALL=C

. tests/support/script.sh

need jq
description=$BUILD_DIR/prefork.json

same() { # what, one list, another list
    diff "$2" "$3" >"$scratch/difference" || {
        echo "$1: of the header (<) and of prefork.json (>) differ:"
        cat "$scratch/difference"
        found=1
    }
}

# Another type of a function that is declared already, or another number, is an error.
as_c() {
    echo '#include <prefork.h>'
    jq -r '
        def parameters: if .parameters == [] then "void"
            else [.parameters[].type] | join(", ") end;
        def callback: "\(.returns) (*)(\(parameters))";
        (.opaque_types[] | "typedef struct \(.) \(.);"),
        (.callback_types | to_entries[] |
            "typedef \(.value.returns) (*\(.key))(\(.value | parameters));"),
        (.functions | to_entries[] | "\(.value.returns) \(.key)(\(.value | parameters));"),
        (.functions | to_entries[] | .value.parameters[] | select(.callback) |
            "_Static_assert(_Generic((\(.type))0, \(.callback | callback): 1, default: 0), \"\");"),
        (.constants | to_entries[] | "_Static_assert(\(.key) == \(.value), \"\(.key)\");")
    ' "$1"
}

agrees() { # description
    as_c "$1" >"$scratch/interface.c" &&
        "${CC:-gcc}" -std=c11 -Iinclude -Wall -Wextra -Werror -fsyntax-only "$scratch/interface.c"
}

agrees "$description" || found=1

# Each wrong word is noticed.
while read -r right wrong; do
    sed "s/$right/$wrong/" "$description" >"$scratch/wrong.json"
    ! cmp -s "$description" "$scratch/wrong.json" || {
        echo "$right is not in prefork.json"
        found=1
    }
    ! agrees "$scratch/wrong.json" 2>/dev/null || {
        echo "$wrong in place of $right was not noticed"
        found=1
    }
done <<'END'
"PF_EGAVEUP":.-4097 "PF_EGAVEUP":-4098
"type":."uint64_t" "type":"int"
"returns":."int32_t" "returns":"void"
"name":."task_id",."type":."int" "name":"task_id","type":"char"
END

# Nothing is missing.
jq -r '.functions | keys[]' "$description" >"$scratch/functions"
same functions tests/abi/symbols.txt "$scratch/functions"
{
    echo '#include <prefork.h>' | "${CC:-gcc}" -Iinclude -E -P - | grep -o 'PF_[A-Z0-9_]* *='
    echo '#include <prefork.h>' | "${CC:-gcc}" -Iinclude -E -dM - | grep -o 'PF_VERSION_[A-Z]*'
} | sed 's/ *=//' | sort >"$scratch/header"
jq -r '.constants | keys[]' "$description" >"$scratch/constants"
same constants "$scratch/header" "$scratch/constants"

version=$("${PKG_CONFIG:-pkg-config}" --modversion "$BUILD_DIR/prefork.pc")
jq -e --arg version "$version" '.version == $version' "$description" >/dev/null || {
    echo "prefork.json is not of version $version"
    found=1
}
test -e "$BUILD_DIR/$(jq -r .soname "$description")" || {
    echo "the soname of prefork.json does not exist"
    found=1
}

# What cannot be described is an error, not a gap.
{
    cat include/prefork.h
    echo 'PF_API double pf_other(int);'
} >"$scratch/prefork.h"
! awk -f lib/interface.awk lib/prefork.map "$scratch/prefork.h" >/dev/null 2>&1 || {
    echo "a function that is not in the symbol map was accepted"
    found=1
}
{
    cat include/prefork.h
    echo '#define PF_OTHER (-2)'
} >"$scratch/prefork.h"
! awk -f lib/interface.awk lib/prefork.map "$scratch/prefork.h" >/dev/null 2>&1 || {
    echo "a constant that is a macro was left out"
    found=1
}
exit "$found"
