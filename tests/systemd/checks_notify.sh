# What the service manager learns from the library.
#
# shellcheck shell=sh disable=SC2154 # run.sh and machine.sh set the variables
# SPDX-License-Identifier: MIT

check_a_start_waits_until_all_workers_are_ready() {
    begin=$(now_ms)
    inside systemctl start --no-block t-notify.service
    within 5 has_workers t-notify.service 2
    test "$(property t-notify.service ActiveState)" = activating || return 1
    inside systemctl start t-notify.service || return 1
    test $(($(now_ms) - begin)) -ge 700 &&
        get --unix-socket "/proc/$manager/root/run/t-notify" http://t/ | grep -q '^[01] '
}

check_a_pool_that_gives_up_fails_the_start() {
    ! inside systemctl start t-broken.service || return 1
    test "$(property t-broken.service ActiveState)" = failed &&
        test "$(property t-broken.service Result)" = exit-code
}

check_notify_reload_waits_until_the_new_workers_are_ready() {
    ! is_older_than 253 || return 77
    inside systemctl start t-reload.service
    old=$(workers t-reload.service)
    main=$(property t-reload.service MainPID)
    begin=$(now_ms)
    inside systemctl reload t-reload.service || return 1
    test $(($(now_ms) - begin)) -ge 700 || return 1
    # Without waiting: the new ones are there when the command returns.
    new=$(workers t-reload.service)
    echo "before: $old, after: $new"
    share_none "$old" "$new" && has_workers t-reload.service 2 &&
        test "$(property t-reload.service MainPID)" = "$main"
}

check_a_reload_that_fails_ends_and_keeps_the_old_workers() {
    ! is_older_than 253 || return 77
    inside systemctl start t-reload.service
    old=$(workers t-reload.service)
    inside touch /run/t-obstacle
    inside systemctl reload t-reload.service
    inside rm /run/t-obstacle
    test "$(property t-reload.service ActiveState)" = active || return 1
    within 5 has_workers t-reload.service 2 || return 1
    echo "before: $old, after: $(workers t-reload.service)"
    test "$old" = "$(workers t-reload.service)"
}

check_plain_notify_shows_the_reload() {
    inside systemctl start t-notify.service
    old=$(workers t-notify.service)
    inside systemctl reload --no-block t-notify.service
    within 5 is_in_state t-notify.service reloading || return 1
    within 10 is_in_state t-notify.service active || return 1
    share_none "$old" "$(workers t-notify.service)"
}

is_in_state() { # unit, state
    test "$(property "$1" ActiveState)" = "$2"
}

check_a_supervisor_that_is_alive_is_left_alone() {
    inside systemctl start t-watch.service
    main=$(property t-watch.service MainPID)
    sleep 3 # three times WatchdogSec
    test "$(property t-watch.service MainPID)" = "$main" &&
        test "$(property t-watch.service NRestarts)" = 0
}

check_the_watchdog_replaces_a_stopped_supervisor() {
    inside systemctl start t-watch.service
    is_replaced_by_watchdog t-watch.service || return 1
    within 5 has_workers t-watch.service 2
}

check_a_supervisor_that_a_shell_started_reports_too() {
    inside systemctl start t-shell.service || return 1
    all=$(processes t-shell.service)
    within 3 status_is t-shell.service '^Workers ready: 2 of 2, processes: 2, restarts: 0$' ||
        return 1
    inside systemctl stop t-shell.service || return 1
    are_gone "$all"
}
