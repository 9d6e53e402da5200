/*
 * manager.c - a service manager: who listens at NOTIFY_SOCKET while a test has a pool
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "manager.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmocka_all.h"

static char scratch[256];
int manager_socket = -1;

static void listen_at(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    const int on = 1;

    assert_true(length < sizeof(address.sun_path));
    memcpy(address.sun_path, name, length);
    address.sun_path[0] = name[0] == '@' ? '\0' : name[0];
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    manager_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(manager_socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    assert_int_equal(bind(manager_socket, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

const char *next_message(void) {
    static char text[256];
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr aligned;
    } control;
    struct iovec part = {.iov_base = text, .iov_len = sizeof(text) - 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct ucred sender = {.pid = 0};
    ssize_t length = recvmsg(manager_socket, &message, MSG_DONTWAIT);
    text[length < 0 ? 0 : length] = '\0';
    if (length >= 0) {
        const struct cmsghdr *credentials = CMSG_FIRSTHDR(&message);
        assert_true(credentials != NULL);
        if (credentials != NULL) { /* said again for those who do not know what assert does */
            memcpy(&sender, CMSG_DATA(credentials), sizeof(sender));
        }
        assert_int_equal(sender.pid, getpid());
    }
    return text;
}

const char *next_message_but_status(void) {
    const char *message = next_message();

    while (strncmp(message, "STATUS=", 7) == 0) {
        message = next_message();
    }
    return message;
}

void assert_silent(void) { assert_string_equal(next_message(), ""); }

const char *await_message(struct host *host) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    for (;;) {
        const char *message = next_message();
        if (message[0] != '\0') {
            return message;
        }
        assert_true(now_ms() < deadline);
        (void)host_turn(host, 5);
    }
}

int manager_setup(void **state) {
    char name[300];

    scratch_enter(scratch, sizeof(scratch));
    if (host_setup(state) != 0) {
        return -1;
    }
    (void)snprintf(name, sizeof(name), "%s/notify", scratch);
    listen_at(name);
    struct host *host = *state;
    return pf_pool_set_manager_notify(host->pool, 1);
}

int manager_teardown(void **state) {
    if (manager_socket >= 0) {
        (void)close(manager_socket); /* nothing was written */
        manager_socket = -1;
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    int result = host_teardown(state);
    scratch_leave(scratch);
    return result;
}

void manager_move(const char *name) {
    assert_int_equal(close(manager_socket), 0);
    listen_at(name);
}
