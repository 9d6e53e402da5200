/*
 * children.c - children of the supervisor that are no workers, and waits for any child
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "soak.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t foreign[FOREIGN_MAX]; /* 0: free */
static enum thief thief;

/* With a thread: a child is written down before its end is. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int find(pid_t pid) {
    for (int at = 0; at < FOREIGN_MAX; at++) {
        if (foreign[at] == pid) {
            return at;
        }
    }
    return -1;
}

void children_start(int status) {
    (void)pthread_mutex_lock(&mutex); /* cannot fail */
    int at = find(0);
    pid_t pid = at < 0 ? -1 : fork();
    if (pid == 0) {
        pause_ms((unsigned)(status % 40));
        _exit(status);
    }
    if (pid > 0) {
        foreign[at] = pid;
        log_line(LOG_FD, "H %d %d", (int)pid, status);
    }
    (void)pthread_mutex_unlock(&mutex); /* cannot fail */
}

/* Waits for any child, which a host should not do. */
static void steal(void) {
    int status = 0;
    pid_t pid = 0;

    (void)pthread_mutex_lock(&mutex); /* cannot fail */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        int at = find(pid);
        if (at >= 0) {
            foreign[at] = 0;
        }
        log_line(LOG_FD, "W %d %d", (int)pid, status);
    }
    (void)pthread_mutex_unlock(&mutex); /* cannot fail */
}

static void *steal_for_ever(void *unused) {
    (void)unused;
    for (;;) {
        steal();
        pause_ms(1);
    }
    return NULL;
}

void children_open(enum thief how) {
    pthread_t thread;

    thief = how;
    if (thief == THIEF_THREAD && pthread_create(&thread, NULL, steal_for_ever, NULL) != 0) {
        thief = THIEF_LOOP;
    }
}

/* Reaps the host's own children, and no other. */
static void reap(void) {
    for (int at = 0; at < FOREIGN_MAX; at++) {
        int status = 0;
        pid_t pid = foreign[at] == 0 ? 0 : waitpid(foreign[at], &status, WNOHANG);
        if (pid != 0) {
            log_line(LOG_FD, "W %d %d", (int)foreign[at], pid > 0 ? status : -1);
            foreign[at] = 0;
        }
    }
}

static bool are_left(void) {
    bool some = false;

    (void)pthread_mutex_lock(&mutex); /* cannot fail */
    for (int at = 0; at < FOREIGN_MAX; at++) {
        some = some || foreign[at] != 0;
    }
    (void)pthread_mutex_unlock(&mutex); /* cannot fail */
    return some;
}

bool children_reap(void) {
    if (thief == THIEF_LOOP) {
        steal();
    } else if (thief == THIEF_NONE) {
        reap();
    }
    return thief == THIEF_LOOP || are_left();
}

void children_finish(void) {
    while (are_left()) {
        (void)children_reap();
        pause_ms(5);
    }
}
