/*
 * service.c - a program that reports as a service does to systemd: it takes step after step
 *
 *   service STEP...
 *
 *   say:TEXT      sends it; a comma stands for a new line
 *   child:TEXT    the same from a child
 *   passing:TEXT  the same, with a descriptor of a pipe
 *   flood:N       so many messages that mean nothing
 *   beat          sends WATCHDOG=1 four times a time-out, until SIGTERM
 *   env           reports what its environment has
 *   where         reports the name of the socket
 *   pool          supervises a pool of its own by this library, one worker of which ends at once
 *   wait          until SIGTERM, which ends it with status 0
 *   exit:N
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prefork.h"
#include "process.h"
#include "report.h"

static void end(int number) {
    (void)number;
    _exit(0);
}

/* Returns 0 or a negative errno. */
static int send_text(const char *text, int passed) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char message[256], control[CMSG_SPACE(sizeof(int))] = "";
    const char *name = getenv("NOTIFY_SOCKET");
    struct iovec part = {.iov_base = message, .iov_len = strlen(text)};
    struct msghdr header = {
        .msg_name = &address, .msg_namelen = sizeof(address), .msg_iov = &part, .msg_iovlen = 1};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (name == NULL || strlen(name) >= sizeof(address.sun_path) ||
        part.iov_len > sizeof(message)) {
        errx(90, "nowhere to send to");
    }
    for (size_t i = 0; i < part.iov_len; i++) {
        message[i] = text[i] == ',' ? '\n' : text[i];
    }
    memcpy(address.sun_path, name, strlen(name));
    if (passed >= 0) {
        header.msg_control = control;
        header.msg_controllen = sizeof(control);
        struct cmsghdr *part_of_fd = CMSG_FIRSTHDR(&header);
        part_of_fd->cmsg_level = SOL_SOCKET;
        part_of_fd->cmsg_type = SCM_RIGHTS;
        part_of_fd->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(part_of_fd), &passed, sizeof(int));
    }
    int result = sendmsg(fd, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
    close(fd);
    return result;
}

static void send_by_child(const char *text) {
    pid_t pid = fork();

    if (pid == 0) {
        _exit(send_text(text, -1) == 0 ? 0 : 1);
    }
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    report("a child has sent, status=%d", status);
}

/* The reader of the pipe sees its end only when nobody has the other end any more. */
static void send_with_descriptor(const char *text) {
    int ends[2];

    if (pipe(ends) != 0) {
        err(91, "pipe");
    }
    int result = send_text(text, ends[1]);
    close(ends[1]);
    char byte = 0;
    report("passing result=%d, end=%d", result, (int)read(ends[0], &byte, 1));
    close(ends[0]);
}

static void beat(void) {
    const char *limit = getenv("WATCHDOG_USEC");
    unsigned interval_ms = limit == NULL ? 10 : (unsigned)(strtoul(limit, NULL, 10) / 4000);

    for (;;) {
        (void)send_text("WATCHDOG=1", -1);
        pause_ms(interval_ms);
    }
}

static const char *or_none(const char *name) {
    const char *value = getenv(name);
    return value == NULL ? "none" : value;
}

static void report_environment(void) {
    static const char *const names[] = {"PF_TASK_ID", "PF_SUPERVISOR", "PF_POOL", "PF_FDS",
                                        "PF_COMM"};
    const char *pid = getenv("WATCHDOG_PID");
    int of_library = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        of_library += getenv(names[i]) != NULL;
    }
    report("library=%d, notify=%s, limit=%s, own pid=%d, listen=%s", of_library,
           getenv("NOTIFY_SOCKET") == NULL ? "none" : "some", or_none("WATCHDOG_USEC"),
           pid != NULL && atoi(pid) == getpid(), or_none("LISTEN_FDS"));
    report("task_id=%d, ready=%d", pf_task_id(), pf_worker_ready());
}

static void supervise(void) {
    pf_pool *pool = NULL;
    int task_id = -1;

    if (pf_pool_new(&pool) != 0 || pf_pool_set_workers(pool, 1) != 0) {
        errx(92, "no pool");
    }
    int result = pf_pool_run(pool, &task_id);
    if (task_id >= 0) {
        _exit(0);
    }
    report("own pool result=%d", result);
    pf_pool_free(pool);
}

int main(int argc, char **argv) {
    signal(SIGTERM, end);
    for (int i = 1; i < argc; i++) {
        const char *colon = strchr(argv[i], ':');
        const char *value = colon == NULL ? "" : colon + 1;
        if (strncmp(argv[i], "say:", 4) == 0) {
            report("say result=%d", send_text(value, -1));
        } else if (strncmp(argv[i], "child:", 6) == 0) {
            send_by_child(value);
        } else if (strncmp(argv[i], "passing:", 8) == 0) {
            send_with_descriptor(value);
        } else if (strncmp(argv[i], "flood:", 6) == 0) {
            for (int left = atoi(value); left > 0; left--) {
                (void)send_text("STATUS=flood", -1);
            }
            report("flooded");
        } else if (strcmp(argv[i], "beat") == 0) {
            beat();
        } else if (strcmp(argv[i], "env") == 0) {
            report_environment();
        } else if (strcmp(argv[i], "where") == 0) {
            report("socket=%s", or_none("NOTIFY_SOCKET"));
        } else if (strcmp(argv[i], "pool") == 0) {
            supervise();
        } else if (strcmp(argv[i], "wait") == 0) {
            for (;;) {
                pause();
            }
        } else if (strncmp(argv[i], "exit:", 5) == 0) {
            _exit(atoi(value));
        } else {
            errx(93, "unknown step: %s", argv[i]);
        }
    }
    return 0;
}
