#!/bin/sh
# The public header compiles without a warning in every dialect that it promises: alone, and
# after and before system headers that use names with PF_ as well.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

use='int use(void);
int use(void) { return pf_task_id() + (int)sizeof(pf_event_fn) + PF_EGAVEUP + PF_EVENT_DONE; }'
others='#include <sys/socket.h>
#include <elf.h>
#include <net/if.h>'
own='#include <prefork.h>'
printf '%s\n%s\n' "$own" "$use" >"$scratch/alone"
printf '%s\n%s\n%s\n' "$others" "$own" "$use" >"$scratch/after"
printf '%s\n%s\n%s\n' "$own" "$others" "$use" >"$scratch/before"

compile() { # compiler, language, dialect
    for order in alone after before; do
        # shellcheck disable=SC2086 # the compiler may come with options
        $1 -x "$2" "-std=$3" -Iinclude -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
            -fsyntax-only "$scratch/$order" 2>"$scratch/errors" || {
            echo "$1 -std=$3, $order:"
            cat "$scratch/errors"
            found=1
        }
    done
}

all_dialects() { # C compiler, C++ compiler
    for dialect in c99 c11 c17; do
        compile "$1" c "$dialect"
    done
    for dialect in c++11 c++14 c++17 c++20; do
        compile "$2" c++ "$dialect"
    done
}

all_dialects "${CC:-gcc}" "${CXX:-g++}"
for pair in gcc:g++ clang:clang++; do
    test "${pair%:*}" != "${CC:-gcc}" || continue
    if command -v "${pair%:*}" >/dev/null && command -v "${pair#*:}" >/dev/null; then
        all_dialects "${pair%:*}" "${pair#*:}"
    else
        echo "skipped: ${pair%:*} is not installed"
    fi
done
exit "$found"
