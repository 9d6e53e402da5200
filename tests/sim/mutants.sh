#!/bin/sh
# Shows that the simulator bites: each deliberate defect of tests/sim/mutants.txt is put into a
# copy of lib/, which the simulator then has to fail. Takes what make has built in BUILD_DIR.
#
#     tests/sim/mutants.sh [WORD...]     only the mutants with one of these words in their title
#
# SAMPLE=1: some of them, chosen by SEED. APPLY=1: only looks whether each can still be put in.
#
# SPDX-License-Identifier: MIT
set -eu

here=$(dirname "$0")
build=${BUILD_DIR:-build}
cxx=${CXX:-g++}
histories=${HISTORIES:-300000}
. tests/support/script.sh

compile() { # source, object; the mutated copy of lib/ comes first
    "$cxx" -std=c++20 -O1 -w -fno-exceptions -fno-rtti -fPIC -fvisibility=hidden \
        -U_GLIBCXX_ASSERTIONS -I"$scratch/lib" -Iinclude -c -o "$2" "$1"
}

# Writes the mutants one to a file: N.mutant.
split_mutants() {
    awk -v to="$scratch" '
        /^mutant / { close(name); name = to "/" sprintf("%03d", ++count) ".mutant" }
        name != "" && !/^#/ && NF > 0 { print >name }
    ' "$here/mutants.txt"
}

# Makes the replacements of a mutant, given first, in the file given second.
mutate() {
    awk '
        NR == FNR {
            word = $1
            text = $0
            sub(/^[a-z]+ ?/, "", text)
            if (word == "after") after[steps + 1] = after[steps + 1] text "\n"
            else if (word == "from") from[++steps] = text
            else if (word == "to") to[steps] = text
            next
        }
        { line[++lines] = $0 }
        function fail(reason, step) {
            print "does not apply: " reason ": " from[step] >"/dev/stderr"
            failed = 1
            exit 1
        }
        # Two replacements of a mutant are never in the same line.
        function place_of(step, first, anchors, count, index_, found) {
            first = 1
            count = split(after[step], anchors, "\n") - 1
            for (index_ = 1; index_ <= count; index_++) {
                while (first <= lines && index(line[first], anchors[index_]) == 0) first++
            }
            for (index_ = first; index_ <= lines; index_++) {
                if (index(line[index_], from[step]) == 0 || index_ == done) continue
                if (found && count <= 0) fail("several lines", step)
                if (!found) found = index_
            }
            if (!found) fail("no line", step)
            return found
        }
        END {
            if (failed) exit 1
            for (step = 1; step <= steps; step++) {
                at = place_of(step)
                start = index(line[at], from[step])
                line[at] = substr(line[at], 1, start - 1) to[step] \
                    substr(line[at], start + length(from[step]))
                done = at
            }
            for (at = 1; at <= lines; at++) print line[at]
        }
    ' "$1" "$2"
}

# The objects that the mutated file goes into: itself, or for a header all that could include it.
build_mutant() { # file below lib/
    rm -rf "$scratch/objects"
    mkdir "$scratch/objects"
    # Not by the objects that are there: those of files that were renamed stay.
    for source in lib/core/*.cc; do
        cp "$build/${source%.cc}.o" "$scratch/objects" || return 1
    done
    for source in lib/runtime/*.cc; do
        cp "$build/${source%.cc}.o" "$scratch/objects/runtime_$(basename "$source" .cc).o" ||
            return 1
    done
    cp "$build"/tests/sim/renamed/*/*.o "$scratch/objects" || return 1
    # The shell does not end at an error here, since the caller asks for the result.
    case $1 in
    core/*.cc) compile "$scratch/lib/$1" "$scratch/objects/$(basename "$1" .cc).o" || return 1 ;;
    os/*.cc)
        renamed=$scratch/objects/$(basename "$1" .cc).o
        compile "$scratch/lib/$1" "$renamed" &&
            objcopy --redefine-syms="$here/renamed.txt" "$renamed" || return 1
        ;;
    runtime/*.cc)
        compile "$scratch/lib/$1" "$scratch/objects/runtime_$(basename "$1" .cc).o" || return 1
        ;;
    *)
        for source in "$scratch"/lib/core/*.cc; do
            compile "$source" "$scratch/objects/$(basename "$source" .cc).o" || return 1
        done
        for source in pool start inputs; do
            compile "$scratch/lib/runtime/$source.cc" "$scratch/objects/runtime_$source.o" ||
                return 1
        done
        ;;
    esac
    # The mutated objects come first, so that their inline functions are the ones that are taken.
    # shellcheck disable=SC2046 # words on purpose
    "$cxx" -o "$scratch/sim" "$scratch"/objects/*.o \
        $(find "$here" -name '*.cc' | sed "s#.*/\(.*\)\.cc#$build/tests/sim/objects/\1.o#") \
        $(cat "$here/wrapped.txt")
}

# Reads what a mutant is named, and which file below lib/ it changes.
look_at() { # mutant
    {
        read -r _ title
        read -r _ file
    } <"$1"
}

is_chosen() { # words; any of them in the title, or none at all
    test $# -eq 0 && return 0
    for word; do
        case $title in *"$word"*) return 0 ;; esac
    done
    return 1
}

# The files of the mutants that are to be tried, in the order of mutants.txt.
chosen_mutants() { # words
    for mutant in "$scratch"/*.mutant; do
        look_at "$mutant"
        if is_chosen "$@"; then
            echo "$mutant"
        fi
    done | if test -n "${SAMPLE-}"; then
        awk -v seed="$seed" 'BEGIN { srand(seed) } { print rand(), $0 }' | sort |
            head -n 5 | cut -d ' ' -f 2 | sort
    else
        cat
    fi
}

# Puts the mutant into a copy of lib/ and builds the simulator with it.
build_simulator() { # mutant
    rm -rf "${scratch:?}/lib"
    cp -r lib "$scratch/lib"
    mutate "$1" "lib/$file" >"$scratch/lib/$file" && build_mutant "$file"
}

# Prints what has caught the mutant that was built; fails if nothing has.
catch() {
    status=0
    timeout 300 "$scratch/sim" --seed 1 --histories "$histories" >"$scratch/output" 2>&1 ||
        status=$?
    check=$(sed -n 's/^# FAILED: [^:]*: \([a-z-]*\): .*/\1/p' "$scratch/output")
    operations=$(sed -n 's/^# found after \([0-9]*\) operations/\1/p' "$scratch/output")
    if test "$status" -ne 1 || test -z "$check"; then
        echo "SURVIVED (status $status)"
        return 1
    fi
    printf '%-18s %12s\n' "$check" "$operations"
}

# Prints what has come of the mutant; fails if that is not what is wanted.
try() { # mutant
    if test -n "${APPLY-}"; then
        mutate "$1" "lib/$file" >/dev/null && echo 'can be applied' && return
    elif build_simulator "$1"; then
        catch
        return
    fi
    echo 'NOT APPLIED'
    return 1
}

split_mutants
seed=${SEED:-$(date +%s)}
test -z "${SAMPLE-}" || echo "# seed $seed"
passed=0
failed=0
test -n "${APPLY-}" || printf '%-58s %-18s %12s\n' mutant 'caught by' operations
for mutant in $(chosen_mutants "$@"); do
    look_at "$mutant"
    if result=$(try "$mutant"); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
    printf '%-58s %s\n' "$title" "$result"
done
echo "$passed passed, $failed failed"
test "$failed" -eq 0 && test "$passed" -gt 0
