#!/bin/bash
# The library on other machines, with another C library, and with other options of the compiler:
#
#   tests/machines/machines.sh [MACHINE...]
#
#   musl, i686                run here; i686 has pointers of 32 bits
#   aarch64, riscv64, s390x   run by qemu-user; s390x stores the highest byte first
#   x86-64                    gcc and clang, each with every option of $options, plain and hardened;
#                             gcc-O2 is one of these, clang-Os-hardened another
#
# Each builds the shared library and the archive without a warning, needs nothing but the C library,
# links a program with the archive at every optimisation and runs it, takes the backend that
# facts.txt names, and runs the core of the suite: the programs of core.txt. exceptions.txt has the
# cases that fail on a machine, with the reason: one that passes there has failed. SAMPLE=1 takes a
# minute. Ends with "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -euo pipefail
export LC_ALL=C

. tests/machines/toolchain.sh

foreign='musl i686 aarch64 riscv64 s390x'
options='-O0 -O1 -O2 -O3 -Os -Oz -flto'
hardened='-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong'
hardened+=' -fstack-clash-protection -fcf-protection'
jobs=-j$(getconf _NPROCESSORS_ONLN)
directory=$PWD/build/machines
export BUILD_MACHINES=$directory
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'exit 130' INT TERM HUP

all_passed=0
all_failed=0
all_skipped=0

# Adds to the table: machine, what of it, verdict, and a text.
row() {
    printf '  %-26s %-8s %-5s %s\n' "$1" "$2" "$3" "$4"
    case $3 in
    ok) all_passed=$((all_passed + 1)) ;;
    FAIL) all_failed=$((all_failed + 1)) ;;
    skip) all_skipped=$((all_skipped + 1)) ;;
    esac
}

make_for() { # name, toolchain, options of the compiler, options of the link, make arguments...
    local name=$1 build=$directory/$1 kind=$2 flags=$3 link=$4 lto=()
    shift 4
    case $name in
    *-flto*) ;; # as the Makefile has it, and as its user asks for it
    *) lto=(PF_LTO=-fno-lto without_lto=:) ;;
    esac
    make "$jobs" --no-print-directory WERROR=1 V=0 SAN= BUILD="$build" \
        CC="$directory/bin/$kind/cc" CXX="$directory/bin/$kind/c++" \
        AR="$("$directory/bin/$kind/cc" -print-prog-name=ar)" \
        CPPFLAGS="-isystem $directory/sysroot/$kind" CFLAGS="$flags" LDFLAGS="$link" "${lto[@]}" \
        cmocka_cflags= cmocka_libs="$directory/sysroot/$kind/libcmocka.a" "$@"
}

needed_by() { # library
    readelf -dW "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | paste -s -d ' '
}

check_build() { # name, machine, flags, link
    local start=$SECONDS needed
    if ! make_for "$@" all >"$results/log" 2>&1; then
        row "$1" build FAIL "$(grep -E 'error|undefined|warning:' "$results/log" | head -n 3)"
        return 1
    fi
    needed=$(needed_by "$directory/$1/libprefork.so")
    case $needed in
    libc.so.6 | libc.so | 'ld'*' libc.so.6') row "$1" build ok "$((SECONDS - start)) s" ;;
    *) row "$1" build FAIL "needs $needed" ;;
    esac
}

# The archive is plain code: what it becomes does not depend on the options of the program.
check_archive() { # name, toolchain, link
    local start=$SECONDS option way lines bad=
    for option in -O0 -Og -O1 -O2 -O3 -Os -flto; do
        # shellcheck disable=SC2086 # words on purpose
        "$directory/bin/$2/cc" $option -Wall -Wextra -Werror -Iinclude $3 -o "$results/program" \
            tests/abi/static_program.c "$directory/$1/libprefork.a" >"$results/log" 2>&1 ||
            { bad="$bad $option: link" && continue; }
        for way in fork exec; do
            lines=$(tests/machines/emulate.sh "$2" timeout 60 "$results/program" "$way" 2>&1 |
                sort | paste -s -d ,) || true
            test "$lines" = 'worker 0,worker 1' || bad="$bad $option, $way: $lines"
        done
    done
    if test -z "$bad"; then
        row "$1" archive ok "$((SECONDS - start)) s"
    else
        row "$1" archive FAIL "$bad"
    fi
}

# What the library finds there, above all the backend that a pool takes.
check_facts() { # name, toolchain, class, flags, link
    local lines
    if ! make_for "$1" "$2" "$4" "$5" "$directory/$1/tests/kernels/facts" >"$results/log" 2>&1; then
        row "$1" facts FAIL "$(grep -E 'error:|undefined' "$results/log" | head -n 3)"
        return 0
    fi
    tests/machines/emulate.sh "$2" timeout 60 "$directory/$1/tests/kernels/facts" \
        >"$results/facts" 2>&1 || true
    if grep -q '^skipped: ' "$results/facts"; then
        row "$1" facts skip "$(sed -n 's/^skipped: //p' "$results/facts")"
        return 0
    fi
    lines=$(awk -v class="$3" 'FNR == NR { found[$1] = $2; next }
        $1 == class && found[$2] != $3 { printf "%s is %s, not %s; ", $2, found[$2], $3 }' \
        "$results/facts" tests/machines/facts.txt)
    if test -z "$lines"; then
        row "$1" facts ok "backend $(sed -n 's/^backend //p' "$results/facts")"
    else
        row "$1" facts FAIL "$lines"
    fi
}

# Runs programs of the suite.
check_suite() { # name, toolchain, class, flags, link, programs...
    local name=$1 kind=$2 class=$3 flags=$4 link=$5 start=$SECONDS files=() test counts
    shift 5
    for test; do files+=("$directory/$name/tests/$test"); done
    if ! make_for "$name" "$kind" "$flags" "$link" -k programs "${files[@]}" \
        >"$results/log" 2>&1; then
        row "$name" suite FAIL "$(grep -E 'error:|undefined' "$results/log" | head -n 3)"
        return 0
    fi
    rm -f "$results/counts"
    MACHINE=$kind CLASS=$class PF_PROGRAMS_DIR=$directory/$name/tests/programs \
        tests/machines/emulate.sh "$kind" xargs -n 1 -P "${TEST_JOBS:-4}" \
        tests/machines/run_one.sh "$results" >"$results/log" 2>&1 \
        < <(printf '%s\n' "${files[@]}") || true
    if ! test -s "$results/counts"; then
        if grep -q '^skipped: ' "$results/log"; then
            row "$name" suite skip "$(sed -n 's/^skipped: //p' "$results/log" | head -n 1)"
        else
            row "$name" suite FAIL "$(head -n 3 "$results/log")"
        fi
        return 0
    fi
    read -r -a counts < <(awk '{ p += $1; f += $2; e += $3; s += $4 }
        END { print p + 0, f + 0, e + 0, s + 0 }' "$results/counts")
    printf '  %-26s suite    %d cases passed, %d failed, %d as listed, %d skipped, %d s\n' "$name" \
        "${counts[@]}" $((SECONDS - start))
    grep -v '^$' "$results/log" | head -n 100 || true
    all_passed=$((all_passed + counts[0]))
    all_failed=$((all_failed + counts[1]))
}

programs_of() { # word or nothing, machine: programs of core.txt with the word
    awk -v word="$1" -v without="-$2" '$1 !~ /^#/ && NF > 0 {
        chosen = word == ""
        for (i = 2; i <= NF; i++) {
            if ($i == without) next
            if ($i == word) chosen = 1
        }
        if (chosen) print $1
    }' tests/machines/core.txt
}

prepare() { # toolchain: returns 1 without its compiler
    toolchain "$1" "$directory/bin/$1" || return 1
    tests/machines/cmocka.sh "$directory/bin/$1/cc" "$directory/sysroot/$1" >"$results/log" 2>&1 ||
        { cat "$results/log" && return 1; }
}

try_foreign() { # machine
    local class=native word='' link tests
    if ! prepare "$1"; then
        row "$1" build skip 'no compiler, or no source of CMocka'
        return 0
    fi
    case $1 in aarch64 | riscv64 | s390x) class=emulated word=emulated ;; esac
    link=$(machine_ldflags "$1")
    test -z "${SAMPLE-}" || word=sample
    mapfile -t tests < <(programs_of "$word" "$1")
    check_build "$1" "$1" -O1 "$link" || return 0
    test -n "${SAMPLE-}" || check_archive "$1" "$1" "$link"
    check_facts "$1" "$1" "$class" -O1 "$link"
    check_suite "$1" "$1" "$class" -O1 "$link" "${tests[@]}"
}

try_option() { # compiler, option, hardened or nothing
    local name=$1$2${3:+-$3} flags=$2 link='' tests
    prepare "$1" || { row "$name" build skip 'not here' && return 0; }
    case $2 in
    -Oz) echo 'int x;' | "$1" -Oz -x c -c -o /dev/null - 2>/dev/null || return 0 ;;
    -flto) flags='-O2 -flto' ;;
    esac
    if test -n "$3"; then
        flags="$flags $hardened"
        link='-Wl,-z,relro,-z,now,-z,separate-code'
        # Fortified functions need an optimisation.
        test "$2" != -O0 || flags=${flags//-D_FORTIFY_SOURCE=3/}
    fi
    mapfile -t tests < <(programs_of x86 "$1")
    check_build "$name" "$1" "$flags" "$link" || return 0
    check_archive "$name" "$1" ''
    check_facts "$name" "$1" native "$flags" "$link"
    check_suite "$name" "$1" native "$flags" "$link" "${tests[@]}"
}

mkdir -p "$directory"
test "$directory/adopt" -nt tests/machines/adopt.c || # another run may be using it
    gcc -Wall -Wextra -Werror -o "$directory/adopt" tests/machines/adopt.c
if test -n "${SAMPLE-}" && test $# -eq 0; then set -- musl i686; fi
test $# -gt 0 || { read -r -a machines <<<"$foreign x86-64" && set -- "${machines[@]}"; }
for machine; do
    case $machine in
    x86-64)
        for compiler in gcc clang; do
            for option in $options; do
                try_option "$compiler" "$option" ''
                try_option "$compiler" "$option" hardened
            done
        done
        ;;
    gcc-* | clang-*)
        IFS=- read -r compiler option more <<<"$machine"
        try_option "$compiler" "-$option" "$more"
        ;;
    *) try_foreign "$machine" ;;
    esac
done
test "$all_skipped" -eq 0 || echo "$all_skipped skipped"
echo "$all_passed passed, $all_failed failed"
test "$all_failed" -eq 0 && test "$all_passed" -gt 0
