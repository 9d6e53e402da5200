# The old program: one that was built with the header of a baseline, and linked with a library of
# which only the names and versions of the symbols are known. Libraries of other trees run it.
#
# shellcheck shell=sh
# SPDX-License-Identifier: MIT

parts='values settings fork once loop host foreign exec daemon upgrade die'

# No program that is run here is linked with the library of this tree.
build_old() { # version: $scratch/old/c and $scratch/old/c++
    mkdir -p "$scratch/old/include"
    cp "$baseline/header-$1.txt" "$scratch/old/include/prefork.h"
    sed -n 's/^    \(pf_[a-z_]*\);$/void \1(void);\nvoid \1(void) {}/p' "$baseline/map-$1.txt" \
        >"$scratch/old/stub.c"
    soname=$(jq -r .soname "$baseline/prefork-$1.json")
    # shellcheck disable=SC2086 # the compiler may come with options
    ${CC:-gcc} -shared -fPIC -Wl,-soname,"$soname" -Wl,--version-script,"$baseline/map-$1.txt" \
        -o "$scratch/old/libprefork.so" "$scratch/old/stub.c" || return 1
    # shellcheck disable=SC2086 # the compiler may come with options
    ${CC:-gcc} -std=c99 -D_GNU_SOURCE -Wall -Wextra -Werror -I"$scratch/old/include" \
        -o "$scratch/old/c" tests/abi/old/*.c -L"$scratch/old" -lprefork || return 1
    # shellcheck disable=SC2086 # the compiler may come with options
    ${CXX:-g++} -x c++ -std=c++11 -D_GNU_SOURCE -Wall -Wextra -Werror -I"$scratch/old/include" \
        -o "$scratch/old/c++" tests/abi/old/*.c -L"$scratch/old" -lprefork
}

# One part, or all; what it prints on standard error goes to $scratch/old/errors.
run_old() { # c or c++, directory of the library, parts...
    program=$scratch/old/$1
    library_directory=$2
    shift 2
    : >"$scratch/old/errors"
    for part; do
        echo "== $part"
        status=0
        LD_LIBRARY_PATH=$library_directory LD_BIND_NOW=1 timeout "${old_limit_s:-100}" \
            "$program" "$part" "$scratch/old/path" </dev/null >"$scratch/old/output" \
            2>>"$scratch/old/errors" ||
            status=$?
        sort -s -n -k 1,1 "$scratch/old/output"
        echo "status $status"
    done
}

# A library of a tree, in one step; what is compared is the code, not how it is optimised.
build_library() { # tree, directory
    mkdir -p "$2"
    (cd "$1" && lib/amalgamate.sh "$2") || return 1
    major=$(sed -n 's/^#define PF_VERSION_MAJOR //p' "$1/include/prefork.h")
    # shellcheck disable=SC2086 # the compiler may come with options
    ${CXX:-g++} -std=c++20 -O0 -fPIC -shared -fno-exceptions -fno-rtti -fno-threadsafe-statics \
        -fvisibility=hidden -Wl,-soname,"libprefork.so.$major" \
        -Wl,--version-script,"$1/lib/prefork.map" -Wl,-z,nodelete \
        -o "$2/libprefork.so.$major" "$2/prefork.cc"
}

# What a later version may do: a node with a function more, larger handles and events, and events
# with a type and a reason that no program of this version knows, before each other one.
make_later() { # tree
    sed -i 's/^#define PF_VERSION_MINOR .*/#define PF_VERSION_MINOR 99/
        s/^PF_API int pf_task_id(void);/&\nPF_API int pf_later(void);/' "$1/include/prefork.h"
    printf 'PREFORK_0.99 {\nglobal:\n    pf_later;\n} PREFORK_0.2;\n' >>"$1/lib/prefork.map"
    echo 'int pf_later(void) { return 99; }' >>"$1/lib/api/version.cc"
    sed -i 's/^struct pf_pool {/&\n    char later[4096] = {1};/' "$1/lib/api/pool.h"
    sed -i 's/^struct pf_event {/&\n    char later[4096];/
        s/^const char \*message_of(/inline void set_later(pf_event *ret_event) {\
    core::Event later;\
    later.type = static_cast<core::EventType>(99);\
    later.reason = static_cast<core::Reason>(99);\
    set_event(later, ret_event);\
}\
\
&/' "$1/lib/runtime/event.h"
    sed -i 's/^        set_event(next, &event);/        set_later(\&event);\
        options_.on_event(\&event, options_.event_user);\
&/
        s/^    bool any = supervisor_.pop_event(&next);/    static bool is_later;\
    is_later = !is_later \&\& supervisor_.has_event();\
    if (is_later) {\
        set_later(ret_event);\
        return true;\
    }\
&/' "$1/lib/runtime/pool.cc"
}
