#!/bin/sh
# A set-user-id program does not adopt what a program before it in the same process hands over.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/abi/setuid.sh

# Hands over a pool to a shell, which executes this program. Prints the first event there.
cat >"$scratch/upgrade.c" <<'END'
#include <poll.h>
#include <prefork.h>
#include <stdio.h>
#include <unistd.h>

static int wait_for_end(int task_id, void *user) {
    struct pollfd end = {pf_worker_stop_fd(), POLLIN, 0};
    (void)user;
    return task_id < 0 || poll(&end, 1, -1) < 0;
}

int main(int argc, char **argv) {
    const char *const shell[] = {"sh", "-c", "exec \"$0\"", argc > 1 ? argv[1] : "", NULL};
    const pf_event *event = NULL;
    pf_pool *pool = NULL;
    int type = 0;
    alarm(20);
    if (pf_pool_new(&pool) < 0 || pf_pool_set_workers(pool, 1) < 0 ||
        pf_pool_set_worker_fn(pool, wait_for_end, NULL, NULL) < 0 || pf_pool_start(pool) < 0) {
        return 3;
    }
    while (type != PF_EVENT_STARTED && type != PF_EVENT_ADOPTED &&
           pf_pool_dispatch(pool, -1) == 1) {
        while (pf_pool_next_event(pool, &event) == 1) {
            type = pf_event_type(event);
        }
    }
    if (argc > 1) {
        return -pf_upgrade("/bin/sh", shell, NULL);
    }
    printf("%s\n", pf_event_type_name(type));
    return pf_pool_free(pool) != NULL;
}
END
# shellcheck disable=SC2086 # the compiler may come with options
${CC:-gcc} -std=c99 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude -o "$scratch/upgrade" \
    "$scratch/upgrade.c" "$BUILD_DIR/libprefork.a"
cp "$scratch/upgrade" "$scratch/receive"

expect 'an ordinary program' adopted "$("$scratch/upgrade" "$scratch/receive")"
chown 65534 "$scratch/receive"
chmod 4755 "$scratch/receive"
cp "$(command -v id)" "$scratch/id"
chown 65534 "$scratch/id"
chmod 4755 "$scratch/id"
test "$("$scratch/id" -u)" = 65534 || skip 'set-user-id bits are ignored here'
expect 'a set-user-id program' worker_started "$("$scratch/upgrade" "$scratch/receive")"
