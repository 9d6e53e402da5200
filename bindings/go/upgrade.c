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

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int upgraded;
static char *listeners;
static unsigned long long signals;

static void note_signals(void) {
    static const int noted[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH};
    const struct timespec no_time = {0, 0};
    sigset_t set;
    int number = 0;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(noted) / sizeof(*noted); i++) {
        sigaddset(&set, noted[i]);
    }
    while ((number = sigtimedwait(&set, NULL, &no_time)) > 0) {
        signals |= 1ULL << number;
    }
    sigemptyset(&set);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
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
