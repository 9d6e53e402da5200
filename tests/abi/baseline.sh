# What the scripts of the baseline share: how a tree is compared with tests/abi/baseline, and the
# ways to break an interface, each done everywhere in a copy of the tree, so that no other test
# could see it.
#
# shellcheck shell=sh
# SPDX-License-Identifier: MIT

baseline=$PWD/tests/abi/baseline

# The version that is not released yet; nothing where there is none.
open_version() { # tree
    sed -n 's/^## \[\([0-9.]*\)\] - Unreleased$/\1/p' "$1/CHANGELOG.md" | head -n 1
}

# What the header and the symbol map say differently from what a baseline says.
description_changes() { # tree, version of the baseline
    awk -f "$1/lib/interface.awk" "$1/lib/prefork.map" "$1/include/prefork.h" \
        >"$scratch/now.json" || echo "the interface cannot be described"
    jq -rn --slurpfile old "$baseline/prefork-$2.json" --slurpfile new "$scratch/now.json" \
        --arg open "$(open_version "$1")" -f tests/abi/changes.jq || echo "no comparison"
    awk -f tests/abi/conventions.awk "$1/include/prefork.h" >"$scratch/conventions"
    awk 'NR == FNR { now[$1] = $2 ", " $3; next }
        $1 in now && now[$1] != $2 ", " $3 {
            print $1 ": returned " $2 ", " $3 "; returns " now[$1]
        }' "$scratch/conventions" "$baseline/conventions-$2.txt"
}

# What abidiff sees of it in a library. Additions are looked at above.
library_changes() { # library, tree, version of the baseline
    abidiff --no-added-syms --drop-private-types --headers-dir2 "$2/include" \
        "$baseline/libprefork-$3.abi" "$1" >"$scratch/abidiff" 2>&1 || cat "$scratch/abidiff"
}

# abidiff needs the types, which are in the debugging information. The baseline is of one machine.
can_compare_libraries() { # library
    command -v abidiff >/dev/null && readelf -SW "$1" | grep -q '\.debug_info' &&
        readelf -hW "$1" | grep -q 'X86-64'
}

versions() {
    for file in "$baseline"/prefork-*.json; do
        file=${file##*/prefork-}
        echo "${file%.json}"
    done
}

# ---- Breaks ------------------------------------------------------------------------------------

everywhere() { # tree, script of sed
    find "$1/include" "$1/lib" "$1/tests/abi/symbols.txt" -type f -exec sed -i "$2" '{}' +
}

break_interface() { # tree, kind
    header=$1/include/prefork.h
    case $2 in
    parameter-type) # of the same size in some calls, and not in others
        everywhere "$1" 's/\(int pf_pool_resize(pf_pool \*pool, \)int count/\1int64_t count/'
        ;;
    parameter-order)
        everywhere "$1" '/pf_pool_send_signal/s/int task_id, int signal/int signal, int task_id/'
        ;;
    callback-type)
        sed -i 's/^typedef void (\*pf_event_fn)/typedef int (*pf_event_fn)/' "$header"
        ;;
    symbol-removed)
        sed -i '/^PF_API int pf_worker_retire/d' "$header"
        sed -i '/pf_worker_retire/d' "$1/lib/prefork.map" "$1/tests/abi/symbols.txt"
        sed -i '/^int pf_worker_retire/,/^}/d' "$1/lib/api/worker.cc"
        ;;
    symbol-moved) # to another node: programs that were linked do not find it
        sed -i '/^    pf_cpu_count;/d' "$1/lib/prefork.map"
        printf 'PREFORK_9.0 {\nglobal:\n    pf_cpu_count;\n};\n' >>"$1/lib/prefork.map"
        ;;
    symbol-added) # to a node that is released
        sed -i 's/^PF_API int pf_accept(int fd);/&\nPF_API int pf_accept_2(int fd);/' "$header"
        sed -i 's/^    pf_accept;/&\n    pf_accept_2;/' "$1/lib/prefork.map"
        sed -i 's/ - Unreleased$/ - 2026-01-01/' "$1/CHANGELOG.md"
        ;;
    constant-renumbered)
        everywhere "$1" 's/PF_BACKEND_PIDFD = 1/PF_BACKEND_PIDFD = 3/'
        sed -i '/^static_assert(PF_BACKEND_/d' "$1/lib/api/settings.cc"
        ;;
    event-renumbered)
        everywhere "$1" 's/PF_EVENT_READY = 3,/PF_EVENT_READY = 30,/'
        everywhere "$1" 's/^    ready = 3,/    ready = 30,/'
        ;;
    constant-removed)
        everywhere "$1" 's/, PF_BACKEND_SIGCHLD = 2//'
        everywhere "$1" 's/PF_BACKEND_SIGCHLD/2/g'
        ;;
    return-type)
        everywhere "$1" 's/int pf_cpu_count(void)/void pf_cpu_count(void)/'
        everywhere "$1" 's/{ return os::processor_count(); }/{ (void)os::processor_count(); }/'
        ;;
    return-convention) # -1 and errno instead of a negative code
        sed -i '/^ \* Returns: the connection, /,/^ \* Since/s/-\(E[A-Z]*\)/\1/g' "$header"
        sed -i 's/^\( \* Returns: the connection, \)non-.*/\1or -1 with errno set./' "$header"
        ;;
    return-value) # a count where there was a zero
        sed -i '/^ \* Change the number of slots/,/^PF_API/s/Returns: 0\./Returns: a count./' \
            "$header"
        ;;
    soname)
        sed -i 's/^#define PF_VERSION_MAJOR .*/#define PF_VERSION_MAJOR 7/' "$header"
        ;;
    esac
}

# What a break needs of the tree, and no more, with the break in it: $scratch/tree.
copy_broken() { # kind
    rm -rf "$scratch/tree"
    mkdir -p "$scratch/tree/tests/abi"
    cp -a lib include CHANGELOG.md LICENSE "$scratch/tree"
    cp -a tests/abi/symbols.txt "$scratch/tree/tests/abi"
    break_interface "$scratch/tree" "$1"
}

# All kinds; those that abidiff can see in a library; and those that a program notices.
all_breaks='parameter-type parameter-order callback-type symbol-removed symbol-moved symbol-added
    constant-renumbered event-renumbered constant-removed return-type return-convention
    return-value soname'
library_breaks='parameter-type symbol-removed symbol-moved return-type'
program_breaks='parameter-order symbol-removed symbol-moved event-renumbered soname'
