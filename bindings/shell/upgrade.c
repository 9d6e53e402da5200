/*
 * upgrade.c - SIGUSR2: the command executes itself anew, and the workers stay
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

enum { LEVEL_ERROR = 3, PROOF_STEPS = 500, PROOF_STEP_MS = 10 };

static const char variable[] = "PREFORK_UPGRADED"; /* for the new program, not for workers */
static pf_pool *upgraded;
static volatile sig_atomic_t is_requested;

static void request(int number) {
    const int error = errno;

    (void)number;
    is_requested = 1;
    (void)pf_pool_wake(upgraded);
    errno = error;
}

bool upgrade_is_done(void) {
    const bool is_done = getenv(variable) != NULL;

    (void)unsetenv(variable);
    return is_done;
}

void upgrade_prepare(pf_pool *pool) {
    const struct sigaction action = {.sa_handler = request, .sa_flags = SA_RESTART};

    upgraded = pool;
    (void)sigaction(SIGUSR2, &action, NULL);
}

/* Returns an errno; 0: a new process was started. */
static int spawn_version(const char *path, pid_t *ret_pid) {
    char *const argv[] = {(char *)path, "--version", NULL};
    posix_spawn_file_actions_t actions;
    int result = posix_spawn_file_actions_init(&actions);

    if (result != 0) {
        return result;
    }
    result = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (result == 0) {
        result = posix_spawn(ret_pid, path, &actions, NULL, argv, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return result;
}

/* A program that cannot run would end all workers, so it first has to show its version. */
static bool is_proven(const char *path) {
    pid_t pid = 0;
    int status = 0;
    int error = spawn_version(path, &pid);

    if (error != 0) {
        log_line(LEVEL_ERROR, "no upgrade: %s: %s", path, strerror(error));
        return false;
    }
    pid_t ended = 0;
    for (int i = 0; i < PROOF_STEPS && (ended = waitpid(pid, &status, WNOHANG)) == 0; i++) {
        (void)poll(NULL, 0, PROOF_STEP_MS);
    }
    if (ended == 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
    }
    if (ended <= 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        log_line(LEVEL_ERROR, "no upgrade: %s --version fails", path);
        return false;
    }
    return true;
}

void upgrade_if_requested(void) {
    const char *path = (const char *)getauxval(AT_EXECFN);

    if (!is_requested) {
        return;
    }
    is_requested = 0;
    /* Without a file there, the library executes the one that this process executes. */
    if (path != NULL && access(path, F_OK) == 0 && !is_proven(path)) {
        return;
    }
    (void)setenv(variable, "1", 1);
    int result = pf_upgrade(NULL, NULL, NULL);
    (void)unsetenv(variable);
    if (result == -EAGAIN) {
        is_requested = 1; /* again after the events */
        (void)pf_pool_wake(upgraded);
    } else if (result != -ECANCELED) { /* the pool stops */
        log_line(LEVEL_ERROR, "no upgrade: %s", pf_strerror(result));
    }
}
