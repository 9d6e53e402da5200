/*
 * prefork.h - supervised pre-fork worker processes
 *
 * SPDX-License-Identifier: MIT
 *
 * One program becomes a supervisor and a pool of worker processes, which share what was opened
 * before the call. Each worker has a task id that survives restarts. See prefork(7) for the
 * concepts, and the section 3 page of each function for the details.
 *
 * Conventions
 *   - 0 or a positive value is success; a negative errno or a PF_E... code, below -4096, is
 *     failure. A parameter ret_... is written on success only.
 *   - A program must ignore events, reasons, states and codes that it does not know: later versions
 *     add some.
 *   - Strings and arrays are copied. A flag, named on, takes 0 and 1 only.
 *   - The library writes nothing to stdout. Only the default event callback writes to stderr.
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
#define PF_VERSION_MINOR 2
#define PF_VERSION_PATCH 0

/* The library's own error codes. All others are negative errno values. */
enum {
	PF_EGAVEUP = -4097,  /* too many restarts, or no worker got ready; all were stopped */
	PF_ETHREADS = -4098, /* other threads run, or cannot be counted: a fork is not safe */
	PF_ERESOLVE = -4099, /* the name of a host was not found */
	PF_EFATAL = -4100    /* a worker exited with a status of PF_EXIT_FATAL */
};

/* No limit on the number of restarts. */
enum { PF_UNLIMITED = 2147483647 };

/* ---- One call ------------------------------------------------------------------------ */

/*
 * Fork workers and supervise them until all have finished.
 *
 * Forks num_processes workers; 0 or negative: pf_cpu_count(). In each worker the call returns the
 * task id, 0 to num_processes - 1. The caller becomes the supervisor. It forks a worker that was
 * killed by a signal or exited with a status other than 0 again, with the same task id. It does
 * not restart a worker that exited with status 0. max_restarts limits the restarts of all workers
 * together; negative: 100; PF_UNLIMITED: no limit.
 *
 * In the supervisor the call does not return when all goes well: when every worker has exited with
 * status 0, it calls exit(0). TERM, INT, QUIT and HUP, if their disposition is the default, stop
 * the workers gracefully (SIGTERM, SIGKILL after 10,000 ms). The supervisor then dies of that
 * signal.
 *
 * Call it from the main thread of a process without other threads. Do not call it from a signal
 * handler or a callback.
 *
 * Returns: a task id >= 0 in a worker; a negative code in the supervisor.
 * Errors: PF_EGAVEUP if there were more than max_restarts restarts to do; PF_ETHREADS if other
 *   threads run; -EALREADY in a worker; -ESRCH, -EALREADY as for pf_pool_run() in a process that
 *   was started as a worker; -EBUSY in an event callback; -EINVAL if num_processes is above
 *   65,536; -EMFILE, -ENFILE, -ENOMEM, -ENOSPC if the supervisor lacks descriptors or memory for
 *   itself; another errno of the first fork if it cannot succeed later; -ECHILD in a child that an
 *   event callback forked and in which it returned. After an error no worker is left, and the call
 *   may be made again.
 * Since: 0.2
 */
PF_API int pf_fork_processes(int num_processes, int max_restarts);

/*
 * Return the task id of this worker.
 *
 * Children that a worker forks have the task id of the worker. In a worker made by exec the task
 * id is set when the library is loaded. Any thread and any signal handler may call it.
 *
 * Returns: the task id; PF_TASK_SPARE in a spare that has no slot yet; -1 in a process that is not
 *   a worker.
 * Since: 0.2
 */
PF_API int pf_task_id(void);

/*
 * Count the processors that this process may use.
 *
 * These are the processors of its CPU affinity, but at most the CPU quota of its control groups
 * (version 1 or 2), rounded up. Each call reads them again. Any thread may call it.
 *
 * Returns: at least 1.
 * Since: 0.2
 */
PF_API int pf_cpu_count(void);

/*
 * Return the version of the loaded library as "MAJOR.MINOR.PATCH".
 *
 * Returns: a static string. Any thread may call it.
 * Since: 0.2
 */
PF_API const char *pf_version(void);

/*
 * Return the version of the loaded library as a number: 10,000 * MAJOR + 100 * MINOR + PATCH. For
 * languages that cannot read the macros.
 *
 * Returns: a positive number. Any thread may call it.
 * Since: 0.2
 */
PF_API int pf_version_number(void);

/*
 * Describe a code that the library returned: a negative errno or a PF_E... code.
 *
 * Returns: a static string in English, never NULL; "Success" for 0 and positive values.
 *   Any thread may call it.
 * Since: 0.2
 */
PF_API const char *pf_strerror(int error);

/* ---- Events -------------------------------------------------------------------------- */

/*
 * A fact about the pool or one worker. It is valid until the callback returns, or until the next
 * call of pf_pool_next_event() with the same pool.
 */
typedef struct pf_event pf_event;

/*
 * A callback. It is called with each event, in order, exactly once, in the supervisor only, inside
 * pf_fork_processes(), pf_pool_run() or pf_pool_dispatch(). It must return: no exception and no
 * longjmp() may leave it. It may call the functions of its pool, except run and dispatch (-EBUSY)
 * and free (which does nothing).
 */
typedef void (*pf_event_fn)(const pf_event *event, void *user);

/* What happened: pf_event_type(). */
enum {
	PF_EVENT_STARTING = 1,     /* the pool begins to start its workers */
	PF_EVENT_STARTED = 2,      /* a worker was started */
	PF_EVENT_READY = 3,        /* a worker reported that it is ready */
	PF_EVENT_EXITED = 4,       /* a worker ended */
	PF_EVENT_GAVE_UP = 5,      /* too many restarts: all workers stop, or a slot is given up */
	PF_EVENT_START_FAILED = 6, /* a worker could not be started; tried again later */
	PF_EVENT_STOPPING = 7,     /* the pool begins to stop its workers */
	PF_EVENT_KILLED = 8,       /* a worker did not stop in time and was sent SIGKILL */
	PF_EVENT_UNRESPONSIVE = 9, /* a worker was not ready in time, sends no heartbeats, or (error
				      not 0) a signal could not be sent to it */
	PF_EVENT_RELOADING = 10,   /* a reload begins */
	PF_EVENT_RELOADED = 11,    /* all workers have been replaced */
	PF_EVENT_RELOAD_FAILED = 12, /* a new worker failed; the old worker stays */
	PF_EVENT_RESIZED = 13,     /* the pool has another number of slots */
	PF_EVENT_DONE = 14,        /* the pool has ended; its last event */
	PF_EVENT_FORK_WANTED = 15, /* the host must fork a worker: pf_pool_fork_prepare() */
	PF_EVENT_SIGNAL_UNAVAILABLE = 16, /* a signal of the set does not control the pool, because
					     the program handles, ignores or blocks it, or the
					     system allows no handler */
	PF_EVENT_ADOPTED = 17, /* the pool goes on with the workers of the program before
				 pf_upgrade(); instead of PF_EVENT_STARTING */
	PF_EVENT_SPARE_STARTED = 18,      /* a spare was started: pf_pool_set_spares() */
	PF_EVENT_SPARE_EXITED = 19        /* a spare ended without having had a slot */
};

/*
 * Why a worker was started, why it was stopped, or why the pool ends: pf_event_reason().
 */
enum {
	PF_REASON_NONE = 0,               /* the worker ended by itself, or no reason is known */
	PF_REASON_START = 1,              /* the pool starts */
	PF_REASON_RESTART = 2,            /* the worker before it ended */
	PF_REASON_REPLACE = 3,            /* pf_pool_replace_worker() */
	PF_REASON_RELOAD = 4,             /* a reload of all workers */
	PF_REASON_LIFETIME = 5,           /* the age of pf_pool_set_lifetime() */
	PF_REASON_RETIRE = 6,             /* pf_worker_retire() */
	PF_REASON_RESIZE = 7,             /* the pool has more slots, or fewer */
	PF_REASON_STOP = 8,               /* the host or a signal stops the pool, or one worker */
	PF_REASON_READY_TIMEOUT = 9,      /* the worker was not ready in time */
	PF_REASON_HEARTBEAT_TIMEOUT = 10, /* it sent no heartbeats */
	PF_REASON_LIMIT = 11,             /* a limit of restarts was reached */
	PF_REASON_PROTOCOL = 12,          /* it sent more messages than any correct worker */
	PF_REASON_OUT_OF_MEMORY = 13      /* SIGKILL; the kernel has killed for lack of memory */
};

/*
 * Set the function that later calls of pf_fork_processes() report events to. It has no effect on
 * pools, see pf_pool_set_event_callback().
 *
 * The library calls fn with user, which belongs to the caller. NULL restores the default, which
 * writes "prefork: MESSAGE" and a newline to stderr for events of level warning and worse. The
 * default never waits for a reader and raises no signal. It counts the messages that it could not
 * write, and writes this number later. The choice is copied when pf_fork_processes() begins. Set
 * it before other threads use the library.
 *
 * Since: 0.2
 */
PF_API void pf_set_event_callback(pf_event_fn fn, void *user);

/*
 * Read one field of an event. If the event's type does not have the field, the value is the one
 * given for "none". The table in pf_event(3) shows the fields of each type. Call these functions
 * while the event is valid, on the thread that received it.
 *
 * Since: 0.2
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
PF_API uint64_t pf_event_delay_ms(const pf_event *event);   /* before the next try, rounded up */
PF_API uint64_t pf_event_uptime_ms(const pf_event *event);  /* of the worker that ended */
PF_API uint64_t pf_event_time_ns(const pf_event *event);    /* CLOCK_MONOTONIC */
PF_API uint64_t pf_event_user_us(const pf_event *event);    /* CPU time in user mode */
PF_API uint64_t pf_event_system_us(const pf_event *event);  /* CPU time in the kernel */
PF_API uint64_t pf_event_max_rss_kib(const pf_event *event); /* largest resident set */
PF_API int pf_event_worker_count(const pf_event *event); /* slots of STARTING, RESIZED,
                                                            RELOADING and RELOADED; processes
                                                            of ADOPTED and STOPPING; 0: none */
PF_API int pf_event_reason(const pf_event *event);       /* PF_REASON_... */

/*
 * Return the name of an event type, such as "worker_exited", for logs and metrics.
 *
 * Returns: a static string, or NULL for an unknown type. Any thread may call it.
 * Since: 0.2
 */
PF_API const char *pf_event_type_name(int type);

/* ---- Pools: settings ------------------------------------------------------------------ */

/*
 * A pool of workers that the host supervises in pf_pool_run() or from its own event loop. It
 * belongs to the process that made it, and to one thread at a time. Any thread and any signal
 * handler may call pf_pool_stop(), pf_pool_kill(), pf_pool_reload(), pf_pool_handle_signal() and
 * pf_pool_wake(). Pools are independent of each other. A pool is used once.
 *
 * In a process that did not make the pool, all functions of pools except pf_pool_free() and
 * pf_pool_fork_child() return -ECHILD and do nothing. For a NULL pool they return -EINVAL.
 */
typedef struct pf_pool pf_pool;

/*
 * Make a pool with the default settings.
 *
 * Returns: 0, and the pool in *ret_pool, which the caller frees with pf_pool_free().
 * Errors: -ENOMEM; -EINVAL if ret_pool is NULL.
 * Since: 0.2
 */
PF_API int pf_pool_new(pf_pool **ret_pool);

/*
 * Free a pool.
 *
 * Workers that are still alive are killed and reaped first. If no worker ends for 5 seconds, those
 * that are left are reported to stderr. Pending events are discarded. The free_user functions are
 * called. In a process that did not make the pool, such as a worker, only the memory is released.
 * In a callback of the pool, and in a free_user function that pf_pool_free() has called, the call
 * does nothing; so in a child that one of them has forked, until it has returned there, and in a
 * child that another thread has forked meanwhile, where it never returns.
 *
 * Returns: NULL; pool if the call does nothing. pool may be NULL.
 * Since: 0.2
 */
PF_API pf_pool *pf_pool_free(pf_pool *pool);

enum { PF_RESTART_ON_FAILURE = 0, PF_RESTART_ALWAYS = 1, PF_RESTART_NEVER = 2 };
enum { PF_LIMIT_STOP = 0, PF_LIMIT_DEGRADE = 1 };
enum { PF_EXIT_DEFAULT = 0, PF_EXIT_RESTART = 1, PF_EXIT_DONE = 2, PF_EXIT_FATAL = 3 };
enum { PF_RELOAD_START_FIRST = 0, PF_RELOAD_STOP_FIRST = 1 };
enum { PF_SIGNALS_NONE = 0, PF_SIGNALS_STANDARD = 1, PF_SIGNALS_STOP_ONLY = 2 };
enum { PF_THREADS_REFUSE = 0, PF_THREADS_ALLOW = 1 };
enum { PF_BACKEND_AUTO = 0, PF_BACKEND_PIDFD = 1, PF_BACKEND_SIGCHLD = 2 };
enum { PF_REAP_ADOPTED = 1, PF_REAP_ALL = 2 };
enum { PF_GROUP_SIGNALS = 1, PF_GROUP_KILL = 2 };

/*
 * The settings of a pool. Call these functions before the pool starts, on the thread that uses the
 * pool. Durations are in milliseconds.
 *
 * Returns: 0.
 * Errors, with nothing changed: -EINVAL if a value is out of range; -EBUSY after the start, and
 * while the pool is being freed, that is in a free_user function.
 * Since: 0.2
 */

/* At most 63 bytes; default "". Copied. */
PF_API int pf_pool_set_name(pf_pool *pool, const char *name);

/* Slots to start with, at most 65,536. 0 or negative: pf_cpu_count(), the default. */
PF_API int pf_pool_set_workers(pf_pool *pool, int count);

/* Which ends lead to a restart: abnormal ones (default), all, or none. */
PF_API int pf_pool_set_restart_policy(pf_pool *pool, int when);

/* Restarts in the life of the pool, over all slots. Default, and for a negative value: 100. */
PF_API int pf_pool_set_max_restarts(pf_pool *pool, int max);

/* Restarts in any window, over all slots, 1 to 65,536; 0, 0: no such limit, the default. */
PF_API int pf_pool_set_restart_window(pf_pool *pool, int max, uint64_t window_ms);

/*
 * The delay before a restart. It doubles for each slot from first to max; the delay used is a
 * random value from half of it to the whole. After an uptime of max_ms it is first again. 0, 0: no
 * delay, the default.
 */
PF_API int pf_pool_set_backoff(pf_pool *pool, uint64_t first_ms, uint64_t max_ms);

/*
 * How many workers may end in a row before they are ready, while no worker is ready: at max the
 * pool stops and fails with PF_EGAVEUP, whatever the limit action. Only ends that lead to a restart
 * count, not those of replacements. Without a ready time-out a worker is ready here when it has
 * called pf_worker_ready() or lived for the time of pf_pool_set_min_uptime(). 0: no limit, the
 * default.
 */
PF_API int pf_pool_set_boot_limit(pf_pool *pool, int max);

/* At a limit: stop all and fail with PF_EGAVEUP (default), or leave that slot empty. */
PF_API int pf_pool_set_limit_action(pf_pool *pool, int action);

/*
 * How workers are stopped: by signal (default SIGTERM; 0: none), then SIGCONT, and SIGKILL after
 * the time-out (default 10,000; 0: never).
 */
PF_API int pf_pool_set_stop(pf_pool *pool, int signal, uint64_t timeout_ms);

/*
 * What an exit status, 0 to 255, means, whatever the restart policy says. PF_EXIT_RESTART: the
 * worker is restarted, and the restart counts. PF_EXIT_DONE: the slot has finished, as with
 * status 0. PF_EXIT_FATAL: all workers stop, and the pool fails with PF_EFATAL. PF_EXIT_DEFAULT,
 * the default: the restart policy decides. The status of a replacement only fails the replacement.
 */
PF_API int pf_pool_set_exit_action(pf_pool *pool, int code, int action);

/*
 * The time in which a worker must call pf_worker_ready(). A worker that does not is killed, which
 * is an abnormal end. 0: a worker is ready when it has started, the default.
 */
PF_API int pf_pool_set_ready_timeout(pf_pool *pool, uint64_t timeout_ms);

/*
 * How long a worker must live to count as started well; default 1,000. In a pool without a ready
 * time-out, a replacement takes over its slot after this time, or when it calls pf_worker_ready().
 * With PF_RESTART_ALWAYS, the restart after a normal exit counts if the worker lived for less. A
 * worker that calls pf_worker_retire() earlier is replaced after this time. 0: a replacement takes
 * over when it has started, no normal exit counts, and a worker may retire at once.
 */
PF_API int pf_pool_set_min_uptime(pf_pool *pool, uint64_t uptime_ms);

/*
 * The longest time between two calls of pf_worker_heartbeat(). A worker that exceeds it gets
 * SIGABRT, and SIGKILL after the stop time-out, which is an abnormal end. The time begins when the
 * worker is ready, or without a ready time-out with its first heartbeat. 0: no heartbeats are
 * expected, the default.
 */
PF_API int pf_pool_set_heartbeat_timeout(pf_pool *pool, uint64_t timeout_ms);

/*
 * The age at which a worker is replaced as by pf_pool_replace_worker(): max_ms plus a random part
 * of jitter_ms. 0, 0: never, the default.
 */
PF_API int pf_pool_set_lifetime(pf_pool *pool, uint64_t max_ms, uint64_t jitter_ms);

/*
 * Whether a replacement starts the new worker before it stops the old one (default), or after.
 * With the second order the pool never has more processes than slots.
 */
PF_API int pf_pool_set_reload_order(pf_pool *pool, int order);

/*
 * How many slots are replaced at a time, for any reason: a reload, the lifetime, retirement or
 * pf_pool_replace_worker(). Default 1. The replacement of a slot ends when its old worker has
 * ended.
 */
PF_API int pf_pool_set_replace_width(pf_pool *pool, int count);

/*
 * Which signals of this process control the pool while it runs, if their disposition is the
 * default and they are not blocked. PF_SIGNALS_STANDARD: TERM: graceful stop. INT, QUIT: graceful
 * stop within 1,000 ms. A second one of these, at least 200 ms later: kill. HUP: reload, or a
 * graceful stop if the terminal is gone. TTIN, TTOU: one slot more, one less; sent by the kernel
 * because a background job uses its terminal, they stop the process as usual. USR1, USR2, WINCH:
 * sent to the workers. PF_SIGNALS_STOP_ONLY: TERM, INT, QUIT and HUP stop gracefully, as with
 * pf_fork_processes(). Default: PF_SIGNALS_NONE.
 */
PF_API int pf_pool_set_signals(pf_pool *pool, int set);

/*
 * Whether workers may be forked while other threads run. PF_THREADS_REFUSE, the default: the start
 * of the pool fails. Later forks are delayed while other threads run, and PF_EVENT_START_FAILED
 * reports PF_ETHREADS.
 */
PF_API int pf_pool_set_thread_policy(pf_pool *pool, int policy);

/*
 * Whether workers can have a stop descriptor, see pf_worker_stop_fd(): 0 or 1, the default. With 0
 * the supervisor needs one descriptor less for each worker, and a start costs less.
 */
PF_API int pf_pool_set_stop_fd(pf_pool *pool, int on);

/*
 * Whether each worker leads a process group. What is left of the group is killed when the worker
 * has ended. PF_GROUP_SIGNALS: each signal goes to the group and, in it or not, to the worker.
 * PF_GROUP_KILL: signals go to the worker alone, which stops its processes itself, as a program
 * with a master process does. 0: workers stay in the group of the host, the default.
 */
PF_API int pf_pool_set_process_groups(pf_pool *pool, int mode);

/* The signal that the kernel sends a worker when the supervisor ends; default SIGTERM; 0: none. */
PF_API int pf_pool_set_parent_death_signal(pf_pool *pool, int signal);

/*
 * Which children are reaped besides the workers, in PID 1 or a subreaper. PF_REAP_ADOPTED: those
 * that were adopted while the pool's own code waited, never a child of the host. An orphan that
 * was adopted while code of the host or another thread ran looks like a child of the host, and is
 * left. PF_REAP_ALL: every child that is not a worker of a pool, for hosts that have no other
 * children. 0: none, the default.
 */
PF_API int pf_pool_set_reap_orphans(pf_pool *pool, int mode);

/*
 * Whether the supervisor sends the messages of sd_notify(3) to the socket that NOTIFY_SOCKET names
 * when the pool starts, see pf_pool_set_manager_notify(3). Without the variable, and in workers,
 * it sends nothing. NOTIFY_SOCKET is removed from the environment of workers. Default 0.
 */
PF_API int pf_pool_set_manager_notify(pf_pool *pool, int on);

/*
 * How the end of a worker is noticed. -ENOTSUP if the kernel does not support it, or a filter of
 * system calls forbids it.
 */
PF_API int pf_pool_set_backend(pf_pool *pool, int backend);

/*
 * The function that the pool reports events to, instead of stderr in pf_pool_run(), and instead of
 * pf_pool_next_event() in a pool of pf_pool_start(). free_user, if not NULL, is called with user
 * exactly once: when the pool is freed, another callback is set, or this call fails.
 */
PF_API int pf_pool_set_event_callback(pf_pool *pool, pf_event_fn fn, void *user,
				      void (*free_user)(void *));

/*
 * The function that each worker calls. Its result is the exit status. Without a function,
 * pf_pool_run() returns in the worker. free_user as above; it is not called in workers.
 */
PF_API int pf_pool_set_worker_fn(pf_pool *pool, int (*fn)(int task_id, void *user), void *user,
				 void (*free_user)(void *));

/*
 * Pass a descriptor of this process to each worker, which finds it by pf_worker_fd(name).
 *
 * The descriptor belongs to the caller, who keeps it open while the pool exists. A forked worker
 * has it under the same number. A worker by exec has, from 3 on, the descriptors that systemd
 * passed, the sockets that were bound, and these descriptors in the order of the calls. LISTEN_FDS
 * describes them all; they are close-on-exec if the program loads this library. The name has 1 to
 * 255 bytes, without colons and control characters.
 *
 * Returns: 0.
 * Errors: -EINVAL for another name; -EBADF if fd is not open; -EEXIST if the pool has the name;
 *   -ENOSPC beyond 1,024 descriptors; -E2BIG beyond 64 KiB of names; -ENOMEM; -EBUSY after the
 *   start of the pool and while it is being freed. The start of a worker fails with -EBADF if the
 *   descriptor was closed or is another file by then.
 * Since: 0.2
 */
PF_API int pf_pool_add_fd(pf_pool *pool, const char *name, int fd);

/*
 * Make workers by exec. Each worker executes a program, in which pf_pool_run() of the pool with
 * the same name returns the task id at once, or calls the worker function if the pool has one. The
 * supervisor may have threads, and its size has no effect on the time of a start.
 *
 * path is the program; PATH is not searched. argv are its arguments, the name first; envp is its
 * environment; NULL ends both. All are copied. NULL selects the value of this program: its name
 * and arguments at its start, and its environment when the pool starts. Links in the name are
 * followed at each start. If there is no file at the path, workers execute the file that this
 * process executes.
 *
 * The call may be repeated while a pool with workers by exec runs. It changes the program of later
 * starts; NULL for envp then selects the environment at the time of the call.
 *
 * Workers inherit the signal mask of this process, the signals that it ignores, descriptors 0 to 2
 * and others that are not close-on-exec, those of pf_pool_add_fd(), and the sockets that this
 * process bound by this library or got from systemd. If the program cannot be executed,
 * PF_EVENT_START_FAILED reports the errno.
 *
 * Returns: 0.
 * Errors: -EINVAL if argv is empty; -ENOENT if argv is NULL and /proc does not show how this
 *   program was started; -E2BIG if argv or envp is larger than execve() allows; -ENOMEM; -EBUSY
 *   after the start of a pool whose workers are not made by exec, and while the pool is being
 *   freed; -ECANCELED after the end of the pool; if a program is set-user-ID or the like, the
 *   errno of what a worker could not find out about this process.
 * Since: 0.2
 */
PF_API int pf_pool_set_exec(pf_pool *pool, const char *path, const char *const *argv,
			    const char *const *envp);

/* What pf_task_id() returns in a spare, and pf_event_task_id() for it. */
enum { PF_TASK_SPARE = -2 };

/*
 * Keep count spares, at most 65,536; 0, the default: none. Also while the pool runs.
 *
 * A spare is a worker that is started ahead of need and waits without a task id. When a worker is
 * to be started, a spare takes its slot at once, and another spare is started after it. A forked
 * spare waits before the call of its fork returns, one by exec in pf_fork_processes() or
 * pf_pool_run(), after its own start-up work, one that the host forks in pf_pool_fork_child(). It
 * ends there, with status 0, when it is not needed any more.
 *
 * Until it has a slot, pf_task_id() is PF_TASK_SPARE, pf_worker_ready() and pf_worker_retire()
 * return -EAGAIN, and no signal of the pool reaches it. Time-outs, lifetime and uptime count from
 * the takeover. A spare that ends is started again after the pool's backoff, at least 10 ms. No
 * limit counts it. A reload, and pf_pool_set_exec(), end the spares and start others.
 *
 * Returns: 0.
 * Errors: -EINVAL if count is out of range, or the pool runs and its workers are foreign;
 *   -ECANCELED if the pool stops or has ended; -EBUSY while it is being freed; -ENOMEM; -EBADF if
 *   the host has closed descriptors of the library.
 * Since: 0.2
 */
PF_API int pf_pool_set_spares(pf_pool *pool, int count);

/*
 * The program of pf_pool_set_exec() does not use this library for this pool: 0, the default, or 1.
 * With 1 its environment has no variable of this library, it inherits none of its pipes, and
 * pf_worker_*() do not work in it. It may use this library for pools of its own.
 *
 * With a ready time-out or a heartbeat time-out it reports as a service does to systemd: its
 * environment has NOTIFY_SOCKET and, with a heartbeat time-out, WATCHDOG_USEC and WATCHDOG_PID.
 * READY=1 counts as pf_worker_ready(), WATCHDOG=1 as pf_worker_heartbeat(), and WATCHDOG=trigger
 * as a heartbeat time-out, if the process of the worker itself sends them. All else is ignored.
 * The programs must be trusted: they can send as much as they like.
 *
 * Such a worker ends with its supervisor by the parent death signal alone: supervise the pool in
 * the main thread. Without pf_pool_set_exec(), or with spares, the start of the pool fails with
 * -EINVAL.
 */
PF_API int pf_pool_set_foreign_workers(pf_pool *pool, int on);

/*
 * The host forks the workers, for a runtime that must see each fork: 0, the default, or 1.
 * PF_EVENT_FORK_WANTED asks for each worker, see pf_pool_fork_prepare(). Only for pf_pool_start()
 * without a callback. A worker function is not needed and not called. The library does not check
 * for other threads.
 */
PF_API int pf_pool_set_host_fork(pf_pool *pool, int on);

/* ---- Pools: running ------------------------------------------------------------------- */

/*
 * Start the workers and supervise them until the pool is done.
 *
 * Events go to the callback of the pool. A pool without one reports warnings and worse to stderr,
 * as pf_fork_processes() does by default. The call continues after a signal handler of the host
 * has run.
 *
 * In a worker made by exec it returns at once if the pool has the name of the worker's pool.
 * Before that, no other pool can be run or started there.
 *
 * Returns: 0 in a worker, with its task id in *ret_task_id; only pf_pool_free() may be called with
 *   the pool there. 0 in the supervisor, with -1 in *ret_task_id, when the pool is done.
 * Errors: PF_EGAVEUP, PF_EFATAL or the errno that the pool failed with: no worker is left;
 *   PF_ETHREADS, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC (1,024 pools run, or too much is watched by
 *   epoll): nothing was started; -EALREADY after the end of the pool, if pf_pool_start() started
 *   it, and in a worker made by exec whose pool has another name, before that worker has run its
 *   own pool; -ESRCH, always, in a process that was started as a worker but not by its parent, or
 *   that has more privileges than its parent, such as a set-user-ID program; -ELOOP for a pool by
 *   exec in a worker of a pool with the same name; -EINVAL after pf_pool_set_host_fork(), and for
 *   foreign workers without a program or with spares; -EBUSY in a callback, and while the
 *   pool is being freed; -ECHILD also in a child that an event callback forked and in which it
 *   returned.
 * Since: 0.2
 */
PF_API int pf_pool_run(pf_pool *pool, int *ret_task_id);

/*
 * Start a pool for the event loop of the host. The loop waits until pf_pool_fd() is readable and
 * calls pf_pool_dispatch(). The first dispatch starts the workers. If the pool has no callback,
 * the host gets events by pf_pool_next_event().
 *
 * Returns: 0.
 * Errors: -EINVAL without a way to make workers: a worker function, a program, or
 *   pf_pool_set_host_fork() with neither a program nor a callback; the same for foreign workers
 *   without a program or with spares; -EALREADY after an earlier start, and in a worker made by
 *   exec before it has called pf_pool_run(); -EBUSY while the pool is being freed; -ESRCH and
 *   -ELOOP as for pf_pool_run(); PF_ETHREADS, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC: nothing has
 *   happened, and the call may be made again.
 * Since: 0.2
 */
PF_API int pf_pool_start(pf_pool *pool);

/*
 * Return the descriptor to wait for. It is readable while pf_pool_dispatch() has work, timers
 * included, or events are pending. It belongs to the pool. Use it with poll, epoll and other event
 * loops. It is level-triggered; in an edge-triggered loop, call dispatch until it is not readable.
 *
 * Returns: the descriptor; -EINVAL before the start. Where the system refuses a timer, the negative
 *   errno of the refusal, such as -EPERM: the host then waits in pf_pool_dispatch().
 * Since: 0.2
 */
PF_API int pf_pool_fd(const pf_pool *pool);

/*
 * Do the pending work of the pool. Waits for work for at most timeout_ms; 0: does not wait; -1: no
 * limit. Does not wait while events are pending. Returns 1 early after a signal handler of the
 * host has run, and after pf_pool_wake().
 *
 * A language runtime that has its own wake-up descriptor polls it together with pf_pool_fd(), and
 * calls pf_pool_dispatch(pool, 0).
 *
 * Returns: 1 while the pool runs, 0 when it is done.
 * Errors: as for pf_pool_run(), after which the ends of all workers are reported or pending;
 *   -EINVAL if pf_pool_start() did not start the pool, or timeout_ms is less than -1.
 * Since: 0.2
 */
PF_API int pf_pool_dispatch(pf_pool *pool, int timeout_ms);

/*
 * Get the oldest pending event. No event is dropped: while the host gets none, a worker is started
 * only if there is room for all events of its life. Ends, stops and kills continue.
 *
 * Returns: 1 and the event in *ret_event, valid until the next call; 0 if no event is pending, and
 *   always for a pool with a callback.
 * Errors: -EINVAL before the start, and if ret_event is NULL.
 * Since: 0.2
 */
PF_API int pf_pool_next_event(pf_pool *pool, const pf_event **ret_event);

/*
 * Prepare the host's own fork for a PF_EVENT_FORK_WANTED.
 *
 * Blocks all signals of this thread, except those that a fault raises. After the fork,
 * pf_pool_fork_parent() in this process and pf_pool_fork_child() in the child restore the signal
 * mask as their last step, also if they fail. So no handler of the host runs in a process that is
 * not a worker yet, and no signal is lost. A thread prepares one fork at a time. A host may omit
 * this call: the other two then leave the signal mask alone.
 *
 * Returns: 0.
 * Errors, with an unchanged signal mask: -ESRCH if the pool waits for no worker in this slot: do
 *   not fork; -EINVAL if there is no such slot, the pool has not started, or the host does not
 *   fork for it. -EALREADY if a fork is prepared: signals stay blocked.
 * Since: 0.2
 */
PF_API int pf_pool_fork_prepare(pf_pool *pool, int task_id);

/*
 * Report the host's fork for a PF_EVENT_FORK_WANTED, in the process that made the pool.
 *
 * pid is the result of the fork, or a negative errno if it failed, or PF_ETHREADS if the host did
 * not fork because of other threads. The host must call this within 10,000 ms for each such event
 * that it has received. Until then the slot is starting, and dispatch continues. After that time
 * PF_EVENT_START_FAILED reports -ETIMEDOUT, and another PF_EVENT_FORK_WANTED follows. A stop
 * cancels the requests that the host has not received. The worker of a request that it has
 * received is stopped at once.
 *
 * Returns: 0.
 * Errors: -ESRCH if the pool waits for no worker in this slot, as after the 10,000 ms or the end
 *   of the pool: the child has been killed and reaped; -ECHILD if pid is no child of this process;
 *   -EALREADY if it is a worker of the pool already; -EINVAL if pid is 0, there is no such slot,
 *   or the host does not fork for this pool; -EMFILE, -ENFILE, -ENOMEM, -ENOSPC and others if
 *   the child could not be watched: it has been killed and reaped, and the start has failed.
 * Since: 0.2
 */
PF_API int pf_pool_fork_parent(pf_pool *pool, int task_id, int32_t pid);

/*
 * Make the child of the host's fork a worker, in the child.
 *
 * Waits until pf_pool_fork_parent() was called for it. Then pf_task_id() returns the task id, the
 * dispositions of signals are those of the host, and of the library's descriptors only the
 * worker's ends of pipes are open. Afterwards only pf_pool_free() may be called with the pool.
 *
 * If task_id is PF_TASK_SPARE, the child is a spare. The call then waits until it has a slot.
 *
 * Returns: 0; the task id in a worker that was a spare.
 * Errors: -ESRCH if the supervisor or its pool has ended, or waits for no worker in this slot, or
 *   does not need the spare any more: the process is no worker, and should end; -EALREADY a second
 *   time; -EINVAL in the process that made the pool, and as for pf_pool_fork_parent().
 * Since: 0.2
 */
PF_API int pf_pool_fork_child(pf_pool *pool, int task_id);

/*
 * Stop all workers gracefully. The running pf_pool_run() or the next dispatch does it, before it
 * starts any worker. A second call has no effect. Any thread and any signal handler may call it.
 *
 * Returns: 0, also after the end.
 * Errors: -EINVAL before the start.
 * Since: 0.2
 */
PF_API int pf_pool_stop(pf_pool *pool);

/* Stop all workers by SIGKILL. Otherwise as pf_pool_stop(). */
PF_API int pf_pool_kill(pf_pool *pool);

/*
 * Make pf_pool_fd() readable. The running dispatch returns at once; if none runs, the next one
 * does. Several calls before that have the effect of one. It does not end pf_pool_run(). Any
 * thread and any signal handler may call it.
 *
 * Returns: 0, also after the end.
 * Errors: -EINVAL before the start.
 * Since: 0.2
 */
PF_API int pf_pool_wake(pf_pool *pool);

/*
 * Replace all workers, one after the other, in the order of their task ids.
 *
 * A new worker takes over when it calls pf_worker_ready(), or without a ready time-out after the
 * time of pf_pool_set_min_uptime(). Then the old worker is stopped. Slots that were given up or
 * that wait for a restart get a new worker too. None of this counts as a restart.
 * PF_EVENT_RELOADING reports the begin. PF_EVENT_RELOADED reports that the last new worker has
 * taken over; its old worker may still be ending. Then the count of restarts is 0 again.
 * PF_EVENT_RELOAD_FAILED reports that a new worker failed: slots with a new worker keep it, all
 * others keep their old workers. A second request during a reload is remembered once. A stop ends
 * a reload. Any thread and any signal handler may call it.
 *
 * Returns: 0, also after the end.
 * Errors: -EINVAL before the start.
 * Since: 0.2
 */
PF_API int pf_pool_reload(pf_pool *pool);

/*
 * Handle a signal that the host received, as PF_SIGNALS_STANDARD does: TERM, INT, QUIT, HUP, TTIN,
 * TTOU, USR1, USR2 or WINCH.
 *
 * For hosts whose runtime handles all signals. The setting of pf_pool_set_signals() has no effect
 * on it. The library does not know the sender: the host checks whether the kernel sent the signal
 * for the terminal. The running pf_pool_run() or the next dispatch handles it; until then, signals
 * with the same number count as one. In a worker, a handler that was inherited gets -ECHILD. Any
 * thread and any signal handler may call it.
 *
 * Returns: 0, also after the end.
 * Errors: -EINVAL before the start, and for any other signal.
 * Since: 0.2
 */
PF_API int pf_pool_handle_signal(pf_pool *pool, int signal);

/*
 * Change the number of slots, 1 to 65,536, while the pool runs. New slots are started. Surplus
 * slots, those with the highest task ids, are stopped.
 *
 * Returns: 0.
 * Errors: -EINVAL; -ENOMEM, nothing was changed; -ECANCELED when the pool is stopping.
 * Since: 0.2
 */
PF_API int pf_pool_resize(pf_pool *pool, int count);

/*
 * Replace one worker. This does not count as a restart.
 *
 * The request waits for the requests before it, see pf_pool_set_replace_width(). Then the new
 * worker is started. The old one is stopped when the new one has called pf_worker_ready(), or in a
 * pool without a ready time-out has lived for the time of pf_pool_set_min_uptime(). If the new
 * worker fails, PF_EVENT_RELOAD_FAILED reports it, and the old one stays. In a slot without a
 * process a worker is started at once.
 *
 * Returns: 0.
 * Errors: -EALREADY if the worker is being replaced or the host has requested it already; -EINVAL
 *   if there is no such slot; -ECANCELED when the pool is stopping.
 * Since: 0.2
 */
PF_API int pf_pool_replace_worker(pf_pool *pool, int task_id);

/*
 * Stop one worker gracefully, and leave its slot empty until pf_pool_replace_worker() starts a
 * worker there.
 *
 * A replacement of the worker is stopped too. Neither a restart nor a reload starts a slot that
 * was stopped. A slot that pf_pool_resize() removes and adds again is a new slot. All slots may be
 * stopped: the pool then continues until pf_pool_stop().
 *
 * Returns: 0.
 * Errors: -EALREADY if the host has stopped it already; -EINVAL if there is no such slot;
 *   -ECANCELED when the pool is stopping.
 * Since: 0.2
 */
PF_API int pf_pool_stop_worker(pf_pool *pool, int task_id);

/*
 * Send a signal to one worker, or to all (task_id -1). This is not a stop request: if the worker
 * ends, its end is abnormal. With -1 the signal is sent to all workers, and the first error is
 * returned.
 *
 * Returns: 0.
 * Errors: -EINVAL; -ESRCH if the slot has no process; -ECANCELED after the end of the pool; -EPERM
 *   or another errno of kill(2) if a signal could not be sent.
 * Since: 0.2
 */
PF_API int pf_pool_send_signal(pf_pool *pool, int task_id, int signal);

/* The results of pf_pool_worker_state(). */
enum {
	PF_WORKER_EMPTY = 0,    /* no worker, and none will be started */
	PF_WORKER_STARTING = 1, /* not started or not ready yet */
	PF_WORKER_READY = 2,    /* ready */
	PF_WORKER_STOPPING = 3, /* asked to end */
	PF_WORKER_BACKOFF = 4,  /* will be restarted after a delay */
	PF_WORKER_DONE = 5      /* exited normally; not restarted */
};

/*
 * Get the state of the pool. While a worker is being replaced, the functions for one worker
 * describe the old worker until the new one has taken over.
 *
 * Returns: the value.
 * Errors: -EINVAL before the start, and if there is no such slot; pf_pool_worker_uptime_ms()
 *   returns 0 instead of an error.
 * Since: 0.2
 */
PF_API int pf_pool_worker_count(const pf_pool *pool);                 /* slots */
PF_API int pf_pool_alive_count(const pf_pool *pool);                  /* processes */
PF_API int32_t pf_pool_worker_pid(const pf_pool *pool, int task_id);  /* 0: none now */
PF_API int pf_pool_worker_state(const pf_pool *pool, int task_id);    /* PF_WORKER_... */
PF_API int pf_pool_worker_restarts(const pf_pool *pool, int task_id); /* counted ones */
PF_API uint64_t pf_pool_worker_uptime_ms(const pf_pool *pool, int task_id);

/* What pf_pool_counter() counts, over the pool's life or, READY, ALIVE and SPARES, at present. */
enum {
	PF_COUNT_STARTED = 1,        /* workers that were started */
	PF_COUNT_EXITED = 2,         /* workers that have ended */
	PF_COUNT_ABNORMAL = 3,       /* of these: abnormally, without having been asked to end */
	PF_COUNT_RESTARTED = 4,      /* workers started with PF_REASON_RESTART */
	PF_COUNT_START_FAILED = 5,   /* starts that failed, also those that no event reports */
	PF_COUNT_UNRESPONSIVE = 6,   /* workers that were killed because they did not respond */
	PF_COUNT_RELOADS = 7,        /* reloads that have begun */
	PF_COUNT_READY = 8,          /* workers that are ready now */
	PF_COUNT_ALIVE = 9,          /* processes now, as pf_pool_alive_count() */
	PF_COUNT_REPLACE_FAILED = 10, /* events PF_EVENT_RELOAD_FAILED */
	PF_COUNT_SPARES = 11          /* spares now, which PF_COUNT_ALIVE does not include */
};

/*
 * Get a number for metrics. which is one of PF_COUNT_.... Those over the life of the pool never
 * decrease, and keep their values after its end.
 *
 * Returns: the number; 0 for an unknown counter, before the start, and instead of any error.
 * Since: 0.2
 */
PF_API uint64_t pf_pool_counter(const pf_pool *pool, int which);

/* The signal that stopped the pool, so that the host can end by it too; 0: none; -EINVAL before the
 * start. */
PF_API int pf_pool_stop_signal(const pf_pool *pool);

/*
 * Execute another program in this process, which goes on with the workers of this one: the same
 * process id, the same workers. They serve on meanwhile.
 *
 * path: the program; NULL: this one, by the name that it was started with. argv: its arguments,
 * from its name on; NULL: those of this program. envp: its environment; NULL: the present one.
 *
 * In the new program, a pool of the same name adopts its workers when it is run or started, and
 * reports PF_EVENT_ADOPTED. Its own settings hold. pf_bind_sockets(), pf_bind_unix_socket() and
 * pf_listen_fds() return the sockets that this program has, pf_daemonize() returns 0. The workers
 * of a pool that has not begun when a pool waits for the first time are stopped. Signals stay
 * blocked until the first pool has its handlers. A program that fails ends all workers: prove it
 * first. Workers by fork run the old program until they are replaced: pf_pool_reload().
 *
 * Only the main thread may call it, outside of all callbacks, while no pool is inside
 * pf_pool_run() or pf_fork_processes().
 *
 * Returns: only if it failed. The pools are as they were.
 * Errors: -EPERM in another thread than the main one; -EBUSY in a callback, or in a free_user
 * function of a pool that runs, while another thread is in a call for a pool, while a fork of
 * the host's or the launching process of a daemon waits, while a pool that this program got by an
 * upgrade, even one without workers, is neither adopted nor stopped; -EAGAIN while events wait;
 * -ECANCELED if a pool stops; -EACCES if the program, or this one, gets more rights than its
 * caller has; -EOPNOTSUPP in a worker; -EBADF if the host has closed descriptors of the library;
 * -EINVAL if argv is empty; -EFBIG if RLIMIT_FSIZE is smaller than what is handed over; -E2BIG,
 * -ENOENT, -ENOMEM, and what execve(2) and memfd_create(2) report; the error of reading what this
 * program got by an upgrade, with which no pool starts either.
 * Since: 0.2
 */
PF_API int pf_upgrade(const char *path, const char *const *argv, const char *const *envp);

/*
 * End this process as a signal would, usually the one of pf_pool_stop_signal().
 *
 * Flushes stdio and removes the pid file of pf_daemonize(). Then it restores the default
 * disposition of the signal, unblocks it and raises it. PID 1, which such a signal does not end,
 * exits with status 128 + signal. Free the pools before. Any thread may call it.
 *
 * Returns: only if it failed.
 * Errors: -EINVAL if signal is not a signal, or its default action does not end a process.
 * Since: 0.2
 */
PF_API int pf_die_of_signal(int signal);

/* ---- In a worker ---------------------------------------------------------------------- */

/*
 * Report to the supervisor that this worker can serve. Also sets the parent death signal again,
 * which setuid(2) and similar calls clear. Any thread may call it.
 *
 * Returns: 0.
 * Errors: -ECHILD in a process that is not a worker; -ESRCH if the supervisor has ended; -EAGAIN
 *   if the pool's pipe had no room for a second: call again; -EBADF if the worker has closed the
 *   descriptors of the library.
 * Since: 0.2
 */
PF_API int pf_worker_ready(void);

/*
 * Report to the supervisor that this worker makes progress. Writes to the pool's pipe at most four
 * times in a heartbeat time-out, and only reads a clock otherwise. Any thread may call it.
 *
 * Returns: 0, also in a pool without a heartbeat time-out.
 * Errors: as for pf_worker_ready().
 * Since: 0.2
 */
PF_API int pf_worker_heartbeat(void);

/*
 * Request a replacement of this worker, for example after a number of requests or when its memory
 * has grown too large.
 *
 * The replacement does not count as a restart. It waits for the requests before it, see
 * pf_pool_set_replace_width(). This worker continues to work until it is asked to stop, as in a
 * reload. A worker that is not ready yet is replaced when it is, and none before it has lived for
 * the time of pf_pool_set_min_uptime(). If the new worker fails,
 * PF_EVENT_RELOAD_FAILED reports it, this worker stays, and the pool tries again after 1,000 ms or
 * the first delay of pf_pool_set_backoff(), whichever is longer. After a call that succeeded,
 * further calls have no effect. Any thread may call it.
 *
 * Returns: 0.
 * Errors: as for pf_worker_ready().
 * Since: 0.2
 */
PF_API int pf_worker_retire(void);

/*
 * Return a descriptor that becomes readable, and stays readable, when this worker must stop: it
 * was asked to, before any signal is sent, or the supervisor has ended.
 *
 * For poll, epoll and other event loops; do not read from it. It belongs to the library. A worker
 * that uses it handles or ignores the stop signal, or the pool is set to send none. The first call
 * opens it. Any thread may call it.
 *
 * Returns: the descriptor.
 * Errors: -ECHILD in a process that is not a worker; -EOPNOTSUPP if the workers of this pool have
 *   none; -EBADF if the worker has closed the descriptors of the library; -EMFILE, -ENFILE,
 *   -ENOMEM.
 * Since: 0.2
 */
PF_API int pf_worker_stop_fd(void);

/*
 * Find a descriptor of pf_pool_add_fd() by its name. A worker made by exec may call it before it
 * runs its pool. Any thread may call it.
 *
 * Returns: the descriptor.
 * Errors: -ENOENT if the pool has no descriptor with this name; -ECHILD in a process that is not a
 *   worker; -EINVAL if name is NULL.
 * Since: 0.2
 */
PF_API int pf_worker_fd(const char *name);

/*
 * Return the name of the pool that this worker belongs to. It is "" for pf_fork_processes() and
 * pools without a name. A worker made by exec may call it before it runs its pool. Any thread may
 * call it.
 *
 * Returns: the name, which stays valid, or NULL in a process that is not a worker.
 * Since: 0.2
 */
PF_API const char *pf_worker_pool_name(void);

/* ---- Sockets -------------------------------------------------------------------------- */

enum { PF_BIND_REUSEPORT = 1 };

/*
 * Bind a listening TCP socket to each address of a host name.
 *
 * host is a name or a numeric address; NULL or "": any address. family is AF_UNSPEC for both kinds
 * of addresses, AF_INET or AF_INET6. Sockets of IPv4 come first; those of IPv6 accept IPv6 only.
 * With port 0 all get the same port, which the kernel chooses. backlog as for listen(2); 0 or
 * negative: 128. With PF_BIND_REUSEPORT other sockets that set it may bind the same address. The
 * sockets are non-blocking and close-on-exec and belong to the caller. Call it before the workers
 * are started, which then share the sockets. In a worker made by exec, the nth call with the same
 * arguments returns the sockets of the nth call in the supervisor. One thread at a time may call
 * it.
 *
 * Returns: the number of sockets in ret_fds, at least 1.
 * Errors, with nothing bound: -EADDRINUSE; PF_ERESOLVE if the name is not found; -EADDRNOTAVAIL
 *   for an address that this machine does not have; -EACCES for a port that needs privileges;
 *   -ENOBUFS for more addresses than max_fds or than 64; -EAFNOSUPPORT if the kernel supports none
 *   of the families; -EINVAL.
 * Since: 0.2
 */
PF_API int pf_bind_sockets(const char *host, int port, int family, int backlog, uint32_t flags,
			   int *ret_fds, int max_fds);

/*
 * Bind a listening UNIX stream socket to a path with the permissions mode, at most 0777. The umask
 * has no effect on them.
 *
 * A socket file on which no process listens is replaced, a file of another kind never. The file
 * stays when the socket is closed. Otherwise as pf_bind_sockets().
 *
 * Returns: the socket.
 * Errors: -EADDRINUSE if a process listens there; -EEXIST for another kind of file; -ENAMETOOLONG
 *   for more than 107 bytes; -EACCES, -ENOENT, -EROFS and similar for the directory; -EINVAL.
 * Since: 0.2
 */
PF_API int pf_bind_unix_socket(const char *path, uint32_t mode, int backlog);

/*
 * Accept a connection from a non-blocking listening socket. Skips connections that fail with
 * ECONNABORTED or similar errors, and retries after EINTR, up to 128 errors in all. Any thread and
 * any signal handler may call it.
 *
 * Returns: the connection, non-blocking and close-on-exec.
 * Errors: -EAGAIN if none waits, for example because another worker accepted it; -EMFILE, -ENFILE,
 *   -ENOBUFS and -ENOMEM, after which the connection still waits; -EINVAL if the socket does not
 *   listen; -ECONNABORTED or similar, the last one of 128 errors: more connections may wait.
 * Since: 0.2
 */
PF_API int pf_accept(int fd);

/*
 * Get the descriptors that systemd passed to this process (LISTEN_PID, LISTEN_FDS).
 *
 * Makes them close-on-exec, and listening sockets non-blocking. They belong to the caller; a
 * second call returns the same. The environment was read when the library was loaded, and is not
 * changed. In a worker it returns what it returns in the supervisor. One thread at a time may call
 * it.
 *
 * Returns: the number of descriptors in ret_fds, in their order; 0: none was passed.
 * Errors: -ENOBUFS if there are more than max_fds; -EBADF if one is not open; -EINVAL, also if
 *   LISTEN_FDS is not a number.
 * Since: 0.2
 */
PF_API int pf_listen_fds(int *ret_fds, int max_fds);

/* ---- Daemon --------------------------------------------------------------------------- */

/*
 * Continue as a daemon: in a new session without a terminal, with the umask and the directory of
 * the caller. Call it before sockets are bound and pools are made.
 *
 * The launching process waits until the daemon is ready: until all workers of all pools that began
 * before the first wait of any of them, or of pf_fork_processes(), are ready; or until
 * pf_daemon_ready(). It then exits with status 0, or with 1 if the daemon has ended before. Until
 * then the daemon has the stdio of the caller, so that it can report why it fails. Then
 * descriptors 0 to 2 are redirected to /dev/null, except those that the host has replaced. In a
 * worker they are redirected at its start, or with a ready time-out in pf_worker_ready().
 *
 * The daemon writes its process id to pid_file, if that is not NULL, locks the file, and removes
 * it at its normal end. A file that no living daemon has locked is replaced. A read lock does not
 * prevent this.
 *
 * Returns: 0 in the daemon; 0 in a worker, where it does nothing; a negative code in the launching
 *   process if there is no daemon.
 * Errors: -EEXIST if a living daemon holds pid_file; PF_ETHREADS if other threads run; -EALREADY
 *   in a daemon; -EINVAL if pid_file is another kind of file or has a second name; -EISDIR for a
 *   directory; -ELOOP for a symbolic link; -EPERM if it belongs to another user; -ESRCH in a worker
 *   by exec whose parent is not its supervisor; another errno of the pid file, of fork(2)
 *   or for lack of descriptors.
 * Since: 0.2
 */
PF_API int pf_daemonize(const char *pid_file);

/*
 * Report to the launching process that the daemon is ready, without waiting for workers. A second
 * call, and a call in a process that is not a daemon, has no effect.
 *
 * Returns: 0.
 * Errors: -ECHILD in a child of the daemon.
 * Since: 0.2
 */
PF_API int pf_daemon_ready(void);

#ifdef __cplusplus
}
#endif

#endif
