/*
 * log_socket.c - run a command with a socket for syslog(3) of its own
 *
 *   log_socket FILE COMMAND [ARGUMENT...]
 *
 * What the command and its children send to /dev/log is appended to FILE, a line each. Ends with
 * the status of the command, or 77 where a /dev of one's own cannot be had.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_IMPOSSIBLE = 77, LINE_MAX_SIZE = 2048 };

static bool write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    return (fd < 0 || close(fd) == 0) && done;
}

static bool enter_own_mounts(void) {
    char map[64];
    unsigned user = getuid();
    if (unshare(CLONE_NEWNS) != 0) {
        (void)snprintf(map, sizeof(map), "%u %u 1", user, user);
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !write_text("/proc/self/uid_map", map)) {
            return false;
        }
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* A directory in the place of /dev, with the devices that a shell needs. */
static bool make_own_dev(void) {
    static const char *const devices[] = {"null", "zero", "urandom"};
    char directory[] = "/tmp/log_socket.XXXXXX";
    bool done = mkdtemp(directory) != NULL && mount("none", directory, "tmpfs", 0, NULL) == 0;
    for (size_t i = 0; done && i < sizeof(devices) / sizeof(devices[0]); i++) {
        char from[64];
        char to[64];
        (void)snprintf(from, sizeof(from), "/dev/%s", devices[i]);
        (void)snprintf(to, sizeof(to), "%s/%s", directory, devices[i]);
        int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        done = fd >= 0 && close(fd) == 0 && mount(from, to, NULL, MS_BIND, NULL) == 0;
    }
    done = done && mount(directory, "/dev", NULL, MS_MOVE, NULL) == 0;
    (void)rmdir(directory);
    return done;
}

static int listen_for_messages(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? fd : -1;
}

static void collect(int fd, FILE *file, int child_ended) {
    struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = child_ended, .events = POLLIN}};
    /* All that has come is written before the end. */
    while (poll(both, 2, -1) > 0 && (both[0].revents != 0 || both[1].revents == 0)) {
        char line[LINE_MAX_SIZE];
        ssize_t size = recv(fd, line, sizeof(line), MSG_DONTWAIT);
        if (size > 0) {
            (void)fprintf(file, "%.*s\n", (int)size, line);
        }
    }
}

int main(int argc, char **argv) {
    FILE *file = argc > 2 ? fopen(argv[1], "ae") : NULL;
    int status = 0;

    if (file == NULL) {
        err(2, "log_socket FILE COMMAND [ARGUMENT...]");
    }
    (void)setvbuf(file, NULL, _IOLBF, 0);
    if (!enter_own_mounts() || !make_own_dev()) {
        return STATUS_IMPOSSIBLE;
    }
    int fd = listen_for_messages();
    pid_t child = fd < 0 ? -1 : fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0) {
        err(2, "/dev/log");
    }
    collect(fd, file, (int)syscall(SYS_pidfd_open, child, 0));
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
