/*
 * denial.h - scenarios in which a system call is denied to all processes
 *
 * They make as few system calls of their own as they can, and report by shared memory. The process
 * that starts one is not filtered: it kills the victims, and stops what is to be stopped.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_DENIAL_H
#define TESTS_SUPPORT_DENIAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { DENIAL_WORKERS = 2 };

struct denial {
    char directory[64]; /* for files */

    /* What the driver has to do. */
    atomic_int victim;    /* a worker to be killed */
    atomic_bool end_it;   /* the supervisor to be ended by SIGTERM */
    atomic_int daemon;    /* the supervisor, where it is not the process that was started */
    atomic_int listener;  /* of the filter that lets calls be watched; -1: none */
    atomic_bool listened; /* the driver has it */

    /* What has happened. */
    atomic_int runs; /* of workers */
    bool started;    /* the first worker ran */
    bool restarted;  /* after a crash */
    bool reported;   /* the crash, with its signal */
    bool done;       /* the supervisor saw the end of the pool */
    bool reloaded;
    bool upgraded;     /* the new program runs */
    int adopted;       /* workers, by it */
    int upgrade_error; /* no new program runs */
    int failed_starts;
    int failures; /* of workers that nobody killed */
    int status;   /* with which the process that was started exited */
    int error;    /* of the call that failed, or of a start */
};

struct denial_scenario {
    const char *name;
    /* Returns 0, or the error of the call that failed. */
    int (*play)(struct denial *denial);
    bool has_pool;   /* whose workers crash and are restarted */
    bool is_stopped; /* by SIGTERM, and dies of it */
    bool is_daemon;  /* ends in another process than it began */
};

/* The last one has no name. */
extern const struct denial_scenario denial_scenarios[];

/* NULL: there is none. */
const struct denial_scenario *denial_scenario_named(const char *name);

/* Those that a scenario leaves in its directory. */
void denial_remove_files(const struct denial *denial);

/* The workers of the scenarios that execute this program: it uses the library, or does not. They
 * return its exit status. */
int denial_worker(void);
int denial_foreign_worker(void);

/* The program that an upgrade executes plays the rest. Returns 0 or an error. */
int denial_upgraded(struct denial *denial);

/* Scenarios without a pool. */
int denial_tcp(struct denial *denial);
int denial_unix(struct denial *denial);
int denial_cpus(struct denial *denial);

/* Shared by the scenarios. */
extern const char denial_pool_name[];
int denial_wait(void); /* returns 1, if ever */

#endif
