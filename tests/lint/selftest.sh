#!/bin/sh
# The lint bites: each rule is broken once in a copy of the tree, and must be complained of.
# A rule that nobody has seen fail may check nothing.
#
# SPDX-License-Identifier: MIT
set -eu

# Plays one case: selftest.sh CASE. The checks say where they find fault, so faults that the tree
# has already do not mislead.
play() { # directory of the case
    mkdir -p "$1/tree/tests"
    cp -R include lib man CHANGELOG.md SECURITY.md "$1/tree"
    mkdir "$1/tree/bindings"
    cp -R bindings/shell bindings/cpp "$1/tree/bindings"
    cp -R tests/lint tests/abi tests/support "$1/tree/tests"
    cd "$1/tree"
    sh -c "$(cat "$1/breaks")"
    read -r check page <"$1/check"
    status=0
    # shellcheck disable=SC2086 # there may be no page
    BUILD_DIR=build SAMPLE='' "tests/lint/$check.sh" $page >"$1/output" 2>&1 || status=$?
    if test "$status" -ne 0 && grep -q -e "$(cat "$1/says")" "$1/output"; then
        : >"$1/seen"
    else
        echo "$check.sh did not complain of: $(cat "$1/breaks")"
        sed 's/^/    /' "$1/output"
    fi
    rm -rf "$1/tree"
}
if test $# -eq 1; then
    play "$1"
    exit
fi

. tests/support/script.sh

rules=0

bites() { # check and page, what it must say, a command that breaks the rule in the copy
    rules=$((rules + 1))
    mkdir "$scratch/$rules"
    # Only one page is shown by groff and mandoc, as that takes its time.
    test "$1" != man || set -- 'man man/pf_version.3' "$2" "$3"
    printf '%s\n' "$1" >"$scratch/$rules/check"
    printf '%s\n' "$2" >"$scratch/$rules/says"
    printf '%s\n' "$3" >"$scratch/$rules/breaks"
}

includes() { # file, what it includes, which must not pass
    bites layers "$1:1: .*include.*$2" "echo '#include $2' >$1"
}
includes lib/base/broken.h '"core/time.h"'
includes lib/base/broken.h '<string.h>'
includes lib/core/broken.h '"os/watch/event_loop.h"'
includes lib/core/broken.h '<stdlib.h>'
includes lib/core/broken.cc '"runtime/pool.h"'
includes lib/os/fd/broken.cc '"core/time.h"'
includes lib/os/fd/broken.cc '"api/pool.h"'
includes lib/runtime/broken.cc '"api/pool.h"'
includes lib/runtime/broken.cc '<unistd.h>'
includes lib/api/broken.cc '<signal.h>'
includes lib/os/cpu/broken.cc '"os/net/sockets.h"'
includes lib/os/signals/broken.cc '"os/watch/event_loop.h"'
includes lib/os/fd/broken.cc '"os/channel/record.h"'
bites layers 'known rooms' "mkdir lib/os/broken && echo >lib/os/broken/broken.h"
bites layers 'known rooms' "echo >lib/os/broken.h"
bites layers 'a circle of files: .*os/fd/pipe ' \
    "echo '#include \"os/fd/pipe.h\"' >>lib/os/process/process_lock.cc"
bites layers 'a circle of files: .*base/broken ' \
    "echo '#include \"base/other.h\"' >lib/base/broken.h &&
    echo '#include \"base/broken.h\"' >lib/base/other.h"
bites layers 'only api includes' "echo '#include \"prefork.h\"' >lib/os/fd/broken.cc"
bites layers 'by its path' "echo '#include \"../os/watch/event_loop.h\"' >lib/core/broken.cc"
bites layers 'known folders' "mkdir lib/broken && echo >lib/broken/broken.h"

repeat="awk 'BEGIN { for (i = 0; i < LINES; i++) print \"    call();\" }'"
body() {
    echo "$repeat" | sed "s/LINES/$1/"
}
bites sizes 'more than 400 lines' "$(body 401) | sed 's/.*/\/\/ &/' >lib/core/broken.cc"
bites sizes 'broken.cc:1: a function of 71 lines' \
    "{ echo 'int f(int a) {'; $(body 69); echo '}'; } >lib/core/broken.cc"
bites sizes 'broken.cc:2: a function of 73 lines' \
    "{ echo 'namespace x {'; echo 'int f(int a,'; echo ' int b)'; echo '{'; $(body 69); \
    echo '}'; echo '}'; } >lib/core/broken.cc"
bites sizes '101 columns' "awk 'BEGIN { printf \"// %98s\\n\", \"x\" }' >lib/core/broken.cc"
bites sizes 'white space' "echo 'int x; ' >lib/core/broken.cc"

declares() { # what is complained of, what is put before the end of the header
    bites ffi "$1" "sed -i 's|^/\* No limit on .*|$2|' include/prefork.h"
}
declares 'variadic' 'PF_API int pf_print(const char *format, ...);'
declares 'inline' 'static inline int pf_one(void) { return 1; }'
declares 'body' 'PF_API int pf_one(void) { return 1; }'
declares 'bit-field' 'struct pf_pair { int a : 4; };'
declares 'public struct' 'struct pf_pair { int first; int second; };'
declares 'public struct' 'typedef union { int first; int second; } pf_pair;'
declares 'exported data' 'extern PF_API const int pf_answer;'
declares 'exported data' 'PF_API int pf_answer;'
declares 'size differs' 'PF_API int pf_wait(long timeout_ms);'
declares 'size differs' 'PF_API int pf_seek(off_t where);'
declares 'size differs' 'PF_API bool pf_is(void);'
declares 'size differs' 'PF_API pid_t pf_pid(void);'
declares 'named enum' 'enum pf_color { PF_RED = 1 };'
declares 'enum as a type' 'PF_API int pf_paint(enum pf_color color);'
declares 'explicit number' 'enum { PF_RED = 1, PF_GREEN };'
declares 'explicit number' 'enum { RED = 1 };'
declares 'without PF_API' 'int pf_one(void);'
declares 'not named pf_' 'PF_API int one(void);'
declares 'prototype' 'PF_API int pf_one();'
declares 'errno: PF_EBROKEN' 'enum { PF_EBROKEN = -4000 };'
declares 'hard to call with: double' 'PF_API int pf_wait(double seconds);'
declares 'hard to call with: unsigned' 'PF_API int pf_wait(unsigned count);'
declares 'hard to read: char' 'PF_API char pf_letter(void);'
declares 'without a name: int' 'PF_API int pf_one(int);'
declares 'named ret_: count' 'PF_API int pf_one(int *count);'
declares 'named ret_: ret_count' 'PF_API int pf_one(int ret_count);'
declares 'process id is an int32_t, .*: pid' 'PF_API int pf_one(int pid);'
declares 'process id is an int32_t' 'PF_API int pf_parent_pid(void);'
declares 'duration is a uint64_t name_ms: timeout_ms' 'PF_API int pf_one(int timeout_ms);'
declares 'duration is a uint64_t name_ms: timeout' 'PF_API int pf_one(uint64_t timeout);'
declares 'without its unit' 'PF_API uint64_t pf_uptime(void);'
declares 'no pointer, for NULL' 'PF_API void pf_pool_free(pf_pool *pool);'
declares 'without user and free_user' 'PF_API int pf_pool_set_fn(pf_pool *pool, int (*fn)(int));'
declares 'macro' '#define ONE 1'
declares 'stdint' '#include <stddef.h>'

bites html 'a link to #Nowhere' "echo '.Sx Nowhere' >>man/pf_version.3"

bites man 'prototypes differ' "sed -i 's/^.Ft int32_t/.Ft int/' man/pf_event.3"
bites man 'prototypes differ' "sed -i 's/(int num_processes, /(int count, /' include/prefork.h"
bites man 'prototypes differ' "sed -i '/^.Vt typedef/d' man/pf_set_event_callback.3"
bites man 'pf_event_pid: has no page' "sed -i '/pf_event_pid/d' man/aliases"
bites man 'pf_one: has no page' 'echo pf_one >>tests/abi/symbols.txt'
bites man 'missing under NAME' "sed -i '/^.Nm pf_event_pid/d' man/pf_event.3"
bites man 'no page pf_none' 'echo pf_none.3 pf_task_id.3 >>man/aliases'
bites man 'no exported function' 'echo pf_event.3 pf_none.3 >>man/aliases'
bites man 'reference to pf_none' "sed -i 's/^.Xr pf_event 3/.Xr pf_none 3/' man/prefork.7"
bites man 'mandoc finds fault' "echo '.Nonsense' >>man/pf_version.3"
bites man 'pf_pool_set_name is missing under Functions by task' \
    "sed -i '/set_name 3 Ta/d' man/pf_pool.3"
bites man 'more than 450 lines' "sed -i p man/prefork.7"
bites man 'READY does not stand once under Types' "sed -i '/^.It READY /d' man/pf_event.3"
bites man 'READY does not stand once under Messages' \
    "sed -i 's/^.It Dv PF_EVENT_STARTED/.It Dv PF_EVENT_READY/' man/pf_event.3"
bites man 'the constant PF_EXTRA' 'echo "enum { PF_EXTRA = 1 };" >>include/prefork.h'
bites man '"In" is a macro' "sed -i 's/^.Ss What a worker/.Ss In a worker/' man/prefork.7"
bites 'man man/pf_fork_processes.3' 'groff finds fault' \
    "sed -i 's/^.It SIGPIPE Ta /&as the library finds it, /' man/pf_fork_processes.3"
bites 'man man/prefork.7' 'more than 80 columns' \
    "sed -i 's/^cc -o minimal .*/& # in a display of two lines/' man/prefork.7"
bites man 'other words' \
    "echo '.Nm a Li b( Ns Nm c Ns Li d' | sed -i '/^.In prefork/r /dev/stdin' man/pf_version.3"
bites man 'differs from man/examples' "echo '/* more */' >>man/examples/minimal.c"
bites man 'names no file' "sed -i '/example: accept.c/d' man/pf_accept.3"
bites man 'lines that man/examples/minimal.c does not have' \
    "sed -i 's/^    int task = /    int number = /' man/pf_fork_processes.3"
bites man 'shown whole on several pages: pool.c' \
    "sed -i 's/lines of: pool.c/example: pool.c/' man/pf_pool.3"
bites man 'there is no man/examples' 'rm man/examples/minimal.c'

bites security 'there is no test api/none_test' \
    "sed -i 's|api/escalation_test|api/none_test|' SECURITY.md"
bites security 'no test for: .*set-user-ID program use' "sed -i '/abi.setuid_test/d' SECURITY.md"
bites versions 'prefork.map: the newest' "sed -i 's/^PREFORK_0.2/PREFORK_0.3/' lib/prefork.map"
bites versions 'CHANGELOG.md: the newest' "sed -i 's/^## .0.2.0./## [0.3.0]/' CHANGELOG.md"
bites versions 'must come from the header' \
    "sed -i 's/^Version: .*/Version: 0.2.0/' lib/prefork.pc.in"
bites versions 'other than' 'mkdir build && echo "Version: 0.0.9" >build/prefork.pc'
bites versions 'HISTORY does not say' "sed -i '/^.Sh HISTORY/,\$s/0[.]2/0.3/' man/pf_version.3"
bites versions 'pf_task_id is not said' "sed -i '/int pf_task_id/s/^/ /' include/prefork.h"

# These two have nothing to say where their tools are not installed.
if command -v systemd-analyze >/dev/null; then
    unit=man/examples/prefork.service
    bites service 'Unknown key' "echo 'Nonsense=1' >>$unit"
    bites service 'Unbalanced' "sed -i 's/^ExecStart=.*/&  \"/' $unit"
    bites service 'Type' "sed -i 's/^Type=.*/Type=simple/' $unit"
    bites service 'TimeoutStopSec' "sed -i 's/^TimeoutStopSec=.*/TimeoutStopSec=10/' $unit"
fi
if python3 -c 'import yaml' 2>/dev/null || command -v yq >/dev/null; then
    manifest=man/examples/deployment.yaml
    bites manifest '.' "echo ' : broken' >>$manifest"
    bites manifest 'too short' "sed -i 's/Seconds: 20/Seconds: 15/' $manifest"
    bites manifest 'PID 1' "sed -i 's|command: \\[\"/|command: [\"sh\", \"/|' $manifest"
fi

# Several at a time.
seq "$rules" | sed "s|^|$scratch/|" | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN)" "$0"
seen=$(find "$scratch" -name seen | wc -l)
echo "$seen of $rules rules seen to bite"
test "$seen" -eq "$rules"
