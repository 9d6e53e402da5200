#!/bin/bash
# The core of the suite on other kernels: tests/kernels/kernels.sh [SYSTEM...]
#
#   gvisor            by runsc, as an unprivileged sandbox of this machine
#   5.10, 6.1, 6.12   Debian's kernels by qemu, with KVM where this machine has it
#
# core.txt has the programs, facts.txt what each kernel has and which backend a pool takes there,
# exceptions.txt the cases that fail or are skipped there, with the reason. The systems run side by
# side, and leave their output in build/kernels. SAMPLE=1 runs a few programs under gVisor. Ends
# with "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -euo pipefail
export LC_ALL=C

directory=$BUILD_DIR/kernels
root=$directory/root
all_passed=0
all_failed=0
all_skipped=0
jobs=${TEST_JOBS:-4}

# A program is the first process of its sandbox, so it adopts orphans without the call for that,
# which is unknown there; PF_SUBREAPER tells the tests. The sandbox has no rights of this user, no
# network and no groups of the machine.
run_in_sandbox() { # program
    local output status=0 options=(--rootless --network=none --ignore-cgroups --platform=ptrace)
    output=$(mktemp)
    timeout -k 5 60 runsc "${options[@]}" "do" -root "$root" -cwd / /usr/bin/env PF_SUBREAPER=1 \
        CMOCKA_MESSAGE_OUTPUT=TAP PF_PROGRAMS_DIR=/t/tests/programs LC_ALL=C "/t/tests/$1" \
        >>"$output" 2>&1 </dev/null || status=$?
    {
        flock 9
        echo "@@begin ${1#kernels/}"
        tr '\r' '\n' <"$output"
        printf '\n@@end %s\n' "$status"
    } 9>>"$directory/lock"
    rm -f "$output"
}

run_gvisor() {
    export -f run_in_sandbox
    export root directory
    # shellcheck disable=SC2016 # of the inner shell
    { echo kernels/facts && cat "$directory/names-gvisor"; } |
        timeout 900 xargs -n 1 -P "$jobs" bash -c 'run_in_sandbox "$0"'
    echo '@@done'
}

# A processor of the machine may be there and yet not run a kernel: whether this one does is tried.
has_kvm() { # kernel, version
    local try=$directory/try-$2
    (exec 3<>/dev/kvm) 2>/dev/null || return 1
    rm -rf "$try" && mkdir -p "$try/bin"
    cp "$(command -v busybox)" "$try/bin/busybox"
    printf '#!/bin/busybox sh\n/bin/busybox poweroff -f\n' >"$try/init"
    chmod +x "$try/init"
    (cd "$try" && find . -print0 | cpio --null --quiet -o -H newc) | gzip -1 >"$try.gz"
    timeout -k 1 10 qemu-system-x86_64 -enable-kvm -cpu host -m 512 -nodefaults -no-reboot \
        -display none -kernel "$1" -initrd "$try.gz" -append 'quiet panic=-1' \
        </dev/null >/dev/null 2>&1
}

boot() { # kernel, version, settings, options of the machine...
    local kernel=$1 version=$2 settings=$3
    shift 3
    timeout -k 5 1200 qemu-system-x86_64 "$@" -smp 2 -m 1024 \
        -nodefaults -no-reboot \
        -display none -kernel "$kernel" -initrd "$directory/initrd" \
        -append "console=ttyS0 quiet panic=-1 no_timer_check rdinit=/init $settings" \
        -serial "file:$directory/console-$version" \
        -serial "file:$directory/output-$version" </dev/null
}

# A kernel changes its own text while it runs, by way of an int3. An emulated processor sometimes
# executes that int3 after the change is done, and the kernel panics: the fault is the emulator's.
has_emulator_failed() { # version
    grep -q 'int3: 0000' "$directory/console-$1"
}

run_linux() { # version
    local kernel settings status tries=3 limit_s=240 scale=5
    local machine=(-accel 'tcg,thread=multi' -cpu max)
    kernel=$(tests/kernels/packages.sh "$1" "$directory") || return $?
    if has_kvm "$kernel" "$1"; then
        machine=(-enable-kvm -cpu host)
        limit_s=60
        scale=1
    fi
    settings="jobs=$jobs limit_s=$limit_s scale=$scale"
    while :; do
        status=0
        boot "$kernel" "$1" "$settings" "${machine[@]}" || status=$?
        tries=$((tries - 1))
        if ! has_emulator_failed "$1" || test "$tries" -eq 0; then return "$status"; fi
        echo "$1: the emulator failed, the kernel boots again" >&3
    done
}

collect() { # system: writes output-, log-, and status- with the seconds
    local start=$SECONDS status=0
    : >"$directory/output-$1"
    case $1 in
    gvisor) run_gvisor >"$directory/output-$1" 2>"$directory/log-$1" || status=$? ;;
    *) run_linux "$1" >"$directory/log-$1" 2>&1 || status=$? ;;
    esac
    echo "$status $((SECONDS - start))" >"$directory/status-$1"
}

judge() { # system
    local status seconds release backend passed failed expected verdict=ok
    local names=$directory/names-linux
    read -r status seconds <"$directory/status-$1"
    if test "$status" -eq 77; then
        printf '  skip %-7s %s\n' "$1" "$(sed -n 's/^skipped: //p' "$directory/log-$1")"
        all_skipped=$((all_skipped + 1))
        return 0
    fi
    test "$1" != gvisor || names=$directory/names-gvisor
    awk -v kernel="$1" -v sampled="${SAMPLE:+1}" -f tests/kernels/judge.awk \
        tests/kernels/exceptions.txt tests/kernels/facts.txt "$names" \
        "$directory/output-$1" >"$directory/verdict-$1"
    read -r _ release backend passed failed expected < <(grep '^@@ ' "$directory/verdict-$1")
    test "$failed" -eq 0 || verdict=FAIL
    printf '  %-4s %-7s Linux %s, backend %s: %d passed, %d failed, %d as listed, %d s\n' \
        "$verdict" "$1" "$release" "$backend" "$passed" "$failed" "$expected" "$seconds"
    grep -v '^@@ ' "$directory/verdict-$1" || true
    all_passed=$((all_passed + passed))
    all_failed=$((all_failed + failed))
}

mkdir -p "$directory"
awk -v sample="${SAMPLE-}" '$1 !~ /^#/ && NF > 0 && (sample == "" || $2 == "sample") { print $1 }' \
    tests/kernels/core.txt >"$directory/names-linux"
awk 'FNR == NR { left_out[$1] = $2 == "linux"; next } !left_out[$1]' tests/kernels/core.txt \
    "$directory/names-linux" >"$directory/names-gvisor"
mapfile -t names <"$directory/names-linux"
tests/kernels/root.sh "$root" kernels/facts "${names[@]}"
sed 's|^|/t/tests/|' "$directory/names-linux" >"$root/t/list"
if test $# -eq 0 && test -n "${SAMPLE-}"; then set -- gvisor; fi
test $# -gt 0 || set -- gvisor 5.10 6.1 6.12
for system; do
    case $system in
    gvisor | 5.10 | 6.1 | 6.12) ;;
    *) echo "$0: no such system: $system" >&2 && exit 2 ;;
    esac
done
cp tests/kernels/init.sh "$root/init"
(cd "$root" && find . -print0 | cpio --null --quiet -o -H newc) |
    gzip -1 >"$directory/initrd"
exec 3>&1
for system; do collect "$system" & done
wait
for system; do judge "$system"; done
test "$all_skipped" -eq 0 || echo "$all_skipped skipped"
echo "$all_passed passed, $all_failed failed"
test "$all_failed" -eq 0 || exit 1
test "$all_passed" -gt 0 || exit 77
