# What is left of a service after its end.
#
# shellcheck shell=sh disable=SC2154 # run.sh and machine.sh set the variables
# SPDX-License-Identifier: MIT

check_a_killed_supervisor_leaves_no_worker() {
    inside systemctl start t-alone.service
    main=$(property t-alone.service MainPID)
    old=$(workers t-alone.service)
    has_workers t-alone.service 2 || return 1
    inside sh -c "kill -KILL $main"
    for process in $main $old; do
        within 2 is_outside "$process" || return 1
    done
    test "$(property t-alone.service Result)" = signal
}

is_outside() { # a process that is not in the machine
    ! is_inside "$1"
}

check_a_killed_supervisor_is_restarted_over_its_old_socket() {
    inside systemctl start t-again.service
    main=$(property t-again.service MainPID)
    inside test -S /var/lib/t-again || return 1
    inside sh -c "kill -KILL $main"
    within 10 is_restarted t-again.service "$main" || return 1
    get --unix-socket "/proc/$manager/root/var/lib/t-again" http://t/ | grep -q '^[01] '
}

check_a_stop_leaves_no_process_and_no_socket() {
    inside systemctl start t-alone.service
    all=$(processes t-alone.service)
    inside test -S /var/lib/t-alone || return 1
    inside systemctl stop t-alone.service || return 1
    are_gone "$all" || return 1
    ! inside test -e /var/lib/t-alone && test "$(property t-alone.service Result)" = success
}

check_a_worker_that_ignores_the_stop_is_killed_in_time() {
    inside systemctl start t-stubborn.service
    all=$(processes t-stubborn.service)
    begin=$(now_ms)
    inside systemctl stop t-stubborn.service || return 1
    test $(($(now_ms) - begin)) -lt 10000 || return 1
    are_gone "$all" || return 1
    test "$(property t-stubborn.service Result)" = success
}

check_a_daemon_with_a_pid_file_is_supervised_as_forking() {
    inside systemctl start t-forking.service || return 1
    get http://127.0.0.1:8072/ | grep -q '^Hello from task' || return 1
    main=$(property t-forking.service MainPID)
    test "$(inside cat /run/t-forking.pid)" = "$main" || return 1
    inside systemctl stop t-forking.service || return 1
    ! inside test -e /run/t-forking.pid && ! is_inside "$main"
}
