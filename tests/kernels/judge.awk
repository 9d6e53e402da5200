# Judge the output of a system: awk -v kernel=NAME -f judge.awk exceptions.txt facts.txt core OUTPUT
#
# A case that fails or is skipped has failed, unless exceptions.txt names it for this system. One
# that it names and that passes has failed as well, or the list would be out of date. The facts are
# those of facts.txt. Prints what is not as expected, and "N passed, N failed, N as listed".
#
# SPDX-License-Identifier: MIT

function complain(text) {
    failed++
    printf "       %s\n", text
}

# Whether a result that is not "passed" is one of the list.
function listed(test, name, how, key) {
    key = test " " name
    if (!(key in wanted)) key = test " *"
    if (!(key in wanted) || wanted[key] != how) return 0
    seen[key]++
    expected++
    return 1
}

FNR == 1 { file++ }

file == 1 {
    if ($1 == kernel || $1 == "all" || ($1 == "linux" && kernel ~ /^[0-9]/)) wanted[$2 " " $3] = $4
    next
}

file == 2 {
    if ($1 == kernel) fact[$2] = $3
    next
}

file == 3 {
    core[$1] = 1
    next
}

{ sub(/\r$/, "") }

$1 == "@@begin" {
    test = $2
    sub(/.*\//, "", test)
    delete core[$2]
    planned = ran = bad = 0
    text = ""
    next
}

$1 == "@@done" { done = 1 }

$1 == "@@end" && test == "facts" {
    for (name in fact) complain("no such fact: " name)
    test = ""
    next
}

$1 == "@@end" {
    if ($2 == 77 && planned == 0) {
        if (!listed(test, "*", "skips")) complain(test ": skipped: " text)
    } else if (planned == 0 || ran < planned) {
        if (!listed(test, "*", "ends")) complain(test ": ended early, status " $2 ": " text)
    } else if ($2 != 0 && bad == 0) {
        complain(test ": status " $2)
    }
    test = ""
    next
}

test == "facts" && $1 == "release" {
    release = $2
    next
}

test == "facts" {
    if ($1 == "backend") backend = $2
    if (fact[$1] == $2) passed++
    else complain("fact " $1 ": " $2 ", not " fact[$1])
    delete fact[$1]
    next
}

test != "" {
    line = $0
    sub(/^[ \t]+/, "", line)
    if (line ~ /^1\.\.[0-9]+/) planned += substr(line, 4)
    else if (line ~ /^(not )?ok [0-9]+/) {
        ran++
        how = line ~ /# SKIP / ? "skips" : line ~ /^not / ? "fails" : "passes"
        sub(/^(not )?ok [0-9]+ -? ?(# SKIP )?/, "", line)
        name = line
        sub(/ .*/, "", name)
        if (how == "passes") passed++
        else {
            if (how == "fails") bad++
            if (!listed(test, name, how)) complain(test ": " name " " how)
        }
    } else if (length(line) > 0 && line !~ /^TAP/) text = substr(line, 1, 200)
}

END {
    for (name in core) complain(name ": did not run")
    if (!done) complain("the system ended before its tests did")
    for (key in wanted)
        if (!(key in seen) && !sampled) complain("passes, but is an exception: " key)
    printf "@@ %s %s %d %d %d\n", release == "" ? "?" : release, backend == "" ? "?" : backend, \
        passed, failed, expected
}
