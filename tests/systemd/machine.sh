# A machine with a real systemd, for the checks of run.sh: namespaces and a cgroup, no virtual
# machine. It ends with the script.
#
# shellcheck shell=sh
# SPDX-License-Identifier: MIT

scratch=$(mktemp -d)
overlay=$scratch/overlay
cgroup=
booter=
manager= # systemd, as this machine numbers it
patience_s=30

skip() {
    echo "skipped: $*"
    exit 77
}

# Nothing is left: systemd is process 1 of a pid namespace, so all in it ends by its end.
shut_down() {
    [ -z "$manager" ] || kill -s KILL "$manager" 2>/dev/null || true
    manager=
    [ -z "$booter" ] || wait "$booter" 2>/dev/null || true
    booter=
    [ -n "$cgroup" ] && [ -d "$cgroup" ] || return 0
    tries=0
    while [ -d "$cgroup" ] && [ "$tries" -lt 250 ]; do
        [ ! -e "$cgroup/cgroup.kill" ] || echo 1 >"$cgroup/cgroup.kill" 2>/dev/null || true
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
        tries=$((tries + 1))
        [ ! -d "$cgroup" ] || sleep 0.02
    done
    ! [ -d "$cgroup" ]
}

clean_up() {
    shut_down || echo "a cgroup is left: $cgroup"
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' HUP INT PIPE TERM

# Those of machines whose script was killed.
remove_old_cgroups() {
    for group in "$1"/prefork-test-*; do
        [ ! -d "$group" ] || kill -s 0 "${group##*-}" 2>/dev/null ||
            find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
}

# The first hierarchy of cgroups of version 2 in which a group can be made.
make_cgroup() {
    while read -r _ mount_point type _; do
        [ "$type" = cgroup2 ] || continue
        remove_old_cgroups "$mount_point"
        group=$mount_point/prefork-test-$$
        if mkdir "$group" 2>/dev/null; then
            cgroup=$group
            return 0
        fi
    done </proc/self/mounts
    skip "there is no cgroup of version 2 to make one in"
}

# boot ROOT
boot() {
    make_cgroup
    unshare --pid --fork --mount --cgroup --uts --ipc --net true 2>/dev/null ||
        skip "this machine allows no namespaces"
    tests/systemd/boot.sh "$cgroup" "$1" "$overlay" >"$scratch/boot.log" 2>&1 </dev/null &
    booter=$!
    tries=0
    until manager=$(pgrep -P "$booter" 2>/dev/null) && [ -n "$manager" ] &&
        inside systemctl is-active --quiet prefork-test.target 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 600 ] || ! kill -s 0 "$booter" 2>/dev/null; then
            sed 's/^/   /' "$scratch/boot.log"
            return 1
        fi
        sleep 0.05
    done
}

# inside COMMAND...: in the machine, as root
inside() {
    timeout -k 5 "$patience_s" nsenter --target "$manager" --pid --mount --cgroup --uts --ipc \
        --net --root --wd "$@" </dev/null
}

# get CURL-ARGUMENT...: in the network of the machine
get() {
    nsenter --target "$manager" --net \
        curl -q --noproxy '*' --silent --show-error --max-time 20 "$@"
}

property() { # unit, property
    inside systemctl show -P "$2" "$1"
}

# The processes of a unit, as the machine numbers them.
processes() { # unit
    group=$(property "$1" ControlGroup)
    [ -n "$group" ] || return 0
    inside cat "/sys/fs/cgroup$group/cgroup.procs" 2>/dev/null || true
}

# Those beside the main process, in one line.
workers() { # unit
    main=$(property "$1" MainPID)
    processes "$1" | grep -vx "$main" | sort -n | tr '\n' ' '
}

has_workers() { # unit, number
    # shellcheck disable=SC2046 # words on purpose
    set -- "$2" $(workers "$1")
    [ $(($# - 1)) -eq "$1" ]
}

share_none() { # two lists of processes
    for process in $1; do
        case " $2 " in *" $process "*) return 1 ;; esac
    done
}

is_inside() { # a process of the machine is there
    inside test -e "/proc/$1" && ! inside grep -q '^State:.Z' "/proc/$1/status"
}

are_gone() { # processes of the machine, as a list
    test -n "$1" || return 1 # none were seen before
    for process in $1; do
        ! is_inside "$process" || return 1
    done
}

# The supervisor of a service is stopped, and all that it had comes to an end for it.
is_replaced_by_watchdog() { # unit
    main=$(property "$1" MainPID)
    all=$(processes "$1")
    inside sh -c "kill -STOP $main"
    within 10 is_restarted "$1" "$main" && are_gone "$all"
}

is_restarted() { # unit, its main process before
    test "$(property "$1" ActiveState)" = active && test "$(property "$1" MainPID)" != "$2" &&
        test "$(property "$1" MainPID)" != 0
}

now_ms() {
    date +%s%3N
}

# within SECONDS COMMAND...: waits until it is true
within() {
    end=$(($(now_ms) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(now_ms)" -lt "$end" ] || {
            echo "   waited in vain for: $*"
            return 1
        }
        sleep 0.05
    done
}
