/*
 * signals.c - a host that passes the signals it receives to its pool
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int numbers[] = {SIGTERM, SIGINT,  SIGQUIT,
                              SIGHUP,  SIGTTIN, SIGTTOU,
                              SIGUSR1, SIGUSR2, SIGWINCH};
enum { COUNT = sizeof numbers / sizeof numbers[0] };

static pf_pool *pool;

/* A worker inherits the handler. The pool is not its own, and it dies as
 * if there were none. */
static void handle(int number, siginfo_t *info, void *context) {
    int saved_errno = errno, request = number;
    (void)context;
    if ((number == SIGTTIN || number == SIGTTOU) &&
        info->si_code == SI_KERNEL) {
        raise(SIGSTOP); /* a background job that has used its terminal */
        return;
    }
    if (number == SIGHUP && info->si_code == SI_KERNEL) {
        request = SIGTERM; /* the terminal is gone */
    }
    if (pf_pool_handle_signal(pool, request) == -ECHILD) {
        signal(number, SIG_DFL);
        raise(number);
    }
    errno = saved_errno;
}

static void set_handlers(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    for (int i = 0; i < COUNT; i++) {
        sigaction(numbers[i], &action, NULL);
    }
}

static void reset_handlers(void) {
    for (int i = 0; i < COUNT; i++) {
        signal(numbers[i], SIG_DFL);
    }
}

static void count_request(int number) {
    static const char line[] = "a worker has received SIGUSR1\n";
    (void)number;
    (void)!write(STDOUT_FILENO, line, sizeof line - 1);
}

static int wait_for_the_end(int task_id, void *user) {
    (void)task_id, (void)user;
    reset_handlers();
    signal(SIGUSR1, count_request);
    pf_worker_ready();
    while (pause() != 0) {
    }
    return EXIT_SUCCESS;
}

static void print_event(const pf_event *event, void *user) {
    (void)user;
    printf("%s\n", pf_event_message(event));
    fflush(stdout);
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

int main(void) {
    int task_id, number, result;
    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, 2));
    check(pf_pool_set_ready_timeout(pool, 60000));
    check(pf_pool_set_worker_fn(pool, wait_for_the_end, NULL, NULL));
    check(pf_pool_set_event_callback(pool, print_event, NULL, NULL));
    set_handlers();
    result = pf_pool_run(pool, &task_id);
    number = result < 0 ? 0 : pf_pool_stop_signal(pool);
    reset_handlers(); /* before the pool is gone */
    pf_pool_free(pool);
    check(result);
    /* So that whoever started this program knows what has ended it. */
    return number == 0 ? 0 : pf_die_of_signal(number);
}
