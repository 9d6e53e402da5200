/*
 * process.c - processes, clocks and descriptors as the tests see them
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

unsigned time_scale(void) {
    static unsigned scale;

    if (scale == 0) {
        const char *text = getenv("TEST_TIME_SCALE");
        unsigned long given = text == NULL ? 1 : strtoul(text, NULL, 10);
        scale = given >= 1 && given <= 50 ? (unsigned)given : 1;
    }
    return scale;
}

uint64_t now_ms(void) { return now_ns() / 1000000U; }

void pause_ms(unsigned milliseconds) {
    struct timespec span = {.tv_sec = (time_t)(milliseconds / 1000),
                            .tv_nsec = (long)(milliseconds % 1000) * 1000000L};

    (void)nanosleep(&span, NULL); /* the caller looks at its condition and comes again */
}

void wait_for_ever(void) {
    for (;;) {
        (void)pause(); /* always fails, with EINTR */
    }
}

bool process_exists(pid_t pid) { return kill(pid, 0) == 0 || errno == EPERM; }

/* Reads a small file as text. Returns its length; -1: there is none. */
static ssize_t read_text(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return -1;
    }
    ssize_t length = read(fd, text, size - 1);
    (void)close(fd); /* nothing was written */
    if (length >= 0) {
        text[length] = '\0';
    }
    return length;
}

/* The state and the parent of a process. Returns whether there is such a process. */
static bool read_stat(pid_t pid, char *state, pid_t *parent) {
    char path[64];
    char text[512];
    int parent_read = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (read_text(path, text, sizeof(text)) <= 0) {
        return false;
    }
    const char *after_name = strrchr(text, ')');
    if (after_name == NULL || sscanf(after_name, ") %c %d", state, &parent_read) != 2) {
        return false;
    }
    *parent = (pid_t)parent_read;
    return true;
}

char process_state(pid_t pid) {
    char state = 0;
    pid_t parent = 0;

    return read_stat(pid, &state, &parent) ? state : 0;
}

bool process_reaches_state(pid_t pid, char state) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    while (process_state(pid) != state) {
        if (now_ms() > deadline) {
            return false;
        }
        pause_ms(1);
    }
    return true;
}

uint64_t process_signals(pid_t pid, const char *name) {
    char path[64];
    char text[4096];
    char label[32];

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    (void)snprintf(label, sizeof(label), "\n%s:", name);
    if (read_text(path, text, sizeof(text)) <= 0) {
        return 0;
    }
    const char *line = strstr(text, label);
    return line == NULL ? 0 : strtoull(line + strlen(label), NULL, 16);
}

int reap_all(void) {
    uint64_t deadline = now_ms() + PATIENCE_MS;
    int reaped = 0;

    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid > 0) {
            reaped++;
        } else if (pid < 0 && errno == ECHILD) {
            return reaped;
        } else if (now_ms() > deadline) {
            return -1;
        } else {
            pause_ms(1);
        }
    }
}

/* Calls the function with every living child. Returns how many there are. */
static int each_child(void (*function)(pid_t child)) {
    DIR *directory = opendir("/proc");
    int count = 0;

    if (directory == NULL) {
        return 0;
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        pid_t parent = 0;
        char state = 0;
        if (pid > 0 && read_stat(pid, &state, &parent) && parent == getpid() && state != 'Z') {
            count++;
            function(pid);
        }
    }
    (void)closedir(directory); /* nothing was written */
    return count;
}

static void leave_alone(pid_t child) { (void)child; }

static void kill_child(pid_t child) {
    (void)kill(child, SIGKILL); /* it may have ended by itself */
}

int children_alive(void) {
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    return each_child(leave_alone);
}

void kill_all_children(void) {
    while (waitpid(-1, NULL, WNOHANG) >= 0) {
        (void)each_child(kill_child); /* none is living when all are zombies */
        pause_ms(1);
    }
}

/* The kernel's interface for pidfds of version 6.15, which older headers lack. */
struct pidfd_information {
    uint64_t mask;
    uint64_t cgroup_id;
    uint32_t ids[11];
    int32_t exit_code;
};
enum { PIDFD_INFORMATION_EXIT = 8 };
#define PIDFD_INFORMATION_GET _IOWR(0xFF, 11, struct pidfd_information)

bool kernel_keeps_statuses(void) {
    struct pidfd_information information = {.mask = PIDFD_INFORMATION_EXIT};
    pid_t child = fork();

    if (child == 0) {
        _exit(3);
    }
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    (void)waitpid(child, NULL,
                  0); /* fails only when there was no fork, and then so does the rest */
    if (fd < 0) {
        return false;
    }
    /* The request is an int for one C library and an unsigned long for another. */
    bool kept = syscall(SYS_ioctl, fd, PIDFD_INFORMATION_GET, &information) == 0 &&
                (information.mask & PIDFD_INFORMATION_EXIT) != 0;
    (void)close(fd); /* nothing was written */
    return kept;
}

void descriptors_take(struct descriptors *picture) {
    size_t length = 0;

    picture->text[0] = '\0';
    for (int fd = 0; fd < 4096; fd++) {
        char path[64];
        char target[128];
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t size = readlink(path, target, sizeof(target) - 1);
        target[size < 0 ? 0 : size] = '\0';
        int written = snprintf(picture->text + length, sizeof(picture->text) - length, "%d %d %s\n",
                               fd, flags, target);
        if (written > 0 && (size_t)written < sizeof(picture->text) - length) {
            length += (size_t)written;
        }
    }
}

void scratch_enter(char *path, size_t size) {
    const char *base = getenv("TMPDIR");

    (void)snprintf(path, size, "%s/prefork-test-XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(path) == NULL || chdir(path) != 0) {
        perror("scratch directory");
        exit(99);
    }
}

void scratch_leave(const char *path) {
    DIR *directory = opendir(path);

    if (directory != NULL) {
        for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
            (void)unlinkat(dirfd(directory), entry->d_name, 0); /* "." and ".." stay */
        }
        (void)closedir(directory); /* nothing was written */
    }
    if (chdir("/") != 0 || rmdir(path) != 0) {
        perror("scratch directory");
    }
}
