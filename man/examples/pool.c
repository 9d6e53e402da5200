/*
 * pool.c - three workers that do jobs and are restarted after a crash
 *
 * SIGTERM lets each worker finish its job before it ends; Ctrl-C gives
 * it a second at most.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <err.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORKERS = 3, JOBS = 5, JOB_US = 100000 };

static volatile sig_atomic_t stopping;

static void note_stop(int number) {
    (void)number;
    stopping = 1;
}

/* Runs in each worker. What it returns is the exit status: with 0 the
 * worker has finished. */
static int do_jobs(int task_id, void *user) {
    const char *job_name = user;
    struct sigaction action = {.sa_handler = note_stop};
    /* A terminal sends SIGINT to all, but when a worker ends is for the
     * supervisor to say. */
    if (sigaction(SIGTERM, &action, NULL) != 0 ||
        signal(SIGINT, SIG_IGN) == SIG_ERR) {
        return EXIT_FAILURE;
    }
    int job = 0;
    while (job < JOBS && !stopping) {
        usleep(JOB_US); /* the job */
        job++;
    }
    return printf("worker %d: %d %s\n", task_id, job, job_name) > 0
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

static void set_up(pf_pool *pool) {
    check(pf_pool_set_workers(pool, WORKERS));
    check(pf_pool_set_worker_fn(pool, do_jobs, "jobs", NULL));
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));
    /* Again after 0.1 s, 0.2 s and so on up to 10 s, but no more than 20
     * times in a minute. */
    check(pf_pool_set_backoff(pool, 100, 10000));
    check(pf_pool_set_max_restarts(pool, PF_UNLIMITED));
    check(pf_pool_set_restart_window(pool, 20, 60000));
}

int main(void) {
    pf_pool *pool = NULL;
    int task_id, result, stop_signal;
    check(pf_pool_new(&pool));
    set_up(pool);
    result = pf_pool_run(pool, &task_id);
    stop_signal = result == 0 ? pf_pool_stop_signal(pool) : 0;
    pf_pool_free(pool);
    check(result);
    /* So that whoever started this program sees what ended it. */
    return stop_signal == 0 ? 0 : pf_die_of_signal(stop_signal);
}
