/*
 * denial_workers.c - workers of the scenarios in which a system call is denied, as programs
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <prefork.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "denial.h"

const char denial_pool_name[] = "denied";

int denial_wait(void) {
    while (pause() != 0) {
    }
    return 1;
}

int denial_worker(void) {
    pf_pool *pool = NULL;
    int task_id = -1;

    if (pf_pool_new(&pool) < 0 || pf_pool_set_name(pool, denial_pool_name) < 0 ||
        pf_pool_run(pool, &task_id) < 0 || task_id < 0) {
        return 8;
    }
    pf_pool_free(pool);
    return pf_worker_ready() < 0 ? 9 : denial_wait();
}

int denial_foreign_worker(void) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int reports = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (path == NULL || strlen(path) >= sizeof(name.sun_path)) {
        return 9;
    }
    memcpy(name.sun_path, path, strlen(path) + 1);
    if (name.sun_path[0] == '@') {
        name.sun_path[0] = '\0';
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) +
                                 (path[0] == '@' ? 0 : 1));
    return sendto(reports, "READY=1", 7, 0, (struct sockaddr *)&name, size) == 7 ? denial_wait()
                                                                                 : 9;
}
