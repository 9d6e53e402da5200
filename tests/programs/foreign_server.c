// An HTTP server that knows nothing of this library: foreign_server [VERSION]
//
// It serves the sockets of LISTEN_FDS, with one process, and answers with VERSION and its process
// id. It reports READY=1 and WATCHDOG=1 to NOTIFY_SOCKET, if that is set. TERM ends it once all
// that has connected is answered. SIGUSR1 has it write a line. These words as VERSION make it bad:
//
//   silent     is never ready            fails      exits with status 3 after 0.2 s
//   stubborn   ignores TERM              parent     has a child that ignores TERM
//
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3, SOCKETS_MAX = 16, STEP_MS = 50, REQUEST_MAX = 4096 };

static struct pollfd sockets[SOCKETS_MAX];
static volatile sig_atomic_t is_over, is_asked;

static void finish(int number) {
    (void)number;
    is_over = 1;
}

static void ask(int number) {
    (void)number;
    is_asked = 1;
}

// Whom a variable of systemd's protocol is meant for.
static int is_for_me(const char *variable) {
    const char *text = getenv(variable);
    return text != NULL && atoi(text) == (int)getpid();
}

static int count_sockets(void) {
    const char *text = getenv("LISTEN_FDS");
    int count = text == NULL ? 0 : atoi(text);

    if (count > SOCKETS_MAX || (count > 0 && !is_for_me("LISTEN_PID"))) {
        errx(1, "LISTEN_FDS is not for this process");
    }
    for (int i = 0; i < count; i++) {
        (void)fcntl(FIRST_FD + i, F_SETFL, O_NONBLOCK);
        sockets[i] = (struct pollfd){.fd = FIRST_FD + i, .events = POLLIN};
    }
    return count;
}

static void notify(const char *text) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (path == NULL || strlen(path) >= sizeof(address.sun_path)) {
        return;
    }
    memcpy(address.sun_path, path, strlen(path));
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@') {
        address.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&address, length) < 0) {
        warn("%s", path);
    }
    (void)close(fd);
}

static void serve(int listener, const char *version) {
    char text[REQUEST_MAX], body[64];
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        return; // another process has it
    }
    if (recv(fd, text, sizeof(text), 0) > 0) {
        (void)snprintf(body, sizeof(body), "%.30s %d\n", version, (int)getpid());
        (void)snprintf(text, sizeof(text),
                       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                       strlen(body), body);
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    }
    (void)close(fd);
}

static void have_child(void) {
    pid_t pid = fork();

    if (pid == 0) {
        (void)signal(SIGTERM, SIG_IGN);
        while (1) {
            (void)pause();
        }
    }
}

int main(int argc, char **argv) {
    const char *version = argc > 1 ? argv[1] : "good";
    const int count = count_sockets();
    // A request that is being read is answered. poll() is interrupted in any case.
    struct sigaction action = {.sa_handler = finish, .sa_flags = SA_RESTART};

    if (strcmp(version, "fails") == 0) {
        (void)poll(NULL, 0, 200);
        errx(3, "this release is broken");
    }
    if (strcmp(version, "parent") == 0) {
        have_child();
    }
    action.sa_handler = strcmp(version, "stubborn") == 0 ? SIG_IGN : finish;
    (void)sigaction(SIGTERM, &action, NULL);
    action.sa_handler = ask;
    (void)sigaction(SIGUSR1, &action, NULL);
    if (strcmp(version, "silent") != 0) {
        notify("READY=1");
    }
    while (!is_over) {
        if (is_asked) {
            is_asked = 0;
            (void)printf("%d was asked\n", (int)getpid());
            (void)fflush(stdout);
        }
        if (getenv("WATCHDOG_USEC") != NULL && is_for_me("WATCHDOG_PID")) {
            notify("WATCHDOG=1");
        }
        if (poll(sockets, (nfds_t)count, STEP_MS) < 0 && errno != EINTR) {
            err(1, "poll");
        }
        for (int i = 0; i < count; i++) {
            serve(sockets[i].fd, version);
        }
    }
    return 0;
}
