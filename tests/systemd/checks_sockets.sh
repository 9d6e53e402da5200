# Sockets that systemd holds.
#
# shellcheck shell=sh disable=SC2154 # run.sh and machine.sh set the variables
# SPDX-License-Identifier: MIT

ask_active() {
    get http://127.0.0.1:8071/
}

check_a_connection_starts_the_service() {
    inside systemctl start t-active.socket
    test "$(property t-active.service ActiveState)" = inactive || return 1
    ask_active | grep -q '^[01] ' || return 1
    get --unix-socket "/proc/$manager/root/run/t-active" http://t/ | grep -q '^[01] ' &&
        test "$(property t-active.service ActiveState)" = active
}

# Clients ask without a pause. The sockets stay with systemd, so a client waits at worst.
check_the_queue_of_connections_is_kept_over_a_restart() {
    inside systemctl start t-active.socket t-active.service
    main=$(property t-active.service MainPID)
    nsenter --target "$manager" --net "$build/tests/programs/load" 8071 4 new \
        >"$scratch/load.log" 2>&1 &
    load=$!
    sleep 0.3
    inside systemctl restart t-active.service
    sleep 0.3
    kill -s INT "$load"
    wait "$load" || return 1
    cat "$scratch/load.log"
    test "$(property t-active.service MainPID)" != "$main" &&
        grep -Eq 'answered [1-9][0-9]* lost 0 refused 0 late 0' "$scratch/load.log"
}

check_the_queue_of_connections_is_kept_over_a_killed_supervisor() {
    inside systemctl start t-active.socket t-active.service
    main=$(property t-active.service MainPID)
    inside sh -c "kill -KILL $main"
    # The next connection starts the service anew.
    ask_active | grep -q '^[01] ' && test "$(property t-active.service MainPID)" != "$main"
}

check_a_reload_keeps_the_sockets_of_systemd() {
    inside systemctl start t-active.socket t-active.service
    old=$(workers t-active.service)
    inside systemctl reload t-active.service
    within 10 is_replaced t-active.service "$old" || return 1
    ask_active | grep -q '^[01] '
}

check_the_example_of_the_one_call_has_both_sockets() {
    inside systemctl start t-fds.socket
    for port in 8073 8074; do
        # It answers without a request.
        get --http0.9 "http://127.0.0.1:$port/" 2>&1 | grep -q '^socket [12] of 2' || return 1
    done
    has_workers t-fds.service 2
}
