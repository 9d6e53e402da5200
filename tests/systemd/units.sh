# What the machine of machine.sh has beside Debian: the library and the example as they are
# installed, and the units of the checks, whose names begin with t-.
#
# shellcheck shell=sh disable=SC2154 # run.sh and machine.sh set the variables
# SPDX-License-Identifier: MIT

# unit NAME LINE...: the lines are of the section [Service], until one begins another.
unit() {
    file=$overlay/etc/systemd/system/$1
    shift
    {
        echo '[Service]'
        printf '%s\n' "$@"
    } >"$file"
}

# The example as its user installs it.
install_example() {
    "${MAKE:-make}" --no-print-directory install prefix=/usr/local exec_prefix=/usr/local \
        DESTDIR="$overlay" >/dev/null
    mkdir -p "$overlay/usr/local/bin" "$overlay/etc/systemd/system"
    for example in daemon listen_fds; do
        "${CC:-gcc}" -I "$overlay/usr/local/include" -o "$overlay/usr/local/bin/$example" \
            "man/examples/$example.c" -L "$overlay/usr/local/lib" -lprefork
    done
    cp man/examples/*.service "$overlay/etc/systemd/system/"
}

install_units() {
    run=/usr/local/bin/t-service
    notify='Type=notify'
    # shellcheck disable=SC2016 # a variable of systemd
    reload='ExecReload=/bin/sh -c "kill -HUP $MAINPID"'
    unit t-notify.service "$notify" "$reload" KillMode=mixed \
        "ExecStart=$run -d 700 -b /run/t-notify"
    unit t-reload.service Type=notify-reload KillMode=mixed \
        "ExecStart=$run -d 700 -r 1500 -b /run/t-reload -x /run/t-obstacle"
    unit t-upgrade.service "$notify" "$reload" KillMode=mixed WatchdogSec=1 TimeoutAbortSec=1 \
        "ExecStart=$run -u -b /run/t-upgrade"
    unit t-upgrade-reload.service Type=notify-reload KillMode=mixed WatchdogSec=1 \
        TimeoutAbortSec=1 "ExecStart=$run -u -b /run/t-upgrade-reload"
    unit t-upgrade-socket.service "$notify" "$reload" KillMode=mixed "ExecStart=$run -u"
    unit t-upgrade-socket.socket '[Socket]' ListenStream=127.0.0.1:8075 Backlog=1024
    unit t-broken.service "$notify" "ExecStart=$run -b /run/t-broken -x /usr"
    # systemd kills nothing but the main process, so what ends the workers is the library.
    unit t-alone.service "$notify" KillMode=process "ExecStart=$run -b /var/lib/t-alone"
    unit t-stubborn.service "$notify" KillMode=process TimeoutStopSec=20 \
        "ExecStart=$run -s -b /var/lib/t-stubborn"
    unit t-again.service "$notify" KillMode=process Restart=on-failure RestartSec=100ms \
        "ExecStart=$run -b /var/lib/t-again"
    unit t-watch.service "$notify" KillMode=mixed WatchdogSec=1 TimeoutAbortSec=1 \
        Restart=on-failure RestartSec=100ms "ExecStart=$run -b /run/t-watch"
    unit t-shell.service "$notify" NotifyAccess=all \
        "ExecStart=/bin/sh -c '$run -b /run/t-shell; exit 0'"
    unit t-active.service "$notify" "$reload" KillMode=mixed "ExecStart=$run -d 500"
    unit t-active.socket '[Socket]' ListenStream=127.0.0.1:8071 ListenStream=/run/t-active \
        Backlog=1024
    unit t-forking.service Type=forking PIDFile=/run/t-forking.pid \
        "ExecStart=/usr/local/bin/daemon 8072 /run/t-forking.pid"
    unit t-fds.service ExecStart=/usr/local/bin/listen_fds
    unit t-fds.socket '[Socket]' ListenStream=127.0.0.1:8073 ListenStream=127.0.0.1:8074
    {
        sed '/^.Install/,$d' man/examples/prefork.service
        printf '%s\n' SystemCallFilter=@system-service SystemCallArchitectures=native \
            SystemCallErrorNumber=EPERM MemoryDenyWriteExecute=yes CapabilityBoundingSet= \
            'RestrictAddressFamilies=AF_INET AF_UNIX' RestrictNamespaces=yes ProtectProc=invisible \
            ProcSubset=pid PrivateDevices=yes PrivateTmp=yes PrivateUsers=yes PrivateIPC=yes \
            ProtectClock=yes ProtectHostname=yes ProtectKernelLogs=yes ProtectKernelModules=yes \
            ProtectKernelTunables=yes ProtectControlGroups=yes LockPersonality=yes RemoveIPC=yes \
            RestrictRealtime=yes RestrictSUIDSGID=yes UMask=0777 LimitNOFILE=32 TasksMax=32
    } >"$overlay/etc/systemd/system/t-sandbox.service"
    # What the example says about systemd 253.
    sed '/^ExecReload=/d; s/^Type=.*/Type=notify-reload/' man/examples/prefork.service \
        >"$overlay/etc/systemd/system/t-newer.service"
    sed 's/^WatchdogSec=.*/&\nTimeoutAbortSec=1/; s/^WatchdogSec=.*/WatchdogSec=1/' \
        man/examples/prefork.service >"$overlay/etc/systemd/system/t-prefork.service"
}

install_all() {
    mkdir -p "$overlay"
    install_example
    cp "$build/systemd/service" "$overlay/usr/local/bin/t-service"
    install_units
    printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' \
        >"$overlay/etc/systemd/system/prefork-test.target"
}
