#!/bin/bash
# Tools that find faults without a test for each: make analysis
#
#   cppcheck         lib/; what is suppressed has its reason in cppcheck.txt
#   gcc -fanalyzer   the C of the tests and the examples. Of C++ gcc 12 understands too little: of a
#                    leak, a double free and a null pointer that were planted in C++ it reports the
#                    last alone, and of lib/ it reports three leaks of blocks that a caller gets.
#                    clang-tidy's analyzer looks at lib/
#   clang-tidy       as make lint, with an analyzer that follows each function for longer
#   memcheck         the unit tests and some of tests/api. valgrind 3.19 does not know the system
#                    calls of pidfds: it answers ENOSYS, so that the SIGCHLD backend is what runs
#   races            ThreadSanitizer and helgrind report a planted race. What the library publishes
#                    by an atomic is a race for helgrind, which does not know them: threads are left
#                    to make check SAN=thread. So it reports each request from another thread: that
#                    reads the stage of the pool, an atomic that is written after all that the
#                    request reads, and then numbers of descriptors, which are atomics as well
#   conversions      clang's integer, implicit-conversion, nullability and more, on the unit tests
#
# SAMPLE=1 does the first and one test of memcheck. Ends with "N passed, N failed".
#
# shellcheck disable=SC2317 # functions are called by check
#
# SPDX-License-Identifier: MIT
set -uo pipefail
export LC_ALL=C

build=build
processors=$(getconf _NPROCESSORS_ONLN)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
passed=0
failed=0

# check NAME COMMAND...: its output is shown if it fails.
check() {
    local name=$1 start=$SECONDS
    shift
    if "$@" >"$scratch/output" 2>&1 </dev/null; then
        passed=$((passed + 1))
        printf '  ok   %s (%d s)\n' "$name" $((SECONDS - start))
    else
        failed=$((failed + 1))
        printf '  FAIL %s (%d s)\n' "$name" $((SECONDS - start))
        tail -n 60 "$scratch/output" | sed 's/^/       /'
    fi
}

# reported PATTERN COMMAND...: the command fails and says so.
reported() {
    local pattern=$1
    shift
    ! "$@" >"$scratch/report" 2>&1 && grep -q "$pattern" "$scratch/report" && return
    cat "$scratch/report"
    return 1
}

submake() {
    "${MAKE:-make}" --no-print-directory -j"$processors" "$@"
}

run_cppcheck() {
    mkdir -p "$build/cppcheck"
    cppcheck -q -j"$processors" --enable=warning,performance,portability,style --std=c++20 \
        --language=c++ --library=posix --inline-suppr --suppress=missingIncludeSystem \
        --suppressions-list="$scratch/suppressions" --cppcheck-build-dir="$build/cppcheck" \
        --error-exitcode=1 -Iinclude -Ilib lib
}

# Left out: loops with headers of other libraries, the planted faults, and tests/api, as the
# analyzer does not know that a failed assertion of CMocka ends the case, and sees null pointers
# behind it.
run_analyzer() {
    find tests man/examples -name '*.c' ! -path 'tests/api/*' ! -path 'tests/loops/*' \
        ! -path 'tests/analysis/leak.c' ! -name 'libuv*' ! -name 'libevent*' ! -name 'glib*' |
        sort >"$scratch/sources"
    xargs -P "$processors" -n 1 gcc -std=c99 -O1 -fanalyzer -Werror -Wno-analyzer-too-complex \
        "${analyzer_off[@]}" -Iinclude -Itests/support -Itests/bench -c -o /dev/null \
        <"$scratch/sources"
}
# Not so, or without a harm in programs that end:
analyzer_off=(
    -Wno-analyzer-malloc-leak       # a test that fails ends without a free
    -Wno-analyzer-file-leak         # nor does it close
    -Wno-analyzer-possible-null-argument
    -Wno-analyzer-possible-null-dereference # without memory a test may crash
)

memcheck() { # program...
    valgrind -q --error-exitcode=9 --trace-children=yes --trace-children-skip='/bin/*,/usr/bin/*' \
        --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
        "$@" 2>&1 |
        grep -v '^--[0-9]*-- ' >"$scratch/valgrind"
    local status=${PIPESTATUS[0]}
    cat "$scratch/valgrind"
    # What a child did need not be in the status of its parent.
    test "$status" -eq 0 && ! grep -Eq '^==[0-9]+== ' "$scratch/valgrind"
}

helgrind() {
    valgrind -q --tool=helgrind --error-exitcode=9 "$@"
}

compile() { # output, source, options...
    gcc -std=c99 -g -O0 -o "$scratch/$1" "tests/analysis/$2" "${@:3}"
}

finish() {
    echo "$passed passed, $failed failed"
    test "$failed" -eq 0
    exit
}

# cppcheck takes no comment beside a name.
grep -v '^#' tests/analysis/cppcheck.txt >"$scratch/suppressions"
check 'cppcheck: lib' run_cppcheck

compile leak leak.c && compile race race.c -pthread &&
    compile race_tsan race.c -pthread -fsanitize=thread
check 'memcheck reports a planted leak' reported 'definitely lost' memcheck "$scratch/leak"
check 'memcheck reports a planted use of what was never written' \
    reported 'uninitialised' memcheck "$scratch/leak" uninitialised
if [[ -n ${SAMPLE-} ]]; then
    check 'build' submake all build/tests/api/semantics_test
    check 'memcheck: api/semantics_test' memcheck build/tests/api/semantics_test
    finish
fi

# No test of workers by exec: valgrind makes a fork of the clone(CLONE_VM | CLONE_VFORK) that starts
# them, and what the child writes into the memory of its supervisor, the error of an execve(2) among
# it, does not come there.
api=(semantics_test pool_restart_test pool_stop_test reload_amid_test host_fork_worker_test)
# threads_test has no faults there, but valgrind runs one thread at a time: a case in which threads
# interrupt each other thousands of times takes minutes. ThreadSanitizer plays it.
mapfile -t unit < <(basename -s .cc tests/unit/*_test.cc | grep -v '^threads_test$')
check 'build' submake all "${api[@]/#/build/tests/api/}" "${unit[@]/#/build/tests/unit/}"
for name in "${unit[@]}"; do
    check "memcheck: unit/$name" memcheck "build/tests/unit/$name"
done
for name in "${api[@]}"; do
    check "memcheck: api/$name" memcheck "build/tests/api/$name"
done
check 'helgrind reports a planted race' reported 'data race' helgrind "$scratch/race"
check 'ThreadSanitizer reports a planted race' reported 'data race' "$scratch/race_tsan"
check 'clang-tidy, in depth' env ANALYZER_NODES=225000 tests/lint/tidy.sh
check 'gcc -fanalyzer: tests and examples' run_analyzer

# Left out: unsigned-integer-overflow and unsigned-shift-base, which are defined and which hashes
# use; implicit-integer-sign-change, which -Wsign-conversion says when it compiles.
conversions=implicit-integer-truncation,implicit-integer-arithmetic-value-change
conversions+=,nullability,float-cast-overflow,float-divide-by-zero,local-bounds
run_conversions() {
    # SAN leaves -z defs out of the link: the sanitizer's symbols are in the program.
    submake BUILD=build/conversions CC=clang CXX=clang++ SAN="$conversions" CFLAGS='-O1 -g' \
        SUITES='unit sim' TEST= check-run
}
check 'conversions: unit tests and simulator' run_conversions
finish
