/*
 * What the scenarios share: the pool, the events so far, and the judgement.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef INJECT_SCENE_H
#define INJECT_SCENE_H

#include <stdint.h>

#include <prefork.h>

enum { scene_max_workers = 256, scene_event_types = 32 };

struct scene {
    pf_pool *pool;
    int workers;
    int lasting_blocks; /* of memory, that the library may keep */
    int error;          /* the first code that a call of the library returned */
    int reported;       /* events that report a failure */
    int events[scene_event_types];
    int started;
    int32_t spare; /* the newest one that has no slot */
    struct {
        int32_t pid;
        int exits;
    } processes[scene_max_workers];
};

/* That of this process. */
extern struct scene scene;

/* Whether a call succeeds; notes its result. */
#define TRY(call) scene_try(#call, (call))
int scene_try(const char *call, int result);

/* Notes descriptors, signal mask and disposition of SIGCHLD. */
void scene_begin(void);

/* In the program that an upgrade executes: what the old one had is not known. */
void scene_begin_upgraded(void);

/* Compares them; no child may be left. */
void scene_end(void);

void scene_broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Notes a result of the library; returns whether it is an error. */
int scene_failed(struct scene *s, const char *call, int result);

/* Notes an event, and forks where the host is asked to. */
void scene_event(const pf_event *event, void *user);

/* Dispatches once, for so long at most, and notes all events. Returns the result. */
int scene_dispatch(struct scene *s, int timeout_ms);

/* Dispatches until the condition holds; returns whether it does. An error, or a failure that was
 * reported, is an answer too; neither within the time is broken. */
int scene_until(struct scene *s, const char *what, int (*holds)(struct scene *));

/* Stops the pool, gracefully or not, frees it and compares starts with ends. */
void scene_finish(struct scene *s, int (*stop)(pf_pool *));

/* Makes a pool with the usual settings that is not started yet. Returns whether it could. */
int scene_make_pool(int (*fn)(int, void *));

/* Starts it, and dispatches until all workers are ready. Returns whether they are. */
int scene_start(void);

int scene_all_ready(struct scene *s);

/* A worker that waits for signals. */
int scene_serve(int task_id, void *user) __attribute__((noreturn));

/* In the child of the process that began: it is the supervisor. */
void scene_be_supervisor(void);

/* A scenario: workers that crash until pf_pool_run() gives up, with reports to stderr. */
void play_run(void);

#endif
