# The unit of man/examples.
#
# shellcheck shell=sh
# SPDX-License-Identifier: MIT

check_the_example_starts_and_answers() {
    inside systemctl start prefork.service &&
        get http://127.0.0.1:8080/ | grep -q '^Hello from task'
}

check_the_example_is_active_once_all_workers_are_ready() {
    inside systemctl start prefork.service &&
        within 3 status_is prefork.service 'Workers ready: [1-9]'
}

status_is() { # unit, pattern
    property "$1" StatusText | grep -q "$2"
}

check_the_main_process_is_the_supervisor() {
    inside systemctl start prefork.service
    main=$(property prefork.service MainPID)
    for worker in $(workers prefork.service); do
        parent=$(inside sed -n 's/^PPid:[^0-9]*//p' "/proc/$worker/status")
        test "$parent" = "$main" || return 1
    done
    test -n "$(workers prefork.service)"
}

check_the_example_runs_as_a_dynamic_user() {
    inside systemctl start prefork.service
    for process in $(processes prefork.service); do
        inside grep -q '^NoNewPrivs:.1' "/proc/$process/status" || return 1
        ! inside grep -q '^Uid:.0' "/proc/$process/status" || return 1
    done
}

check_the_example_reloads_without_procps() {
    ! inside test -e /bin/kill || return 1
    inside systemctl start prefork.service
    old=$(workers prefork.service)
    main=$(property prefork.service MainPID)
    inside systemctl reload prefork.service || return 1
    within 10 is_replaced prefork.service "$old" &&
        test "$(property prefork.service MainPID)" = "$main" &&
        test "$(property prefork.service NRestarts)" = 0
}

check_the_example_of_systemd_253_waits_for_a_reload() {
    ! is_older_than 253 || return 77
    inside systemctl start t-newer.service
    old=$(workers t-newer.service)
    inside systemctl reload t-newer.service && is_replaced t-newer.service "$old"
}

is_replaced() { # unit, its workers before
    new=$(workers "$1")
    test -n "$new" && share_none "$2" "$new"
}

check_a_stop_of_the_example_leaves_nothing() {
    inside systemctl start prefork.service
    all=$(processes prefork.service)
    inside systemctl stop prefork.service || return 1
    test "$(property prefork.service Result)" = success &&
        test "$(property prefork.service ActiveState)" = inactive || return 1
    are_gone "$all" || return 1
    ! get http://127.0.0.1:8080/
}

check_the_watchdog_replaces_a_stopped_supervisor_of_the_example() {
    inside systemctl start t-prefork.service
    is_replaced_by_watchdog t-prefork.service || return 1
    get http://127.0.0.1:8080/ | grep -q '^Hello from task'
}

# Whatever systemd can take away from a service, apart from its network.
check_the_example_works_in_a_sandbox() {
    inside systemctl start t-sandbox.service || return 1
    old=$(workers t-sandbox.service)
    main=$(property t-sandbox.service MainPID)
    for process in $main $old; do
        inside grep -q '^Seccomp:.2' "/proc/$process/status" || return 1
    done
    get http://127.0.0.1:8080/ | grep -q '^Hello from task' || return 1
    inside systemctl reload t-sandbox.service
    within 10 is_replaced t-sandbox.service "$old" || return 1
    old=$(workers t-sandbox.service)
    inside sh -c "kill -KILL $old"
    within 10 is_replaced t-sandbox.service "$old" || return 1
    get http://127.0.0.1:8080/ | grep -q '^Hello from task' || return 1
    test "$(property t-sandbox.service MainPID)" = "$main" || return 1
    inside systemctl stop t-sandbox.service &&
        test "$(property t-sandbox.service Result)" = success
}
