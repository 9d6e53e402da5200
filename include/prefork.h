/*
 * prefork.h - supervised pre-fork worker processes
 *
 * SPDX-License-Identifier: MIT
 *
 * One program becomes a pool of worker processes that share what was opened before the
 * call, each with a task id that survives restarts. See prefork(7) for the concepts and
 * the section 3 page of each function for the whole story.
 *
 * Conventions
 *   - 0 or a positive value is success; a negative errno or a PF_E... code is failure.
 *   - Nothing is written to stdout, and to stderr only by the default event callback.
 *   - Durations and times carry their unit in the name.
 */
#ifndef PREFORK_H
#define PREFORK_H

#include <stdint.h>

#ifndef PF_API
#define PF_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define PF_VERSION_MAJOR 0
#define PF_VERSION_MINOR 1
#define PF_VERSION_PATCH 0

/* The library's own error codes. All others are negative errno values. */
enum {
	PF_EGAVEUP = -4097, /* too many restarts; the other workers have been stopped */
	PF_ETHREADS = -4098 /* other threads are running, so forking is not safe */
};

/* No limit on the number of restarts. */
enum { PF_UNLIMITED = 2147483647 };

/* ---- One call ------------------------------------------------------------------------ */

/*
 * Fork workers and supervise them until they have all finished.
 *
 * Forks num_processes workers (0 or negative: pf_cpu_count()). In each worker the call
 * returns its task id, 0 to num_processes - 1. The caller itself becomes the supervisor: a
 * worker that is killed by a signal or exits with a status other than 0 is forked again with
 * the same task id, one that exits with status 0 is not. max_restarts bounds the restarts of
 * all workers together over the whole call; negative: 100; PF_UNLIMITED: no bound.
 *
 * The supervisor's call does not return while all goes well: when every worker has exited
 * with status 0 it calls exit(0). TERM, INT, QUIT and HUP, where their disposition is the
 * default, stop the workers gracefully (SIGTERM, SIGKILL after 10,000 ms); the supervisor
 * then dies of that signal.
 *
 * Call it from the main thread of a process without other threads, not from a signal
 * handler and not from a callback.
 *
 * Returns: a task id >= 0 in a worker; a negative code in the supervisor.
 * Errors: PF_EGAVEUP after one abnormal end more than max_restarts; PF_ETHREADS if other
 *   threads are running; -EALREADY in a worker; -EBUSY from within an event callback;
 *   -EINVAL if num_processes is above 65,536; -EMFILE, -ENFILE, -ENOMEM if the supervisor
 *   lacks descriptors or memory for itself; any other errno of a first fork that can not
 *   succeed later; -ECHILD in a child that an event callback forked and returned in. No
 *   worker is left behind, and the call may be made again.
 * Since: 0.1
 */
PF_API int pf_fork_processes(int num_processes, int max_restarts);

/*
 * Tell which worker this process is.
 *
 * The task id stays with a worker's own children. Any thread and any signal handler may
 * call it.
 *
 * Returns: the task id, or -1 in a process that is no worker.
 * Since: 0.1
 */
PF_API int pf_task_id(void);

/*
 * Count the processors that this process may use.
 *
 * The processors of its CPU affinity, but no more than the CPU quota of its control groups
 * (version 1 or 2), rounded up. Read anew at each call. Any thread may call it.
 *
 * Returns: at least 1.
 * Since: 0.1
 */
PF_API int pf_cpu_count(void);

/*
 * Tell the version of the library that is running, as "MAJOR.MINOR.PATCH".
 *
 * Returns: a static string. Any thread may call it.
 * Since: 0.1
 */
PF_API const char *pf_version(void);

/*
 * Describe a code that the library returned: a negative errno or a PF_E... code.
 *
 * Returns: a static string in English, never NULL; "Success" for 0 and positive values.
 *   Any thread may call it.
 * Since: 0.1
 */
PF_API const char *pf_strerror(int error);

/* ---- Events -------------------------------------------------------------------------- */

/* A fact about the pool or one worker. Valid until the callback that got it returns. */
typedef struct pf_event pf_event;

/* Called with each event, in order, exactly once, in the supervisor only. Must return. */
typedef void (*pf_event_fn)(const pf_event *event, void *user);

/* What happened: pf_event_type(). */
enum {
	PF_EVENT_STARTING = 1,     /* the pool begins to start its workers */
	PF_EVENT_STARTED = 2,      /* a worker was started */
	PF_EVENT_EXITED = 4,       /* a worker ended */
	PF_EVENT_GAVE_UP = 5,      /* too many restarts; the remaining workers are stopped */
	PF_EVENT_START_FAILED = 6, /* a worker could not be started; tried again later */
	PF_EVENT_STOPPING = 7,     /* the pool begins to stop its workers */
	PF_EVENT_KILLED = 8,       /* a worker did not stop in time and was sent SIGKILL */
	PF_EVENT_DONE = 14         /* the pool has ended; its last event */
};

/*
 * Choose who is told of events in later calls of pf_fork_processes().
 *
 * fn is called with user, which stays the caller's. NULL restores the default, which writes
 * "prefork: MESSAGE" and a newline to stderr for warnings and worse. The choice is copied
 * when pf_fork_processes() begins. Set it before other threads use the library.
 *
 * Since: 0.1
 */
PF_API void pf_set_event_callback(pf_event_fn fn, void *user);

/*
 * Read one field of an event. A field that means nothing for the event's type has the value
 * said for "none". The table in pf_event(3) tells which fields go with which type. Call them
 * while the event is valid, from the thread that got it.
 *
 * Since: 0.1
 */
PF_API int pf_event_type(const pf_event *event);            /* PF_EVENT_... */
PF_API int pf_event_level(const pf_event *event);           /* as syslog(3): 3 error to 7 debug */
PF_API const char *pf_event_message(const pf_event *event); /* one line without newline */
PF_API int pf_event_task_id(const pf_event *event);         /* -1: the whole pool */
PF_API int32_t pf_event_pid(const pf_event *event);         /* 0: none */
PF_API int pf_event_exit_code(const pf_event *event);       /* -1: did not exit, or unknown */
PF_API int pf_event_signal(const pf_event *event);          /* that ended it; 0: none */
PF_API int pf_event_core_dumped(const pf_event *event);     /* 1: it left a core dump */
PF_API int pf_event_will_restart(const pf_event *event);    /* 1: it is restarted */
PF_API int pf_event_error(const pf_event *event);           /* negative code; 0: none */
PF_API int pf_event_restarts(const pf_event *event);        /* counted so far in the pool */
PF_API uint64_t pf_event_delay_ms(const pf_event *event);   /* before the next attempt */
PF_API uint64_t pf_event_uptime_ms(const pf_event *event);  /* of the worker that ended */
PF_API uint64_t pf_event_time_ns(const pf_event *event);    /* CLOCK_MONOTONIC */
PF_API uint64_t pf_event_user_us(const pf_event *event);    /* CPU time in user mode */
PF_API uint64_t pf_event_system_us(const pf_event *event);  /* CPU time in the kernel */
PF_API uint64_t pf_event_max_rss_kib(const pf_event *event); /* largest resident set */

#ifdef __cplusplus
}
#endif

#endif
