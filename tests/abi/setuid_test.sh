#!/bin/sh
# A set-user-id program takes nothing from the environment of who starts it.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/abi/setuid.sh

cat >"$scratch/count.c" <<'END'
#include <prefork.h>
#include <stdio.h>

int main(void) {
    int fds[4];
    return printf("%d\n", pf_listen_fds(fds, 4)) > 0 ? 0 : 1;
}
END
# Prints how many sockets a pool opens, which is one where it notifies a manager, and what the call
# returns in a process that the environment calls a worker.
cat >"$scratch/notify.c" <<'END'
#define _GNU_SOURCE
#include <prefork.h>
#include <stdio.h>
#include <sys/stat.h>

static int sockets;

static void count(const pf_event *event, void *user) {
    (void)user;
    for (int fd = 3; fd < 64 && pf_event_type(event) == PF_EVENT_STARTED; fd++) {
        struct stat status;
        sockets += fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
    }
}

static int end(int task_id, void *user) {
    (void)task_id;
    (void)user;
    return 0;
}

int main(void) {
    pf_pool *pool = NULL;
    int task_id = -1, result = pf_pool_new(&pool);
    if (result < 0 || pf_pool_set_workers(pool, 1) < 0 || pf_pool_set_manager_notify(pool, 1) < 0 ||
        pf_pool_set_event_callback(pool, count, NULL, NULL) < 0 ||
        pf_pool_set_worker_fn(pool, end, NULL, NULL) < 0) {
        return 3;
    }
    result = pf_pool_run(pool, &task_id);
    if (result == 0) {
        return printf("%d\n", sockets) < 0;
    }
    return printf("%s\n", pf_strerror(result)) < 0;
}
END
# With the library in it, as such a program is not given the path of one elsewhere.
build() {
    # shellcheck disable=SC2086 # the compiler may come with options
    ${CC:-gcc} -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude -o "$scratch/$1" \
        "$scratch/$1.c" "$BUILD_DIR/libprefork.a"
}
build count
build notify

count() {
    # shellcheck disable=SC2016 # the number is that of the shell, which becomes the program
    sh -c 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" 3</dev/null' "$scratch/count"
}

test "$(count)" = 1 || {
    echo "an ordinary program gets $(count) instead of 1"
    exit 1
}
test "$(NOTIFY_SOCKET=@prefork-test "$scratch/notify")" = 1 || {
    echo "an ordinary program does not open the socket of its manager"
    exit 1
}
for program in count notify; do
    chown 65534 "$scratch/$program"
    chmod 4755 "$scratch/$program"
done
# Where such bits are ignored, by the mount or by no_new_privs, there is nothing to see.
cp "$(command -v id)" "$scratch/id"
chown 65534 "$scratch/id"
chmod 4755 "$scratch/id"
test "$("$scratch/id" -u)" = 65534 || {
    echo "skipped: set-user-id bits are ignored here"
    exit 77
}
test "$(count)" = 0 || {
    echo "a set-user-id program gets $(count) instead of 0"
    exit 1
}
# Neither sends to who starts it, nor believes that this one is its supervisor.
notified=$(NOTIFY_SOCKET=@prefork-test WATCHDOG_USEC=1000000 "$scratch/notify")
test "$notified" = 0 || {
    echo "a set-user-id program opens the socket of NOTIFY_SOCKET: $notified"
    exit 1
}
supervised() {
    PF_TASK_ID=0 PF_POOL='' PF_SUPERVISOR="$1" "$scratch/notify"
}
for forged in '' 1 "$$:-1:-1:1:-1:0:1:15:0:0:0000000000000001:0123456789abcdef" \
    "$$:0:1:2:3:0:1:9:0:0:0000000000000001:0123456789abcdef"; do
    test "$(supervised "$forged")" = "No such process" || {
        echo "a set-user-id program with PF_SUPERVISOR=$forged: $(supervised "$forged")"
        exit 1
    }
done
