# A reload that upgrades the supervisor.
#
# shellcheck shell=sh disable=SC2154 # run.sh and machine.sh set the variables
# SPDX-License-Identifier: MIT

# The main process has executed its program again.
is_upgraded() { # unit
    inside grep -zq '^PF_UPGRADE=' "/proc/$(property "$1" MainPID)/environ"
}

# Each reload of the unit is an upgrade: the main process and all workers stay.
upgrades_by_reload() { # unit
    inside systemctl start "$1" || return 1
    within 5 has_workers "$1" 2 || return 1
    main=$(property "$1" MainPID)
    old=$(workers "$1")
    ! is_upgraded "$1" || return 1
    for reload in 1 2 3; do
        inside systemctl reload "$1" || return 1
        within 5 is_upgraded "$1" || return 1
        within 5 is_in_state "$1" active || return 1
        echo "reload $reload: main $main, $(property "$1" MainPID), workers $old, $(workers "$1")"
        test "$(property "$1" MainPID)" = "$main" && test "$(workers "$1")" = "$old" || return 1
    done
}

check_a_reload_can_be_an_upgrade_of_the_supervisor() {
    upgrades_by_reload t-upgrade.service || return 1
    # shellcheck disable=SC2086 # words on purpose
    set -- $old
    inside sh -c "kill -KILL $1"
    within 5 has_workers t-upgrade.service 2 || return 1
    get --unix-socket "/proc/$manager/root/run/t-upgrade" http://t/ | grep -q '^[01] ' || return 1
    all=$(processes t-upgrade.service)
    inside systemctl stop t-upgrade.service || return 1
    test "$(property t-upgrade.service Result)" = success && are_gone "$all"
}

check_notify_reload_can_be_an_upgrade_of_the_supervisor() {
    ! is_older_than 253 || return 77
    upgrades_by_reload t-upgrade-reload.service
}

check_the_watchdog_leaves_an_upgraded_supervisor_alone() {
    upgrades_by_reload t-upgrade.service || return 1
    sleep 3 # three times WatchdogSec
    test "$(property t-upgrade.service MainPID)" = "$main" || return 1
    test "$(property t-upgrade.service NRestarts)" = 0 &&
        test "$(workers t-upgrade.service)" = "$old"
}

check_sockets_of_systemd_stay_over_an_upgrade() {
    inside systemctl start t-upgrade-socket.socket || return 1
    upgrades_by_reload t-upgrade-socket.service || return 1
    get http://127.0.0.1:8075/ | grep -q " $main\$"
}

check_a_failed_upgrade_leaves_the_service_as_it_was() {
    upgrades_by_reload t-upgrade.service || return 1
    inside mv /usr/local/bin/t-service /usr/local/bin/t-elsewhere || return 1
    inside systemctl reload t-upgrade.service || true
    within 5 is_in_state t-upgrade.service active
    state=$?
    inside mv /usr/local/bin/t-elsewhere /usr/local/bin/t-service || return 1
    test "$state" -eq 0 && test "$(property t-upgrade.service MainPID)" = "$main" &&
        test "$(workers t-upgrade.service)" = "$old"
}
