/*
 * upgrade.c - the start of a program that Pool.Upgrade has executed
 *
 * SPDX-License-Identifier: MIT
 *
 * The library has all signals blocked then. Go's runtime would keep the mask of the first thread
 * for all threads, and for the children of the program. So the mask is empty before Go begins, and
 * the signals that came meanwhile are noted. The variables are removed from the environment.
 */
#define _GNU_SOURCE
#include "upgrade.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int upgraded;
static char *listeners;
static unsigned long long signals;

static const int noted[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH};
enum { NOTED = sizeof(noted) / sizeof(*noted) };

static struct sigaction before[NOTED];
static sigset_t mask_before;

static sigset_t noted_set(void) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < NOTED; i++) {
        sigaddset(&set, noted[i]);
    }
    return set;
}

/* Of a thread that does not block it. */
static void pass_to_main_thread(int number) {
    int error = errno;
    syscall(SYS_tgkill, getpid(), getpid(), number);
    errno = error;
}

void begin_upgrade_signals(void) {
    struct sigaction action;
    sigset_t set = noted_set();

    pthread_sigmask(SIG_BLOCK, &set, &mask_before);
    memset(&action, 0, sizeof(action));
    action.sa_handler = pass_to_main_thread;
    action.sa_flags = SA_ONSTACK | SA_RESTART; /* Go's stacks are small */
    sigfillset(&action.sa_mask);
    for (int i = 0; i < NOTED; i++) {
        sigaction(noted[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) {
            sigaction(noted[i], &action, NULL);
        }
    }
}

void end_upgrade_signals(void) {
    for (int i = 0; i < NOTED; i++) {
        sigaction(noted[i], &before[i], NULL);
    }
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

void clear_signal_mask(void) {
    sigset_t set;
    sigemptyset(&set);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

static void note_signals(void) {
    const struct timespec no_time = {0, 0};
    sigset_t set = noted_set();
    int number = 0;

    while ((number = sigtimedwait(&set, NULL, &no_time)) > 0) {
        signals |= 1ULL << number;
    }
    clear_signal_mask();
}

__attribute__((constructor)) static void take_upgrade(void) {
    const char *process = secure_getenv(UPGRADE_VARIABLE);
    const char *text = secure_getenv(LISTENERS_VARIABLE);

    upgraded = process != NULL && strtol(process, NULL, 10) == (long)getpid();
    if (upgraded) {
        listeners = text != NULL ? strdup(text) : NULL;
        note_signals();
    }
    unsetenv(UPGRADE_VARIABLE);
    unsetenv(LISTENERS_VARIABLE);
}

int is_upgraded(void) { return upgraded; }

const char *upgrade_listeners(void) { return listeners != NULL ? listeners : ""; }

unsigned long long upgrade_signals(void) { return signals; }
