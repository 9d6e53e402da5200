/*
 * queue.c - a batch queue: each job has three tries
 *
 * SPDX-License-Identifier: MIT
 *
 * A worker that fails leaves its job to the supervisor, which puts it
 * back into the queue. The queue is a pipe, from which each read takes
 * one job. In this example, job 2 crashes once and job 5 always fails.
 * With an argument, the first worker finds that none can work.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORKERS = 2, JOBS = 8, TRIES = 3, NO_JOB = -1, CANNOT_WORK = 78 };

struct job {
    int number, tries;
};

struct queue {
    int pipe[2];
    int broken;
    struct job current[WORKERS]; /* of each worker */
};

static int put(const struct queue *queue, struct job job) {
    return write(queue->pipe[1], &job, sizeof job) == sizeof job
               ? 0
               : -errno;
}

static int do_job(struct job job) {
    if (job.number == 2 && job.tries == 1) {
        raise(SIGKILL);
    }
    return job.number == 5 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Does jobs until the queue is empty. */
static int work(int task_id, void *user) {
    struct queue *queue = user;
    struct job *job = &queue->current[task_id];
    if (queue->broken) {
        return CANNOT_WORK;
    }
    while (read(queue->pipe[0], job, sizeof *job) == sizeof *job) {
        job->tries++;
        if (do_job(*job) != EXIT_SUCCESS) {
            return EXIT_FAILURE;
        }
        printf("job %d: done, try %d\n", job->number, job->tries);
        job->number = NO_JOB;
    }
    return EXIT_SUCCESS;
}

/* The worker has ended, so the supervisor alone uses its job. */
static void retry(const pf_event *event, void *user) {
    struct queue *queue = user;
    int task = pf_event_task_id(event);
    if (pf_event_type(event) == PF_EVENT_EXITED &&
        queue->current[task].number != NO_JOB) {
        struct job job = queue->current[task];
        queue->current[task].number = NO_JOB;
        if (job.tries == TRIES) {
            printf("job %d: given up\n", job.number);
        } else if (put(queue, job) < 0) {
            printf("job %d: lost\n", job.number);
        }
    }
}

static void check(int result) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s", pf_strerror(result));
    }
}

int main(int argc, char **argv) {
    pf_pool *pool = NULL;
    int task_id;
    struct queue *queue =
        mmap(NULL, sizeof *queue, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)argv;
    if (queue == MAP_FAILED || pipe2(queue->pipe, O_NONBLOCK) != 0) {
        err(EXIT_FAILURE, "queue");
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* a crash loses no line */
    queue->broken = argc > 1;
    for (int task = 0; task < WORKERS; task++) {
        queue->current[task].number = NO_JOB;
    }
    for (int number = 0; number < JOBS; number++) {
        check(put(queue, (struct job){number, 0}));
    }
    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, WORKERS));
    check(pf_pool_set_worker_fn(pool, work, queue, NULL));
    check(pf_pool_set_event_callback(pool, retry, queue, NULL));
    check(pf_pool_set_signals(pool, PF_SIGNALS_STOP_ONLY));
    check(pf_pool_set_max_restarts(pool, JOBS * TRIES));
    check(pf_pool_set_backoff(pool, 10, 100));
    /* 0 is done and 1 a try that failed, as usual. This one ends all. */
    check(pf_pool_set_exit_action(pool, CANNOT_WORK, PF_EXIT_FATAL));
    check(pf_pool_run(pool, &task_id));
    pf_pool_free(pool);
    return EXIT_SUCCESS;
}
