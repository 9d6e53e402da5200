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
 *   - 0 or a positive value is success; a negative errno or a PF_E... code, below -4096, is
 *     failure. A parameter ret_... is written on success only.
 *   - Events, reasons, states and codes that a program does not know must be ignored by it: later
 *     versions add some.
 *   - Strings and arrays are copied. A flag, named on, takes 0 and 1 only.
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
#define PF_VERSION_MINOR 2
#define PF_VERSION_PATCH 0

/* The library's own error codes. All others are negative errno values. */
enum {
	PF_EGAVEUP = -4097,  /* too many restarts; the other workers have been stopped */
	PF_ETHREADS = -4098, /* other threads run, or cannot be counted: a fork is not safe */
	PF_ERESOLVE = -4099, /* the name of a host was not found */
	PF_EFATAL = -4100    /* a worker exited with a status of PF_EXIT_FATAL */
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
 *   threads are running; -EALREADY in a worker; -ESRCH, -EALREADY as for pf_pool_run() in a
 *   process that was started as a worker; -EBUSY from within an event callback;
 *   -EINVAL if num_processes is above 65,536; -EMFILE, -ENFILE, -ENOMEM if the supervisor
 *   lacks descriptors or memory for itself; any other errno of a first fork that can not
 *   succeed later; -ECHILD in a child that an event callback forked and returned in. No
 *   worker is left behind, and the call may be made again.
 * Since: 0.2
 */
PF_API int pf_fork_processes(int num_processes, int max_restarts);

/*
 * Tell which worker this process is.
 *
 * The task id stays with a worker's own children. In a worker that was made by exec it is known
 * from the load of the library on. Any thread and any signal handler may
 * call it.
 *
 * Returns: the task id, or -1 in a process that is no worker.
 * Since: 0.2
 */
PF_API int pf_task_id(void);

/*
 * Count the processors that this process may use.
 *
 * The processors of its CPU affinity, but no more than the CPU quota of its control groups
 * (version 1 or 2), rounded up. Read anew at each call. Any thread may call it.
 *
 * Returns: at least 1.
 * Since: 0.2
 */
PF_API int pf_cpu_count(void);

/*
 * Tell the version of the library that is running, as "MAJOR.MINOR.PATCH".
 *
 * Returns: a static string. Any thread may call it.
 * Since: 0.2
 */
PF_API const char *pf_version(void);

/*
 * The same as one number, 10,000 * MAJOR + 100 * MINOR + PATCH, for languages that do not see the
 * macros.
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
 * A fact about the pool or one worker. Valid until the callback that got it returns, or until
 * the next call of pf_pool_next_event() with the same pool.
 */
typedef struct pf_event pf_event;

/*
 * Called with each event, in order, exactly once, in the supervisor only, from within
 * pf_fork_processes(), pf_pool_run() or pf_pool_dispatch(). It must return: no exception and no
 * longjmp() may leave it. It may call the functions of its pool, but for run and dispatch
 * (-EBUSY) and free (which does nothing).
 */
typedef void (*pf_event_fn)(const pf_event *event, void *user);

/* What happened: pf_event_type(). */
enum {
	PF_EVENT_STARTING = 1,     /* the pool begins to start its workers */
	PF_EVENT_STARTED = 2,      /* a worker was started */
	PF_EVENT_READY = 3,        /* a worker said that it is ready */
	PF_EVENT_EXITED = 4,       /* a worker ended */
	PF_EVENT_GAVE_UP = 5,      /* too many restarts; the remaining workers are stopped */
	PF_EVENT_START_FAILED = 6, /* a worker could not be started; tried again later */
	PF_EVENT_STOPPING = 7,     /* the pool begins to stop its workers */
	PF_EVENT_KILLED = 8,       /* a worker did not stop in time and was sent SIGKILL */
	PF_EVENT_UNRESPONSIVE = 9, /* a worker did not get ready, gives no sign of life, or (error
				      not 0) could not be sent a signal */
	PF_EVENT_RELOADING = 10,   /* the workers are being replaced one after the other */
	PF_EVENT_RELOADED = 11,    /* all have been */
	PF_EVENT_RELOAD_FAILED = 12, /* a replacement ended too soon; the old worker stays */
	PF_EVENT_RESIZED = 13,     /* the pool has another number of slots */
	PF_EVENT_DONE = 14,        /* the pool has ended; its last event */
	PF_EVENT_FORK_WANTED = 15, /* the host is to fork a worker: pf_pool_fork_prepare() */
	PF_EVENT_SIGNAL_UNAVAILABLE = 16 /* a signal of the pool's set that the program handles, ignores
					    or blocks, and that does not control the pool */
};

/*
 * Why a worker was started, why it was to end, or why the pool ends: pf_event_reason(). Programs
 * must ignore a reason that they do not know.
 */
enum {
	PF_REASON_NONE = 0,               /* an end that nobody asked for, or not known */
	PF_REASON_START = 1,              /* the pool starts */
	PF_REASON_RESTART = 2,            /* the worker before it ended */
	PF_REASON_REPLACE = 3,            /* pf_pool_replace_worker() */
	PF_REASON_RELOAD = 4,             /* a reload of all workers */
	PF_REASON_LIFETIME = 5,           /* the age of pf_pool_set_lifetime() */
	PF_REASON_RETIRE = 6,             /* pf_worker_retire() */
	PF_REASON_RESIZE = 7,             /* the pool has more slots, or fewer */
	PF_REASON_STOP = 8,               /* the host or a signal stops the pool, or one worker */
	PF_REASON_READY_TIMEOUT = 9,      /* the worker was not ready in time */
	PF_REASON_HEARTBEAT_TIMEOUT = 10, /* it gave no sign of life */
	PF_REASON_LIMIT = 11,             /* a limit of restarts was reached */
	PF_REASON_PROTOCOL = 12           /* it sent more messages than any correct worker */
};

/*
 * Choose the function that later calls of pf_fork_processes() report events to. It has no effect on
 * pools, see pf_pool_set_event_callback().
 *
 * fn is called with user, which stays the caller's. NULL restores the default, which writes
 * "prefork: MESSAGE" and a newline to stderr for warnings and worse. The default never waits
 * for a reader and raises no signal. It counts the messages that it could not write, and
 * writes their number later. The choice is copied when the call begins. Set it before other
 * threads use the library.
 *
 * Since: 0.2
 */
PF_API void pf_set_event_callback(pf_event_fn fn, void *user);

/*
 * Read one field of an event. A field that means nothing for the event's type has the value
 * said for "none". The table in pf_event(3) tells which fields go with which type. Call them
 * while the event is valid, from the thread that got it.
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
PF_API int pf_event_worker_count(const pf_event *event); /* slots of STARTING, STOPPING, RESIZED,
                                                            RELOADING and RELOADED; 0: none */
PF_API int pf_event_reason(const pf_event *event);       /* PF_REASON_... */

/*
 * The name of a type of events, as "worker_exited", for logs and metrics.
 *
 * Returns: a static string, or NULL for a type that this library does not know. Any thread may
 *   call it.
 * Since: 0.2
 */
PF_API const char *pf_event_type_name(int type);

/* ---- Pools: settings ------------------------------------------------------------------ */

/*
 * A pool of workers that the host supervises, in pf_pool_run() or from an event loop of its
 * own. It belongs to the process that made it and to one thread at a time; only
 * pf_pool_stop(), pf_pool_kill(), pf_pool_reload(), pf_pool_handle_signal() and pf_pool_wake() may
 * be called from any thread and from signal handlers. Pools are independent of each other. A pool
 * is used once.
 *
 * All functions of pools but pf_pool_free() and pf_pool_fork_child() return -ECHILD, and do
 * nothing, in a process that did not make the pool; -EINVAL for a NULL pool.
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
 * Workers that are still alive are killed and reaped first. Those that are left when none has ended
 * for 5 seconds are reported to stderr. Events that nobody has taken are discarded. The
 * free_user functions are called. In a process that did not make the pool, such as a worker,
 * only its memory is released. From a callback of the pool it does nothing.
 *
 * Returns: NULL; pool from within a callback. NULL is fine.
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
 * The settings of a pool, made before it starts. Durations are in milliseconds.
 *
 * Returns: 0.
 * Errors: -EINVAL if a value is out of range, -EBUSY once the pool has started; nothing is
 *   changed then.
 * Since: 0.2
 */

/* At most 63 bytes; default "". Copied. */
PF_API int pf_pool_set_name(pf_pool *pool, const char *name);

/* Slots to start with, at most 65,536. 0 or negative: pf_cpu_count(), the default. */
PF_API int pf_pool_set_workers(pf_pool *pool, int count);

/* Which ends lead to a restart: abnormal ones (default), all, or none. */
PF_API int pf_pool_set_restart_policy(pf_pool *pool, int when);

/* Restarts in the pool's life, over all slots; default, and for negatives, 100. */
PF_API int pf_pool_set_max_restarts(pf_pool *pool, int max);

/* Restarts in any window, over all slots, 1 to 65,536; 0, 0: no such limit, the default. */
PF_API int pf_pool_set_restart_window(pf_pool *pool, int max, uint64_t window_ms);

/*
 * Delay before a slot's restart: doubles from first to max, each drawn from half of it to the
 * whole, and is first again after an uptime of max. 0, 0: no delay, the default.
 */
PF_API int pf_pool_set_backoff(pf_pool *pool, uint64_t first_ms, uint64_t max_ms);

/* At a limit: stop all and fail with PF_EGAVEUP (default), or leave that slot empty. */
PF_API int pf_pool_set_limit_action(pf_pool *pool, int action);

/*
 * How workers are stopped: by signal (default SIGTERM; 0: none is sent), followed by SIGCONT,
 * and by SIGKILL after the time-out (default 10,000; 0: never).
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
 * How long a worker may take to call pf_worker_ready(). One that takes longer is killed, which
 * counts as an abnormal end. 0: a worker is ready once it has started, the default.
 */
PF_API int pf_pool_set_ready_timeout(pf_pool *pool, uint64_t timeout_ms);

/*
 * How long a worker has to live until it counts as started well; default 1,000. A replacement in a
 * pool without a ready time-out takes over its slot then, or as soon as it calls
 * pf_worker_ready(). With PF_RESTART_ALWAYS the restart after a normal exit counts if the worker
 * lived for less. 0: a replacement takes over once it has started, and no normal exit counts.
 */
PF_API int pf_pool_set_min_uptime(pf_pool *pool, uint64_t uptime_ms);

/*
 * How long a worker may be without a call of pf_worker_heartbeat(). One that is longer gets
 * SIGABRT, and SIGKILL after the stop time-out, which counts as an abnormal end. The clock
 * starts when the worker is ready, or without a ready time-out at its first heartbeat. 0: none
 * is expected, the default.
 */
PF_API int pf_pool_set_heartbeat_timeout(pf_pool *pool, uint64_t timeout_ms);

/*
 * The age at which a worker is replaced as by pf_pool_replace_worker(): max_ms and a random part of
 * jitter_ms. 0, 0: never, the default.
 */
PF_API int pf_pool_set_lifetime(pf_pool *pool, uint64_t max_ms, uint64_t jitter_ms);

/*
 * Whether a replacement starts the new worker before it stops the old one (default), or after,
 * so that the pool has no more processes than slots.
 */
PF_API int pf_pool_set_reload_order(pf_pool *pool, int order);

/*
 * How many slots are being replaced at a time, whatever the reason: by a reload, for age or by
 * pf_pool_replace_worker(); default 1. A slot is being replaced until its old worker has ended.
 */
PF_API int pf_pool_set_replace_width(pf_pool *pool, int count);

/*
 * PF_SIGNALS_STANDARD: while the pool runs, signals of this process whose disposition is the
 * default and that are not blocked control the pool. TERM: graceful stop. INT, QUIT: the same
 * within 1,000 ms. A second of these at least 200 ms later: kill. HUP: reload, or a graceful stop
 * if the terminal is gone. TTIN, TTOU: one slot more or less; from the kernel, for a background job
 * that uses its terminal, they stop the process as usual. USR1, USR2, WINCH: passed on to the
 * workers. PF_SIGNALS_STOP_ONLY: TERM, INT, QUIT and HUP stop gracefully, as with
 * pf_fork_processes(). Default: PF_SIGNALS_NONE.
 */
PF_API int pf_pool_set_signals(pf_pool *pool, int set);

/*
 * Whether workers may be forked while other threads run. PF_THREADS_REFUSE, the default: the start
 * fails, and later forks are put off and told by PF_EVENT_START_FAILED with PF_ETHREADS.
 */
PF_API int pf_pool_set_thread_policy(pf_pool *pool, int policy);

/*
 * Whether workers can have a stop descriptor, see pf_worker_stop_fd(): 0 or 1, the default. Without
 * it the supervisor needs one descriptor less for each worker, and a start costs less.
 */
PF_API int pf_pool_set_stop_fd(pf_pool *pool, int on);

/*
 * Whether each worker leads a process group, what is left of which is killed when the worker has
 * ended. PF_GROUP_SIGNALS: each signal goes to the group and, in it or not, to the worker.
 * PF_GROUP_KILL: signals go to the worker alone, which stops its processes by itself, as a program
 * with a master process does. 0: workers stay in the group of the host, the default.
 */
PF_API int pf_pool_set_process_groups(pf_pool *pool, int mode);

/* What the kernel sends a worker when the supervisor ends; default SIGTERM; 0: nothing. */
PF_API int pf_pool_set_parent_death_signal(pf_pool *pool, int signal);

/*
 * As PID 1 or subreaper: which children are reaped besides the workers. PF_REAP_ADOPTED: those that
 * were adopted while the pool's own code waited, never one of the host's own. What was adopted
 * while the host's code or other threads ran cannot be told from the host's children, and is
 * left. PF_REAP_ALL: every child that is no worker of any pool, for hosts that wait for none.
 * 0: none, the default.
 */
PF_API int pf_pool_set_reap_orphans(pf_pool *pool, int mode);

/*
 * Speak systemd's notification protocol, see pf_pool_set_manager_notify(3), to the socket that
 * NOTIFY_SOCKET names when the pool starts. Without one, and in workers, it does nothing.
 * Workers do not find NOTIFY_SOCKET in their environment. Off by default.
 */
PF_API int pf_pool_set_manager_notify(pf_pool *pool, int on);

/* How ends are noticed. -ENOTSUP if the kernel, or a filter on its calls, lacks it. */
PF_API int pf_pool_set_backend(pf_pool *pool, int backend);

/*
 * The function that the pool reports events to, instead of stderr in pf_pool_run(), and instead of
 * pf_pool_next_event() in a pool of pf_pool_start(). free_user, if not NULL, is called
 * with user exactly once: when the pool is freed, another callback is set, or this call fails.
 */
PF_API int pf_pool_set_event_callback(pf_pool *pool, pf_event_fn fn, void *user,
				      void (*free_user)(void *));

/*
 * The function that each worker runs, and whose result is its exit status. Without one,
 * pf_pool_run() returns in the worker. free_user as above; it is not called in workers.
 */
PF_API int pf_pool_set_worker_fn(pf_pool *pool, int (*fn)(int task_id, void *user), void *user,
				 void (*free_user)(void *));

/*
 * Hand on a descriptor of this process to each worker, which finds it by pf_worker_fd(name). It
 * stays the caller's and stays open while the pool lives. In a worker that was forked it has its
 * own number; one that was executed has from 3 on what systemd passed and what was bound, and then
 * those of its pool, in the order in which they were added, as LISTEN_FDS tells it too;
 * close-on-exec if it loads this library. The name has 1 to 255 bytes, none of them a colon or a
 * control character.
 *
 * Returns: 0.
 * Errors: -EINVAL for such a name, -EBADF if it is not open, -EEXIST if the name is taken,
 *   -ENOSPC beyond 1,024 of them, -E2BIG beyond 64 KiB of names, -ENOMEM; -EBUSY once the pool
 *   has started. A start finds out with -EBADF that one was closed, or is another file by now.
 * Since: 0.2
 */
PF_API int pf_pool_add_fd(pf_pool *pool, const char *name, int fd);

/*
 * Make workers by exec: each is a program started anew, in which pf_pool_run() of the pool with
 * the same name returns the task id at once, or calls the worker function if it has one. Other
 * threads are no obstacle, and the size of this process does not matter.
 *
 * path is the program, without a search through PATH; argv its arguments from the name on, envp its
 * environment, both ended by NULL. All are copied. NULL means this program's own: the name and the
 * arguments that it was started with, and the environment that it has when the pool starts. Links
 * in the name are followed anew at each start; this program's own file is used if there is none.
 *
 * While a pool with workers by exec runs, the call changes the program of later starts; NULL for
 * envp then means the environment at the time of the call.
 *
 * Workers have the signal mask of this process, the signals that it ignores, descriptors 0 to 2
 * and others that are not close-on-exec, those of pf_pool_add_fd(), and the sockets that this
 * process has bound by this library, or was passed by systemd. A program that can not be
 * executed is told with its errno by PF_EVENT_START_FAILED.
 *
 * Returns: 0.
 * Errors: -EINVAL if argv is empty; -ENOENT if argv is NULL and /proc did not tell how this
 *   program was started; -E2BIG if argv or envp is larger than execve() takes; -ENOMEM; -EBUSY
 *   once a pool has started whose workers are not made by exec, -ECANCELED once it has ended; if
 *   one of the programs is set-user-ID or the like, the errno of what a worker could not find out
 *   about this process.
 * Since: 0.2
 */
PF_API int pf_pool_set_exec(pf_pool *pool, const char *path, const char *const *argv,
			    const char *const *envp);

/*
 * The host forks the workers, for a runtime that has to see the fork: each PF_EVENT_FORK_WANTED
 * asks for one; see pf_pool_fork_prepare(). For pf_pool_start() without a callback; no worker
 * function is needed, and one that is set is not called. Other threads are the host's business.
 */
PF_API int pf_pool_set_host_fork(pf_pool *pool, int on);

/* ---- Pools: running ------------------------------------------------------------------- */

/*
 * Start the workers and supervise them until the pool is done.
 *
 * Events go to the pool's callback. A pool that has none reports warnings and worse to stderr, as
 * pf_fork_processes() does by default. The call continues after a signal handler of the host has
 * run.
 *
 * In a worker that was made by exec it returns at once if the names of the two pools are the
 * same. Until then no other pool can be run or started there.
 *
 * Returns: 0 in a worker, with its task id in *ret_task_id; its handle is good for
 *   pf_pool_free() only. 0 in the supervisor, with -1 in *ret_task_id, when the pool is done.
 * Errors: PF_EGAVEUP, PF_EFATAL or the errno that the pool failed with, no worker being left;
 *   PF_ETHREADS, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC (1,024 pools run already): nothing was
 *   started; -EALREADY after the pool's end, or if pf_pool_start() began it, and in a worker
 *   made by exec that belongs to a pool of another name, until it has called this for its own;
 *   -ESRCH, for ever, in a process that was started as a worker, but not by its parent, or with
 *   more rights than the parent has, as a set-user-ID program may be; -ELOOP for a pool by exec
 *   in a worker of a pool of the same name; -EINVAL after pf_pool_set_host_fork(); -EBUSY from
 *   within a callback; -ECHILD also in a child that an event callback forked and returned in.
 * Since: 0.2
 */
PF_API int pf_pool_run(pf_pool *pool, int *ret_task_id);

/*
 * Begin a pool that the host's event loop drives: it waits for pf_pool_fd() to be readable and
 * calls pf_pool_dispatch(). The first dispatch starts the workers. Without a callback of the
 * pool's own, events are taken by pf_pool_next_event().
 *
 * Returns: 0.
 * Errors: -EINVAL without a way to make workers: a worker function, a program, or
 *   pf_pool_set_host_fork() with neither a program nor a callback of the pool's own; -EALREADY a
 *   second time, and in a worker made by exec until it has called pf_pool_run(); -ESRCH and
 *   -ELOOP as there; PF_ETHREADS, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC: nothing has happened, and
 *   it may be called again.
 * Since: 0.2
 */
PF_API int pf_pool_start(pf_pool *pool);

/*
 * The one descriptor to wait for: readable whenever pf_pool_dispatch() has work, timers
 * included, or events wait. It belongs to the pool. For poll, epoll and all that builds on
 * them; level-triggered. In an edge-triggered loop go on until it is not readable any more.
 *
 * Returns: the descriptor; -EINVAL before the start.
 * Since: 0.2
 */
PF_API int pf_pool_fd(const pf_pool *pool);

/*
 * Do what is to be done, after waiting for it for at most timeout_ms; 0: without waiting; -1:
 * without end. Does not wait while events are to be taken. Returns early, with 1, after a signal
 * handler of the host has run, and after pf_pool_wake().
 *
 * A language runtime that has a wake-up descriptor of its own polls it together with
 * pf_pool_fd(), and calls pf_pool_dispatch(pool, 0).
 *
 * Returns: 1 while the pool lives, 0 when it is done.
 * Errors: as for pf_pool_run(); -EINVAL if pf_pool_start() did not begin the pool.
 * Since: 0.2
 */
PF_API int pf_pool_dispatch(pf_pool *pool, int timeout_ms);

/*
 * Take the oldest event. None is ever dropped: while the host takes none, a worker is started
 * only if there is room for all events of its life; ends, stops and kills go on.
 *
 * Returns: 1 and the event in *ret_event, valid until the next call; 0 if none waits, always so
 *   for a pool with a callback.
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
 *   or the host does not fork for this pool; -EMFILE, -ENFILE, -ENOMEM and others if the child
 *   could not be watched: it has been killed and reaped, and the start has failed.
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
 * Returns: 0.
 * Errors: -ESRCH if the supervisor or its pool has ended, or waits for no worker in this slot: the
 *   process is no worker, and should end; -EALREADY a second time; -EINVAL in the process that
 *   made the pool, and as for pf_pool_fork_parent().
 * Since: 0.2
 */
PF_API int pf_pool_fork_child(pf_pool *pool, int task_id);

/*
 * Stop all workers gracefully: the next dispatch, or the run under way, does it, before it
 * starts any worker. Again it has no effect. May be called from any thread and from signal
 * handlers.
 *
 * Returns: 0, also after the end.
 * Errors: -EINVAL before the start.
 * Since: 0.2
 */
PF_API int pf_pool_stop(pf_pool *pool);

/* The same by SIGKILL. */
PF_API int pf_pool_kill(pf_pool *pool);

/*
 * Make pf_pool_fd() readable: the dispatch under way returns at once, or if there is none, the
 * next one. Several calls before that have the effect of one. It does not end pf_pool_run(). May
 * be called from any thread and from signal handlers.
 *
 * Returns: 0, also after the end.
 * Errors: -EINVAL before the start.
 * Since: 0.2
 */
PF_API int pf_pool_wake(pf_pool *pool);

/*
 * Replace all workers, one after the other, in the order of their task ids. A new worker takes
 * over when it calls pf_worker_ready(), or without a ready time-out when it has lived for the
 * time of pf_pool_set_min_uptime(); then the old one is stopped. Slots that were given up or wait for their restart get
 * a new worker too, uncounted. Events tell: RELOADING, and RELOADED when the last new worker has
 * taken over, its old one perhaps still ending, or RELOAD_FAILED if a new worker does not get
 * that far: slots that were replaced stay new, all others keep their old workers. After RELOADED
 * the count of restarts begins anew. A second request during a reload is remembered once, a stop
 * ends it. May be called from any thread and from signal handlers.
 *
 * Returns: 0, also after the end.
 * Errors: -EINVAL before the start.
 * Since: 0.2
 */
PF_API int pf_pool_reload(pf_pool *pool);

/*
 * Do what PF_SIGNALS_STANDARD says of a signal that the host has received: TERM, INT, QUIT, HUP,
 * TTIN, TTOU, USR1, USR2 or WINCH. For hosts whose runtime handles all signals itself; see
 * pf_pool_set_signals(), on which it does not depend. Who sent it is not known here: the host looks
 * whether it was the kernel, for the terminal. The next dispatch, or the run under way,
 * does it, and signals of one number count as one until then. A worker that has inherited the
 * host's handler is told -ECHILD. May be called from any thread and from signal handlers.
 *
 * Returns: 0, also after the end.
 * Errors: -EINVAL before the start, and for any other signal.
 * Since: 0.2
 */
PF_API int pf_pool_handle_signal(pf_pool *pool, int signal);

/*
 * Change the number of slots, 1 to 65,536, while the pool runs. New slots are started; of too
 * many those with the highest task ids are stopped.
 *
 * Returns: 0.
 * Errors: -EINVAL; -ENOMEM, nothing has changed; -ECANCELED once the pool is stopping.
 * Since: 0.2
 */
PF_API int pf_pool_resize(pf_pool *pool, int count);

/*
 * Replace one worker by a new one, which does not count as a restart. Its turn comes after the
 * requests before it, see pf_pool_set_replace_width(). Then the new one is started, and the old
 * one is stopped once the new one has called pf_worker_ready(), or in a pool without a ready
 * time-out has lived for the time of pf_pool_set_min_uptime(). If it does not get that far, PF_EVENT_RELOAD_FAILED tells, and
 * the old one stays. In a slot without a process one is started at once.
 *
 * Returns: 0.
 * Errors: -EALREADY if it is being replaced or the host has asked for it already; -EINVAL if
 *   there is no such slot; -ECANCELED once the pool is stopping.
 * Since: 0.2
 */
PF_API int pf_pool_replace_worker(pf_pool *pool, int task_id);

/*
 * Stop one worker gracefully, and leave its slot empty until pf_pool_replace_worker() starts a
 * worker there. A replacement of the worker is stopped too. A restart or a reload does not start a
 * slot that was stopped; one that pf_pool_resize() removes and adds again starts as a new one. All
 * slots may be stopped: the pool then goes on until pf_pool_stop().
 *
 * Returns: 0.
 * Errors: -EALREADY if the host has stopped it already; -EINVAL if there is no such slot;
 *   -ECANCELED once the pool is stopping.
 * Since: 0.2
 */
PF_API int pf_pool_stop_worker(pf_pool *pool, int task_id);

/*
 * Send a signal to one worker, or to all (task_id -1). An end that it leads to is not asked for
 * and so abnormal. With -1 all workers are tried, and the first error is returned.
 *
 * Returns: 0.
 * Errors: -EINVAL; -ESRCH if the slot has no process; -ECANCELED after the pool's end; -EPERM, or
 *   what else kill(2) failed with, if a signal could not be sent.
 * Since: 0.2
 */
PF_API int pf_pool_send_signal(pf_pool *pool, int task_id, int signal);

/* What pf_pool_worker_state() tells. */
enum {
	PF_WORKER_EMPTY = 0,    /* no worker, and none is to come */
	PF_WORKER_STARTING = 1, /* on its way */
	PF_WORKER_READY = 2,    /* at work */
	PF_WORKER_STOPPING = 3, /* asked to end */
	PF_WORKER_BACKOFF = 4,  /* restarted after a delay */
	PF_WORKER_DONE = 5      /* exited normally; not restarted */
};

/*
 * What the pool looks like now. While a worker is being replaced, the functions of one worker
 * speak of the old one until the new one is good.
 *
 * Returns: the value.
 * Errors: -EINVAL before the start, and if there is no such slot; 0 from
 *   pf_pool_worker_uptime_ms() instead of any error.
 * Since: 0.2
 */
PF_API int pf_pool_worker_count(const pf_pool *pool);                 /* slots */
PF_API int pf_pool_alive_count(const pf_pool *pool);                  /* processes */
PF_API int32_t pf_pool_worker_pid(const pf_pool *pool, int task_id);  /* 0: none now */
PF_API int pf_pool_worker_state(const pf_pool *pool, int task_id);    /* PF_WORKER_... */
PF_API int pf_pool_worker_restarts(const pf_pool *pool, int task_id); /* counted ones */
PF_API uint64_t pf_pool_worker_uptime_ms(const pf_pool *pool, int task_id);

/* What pf_pool_counter() counts, over the pool's life or, READY and ALIVE, at present. */
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
	PF_COUNT_REPLACE_FAILED = 10 /* events PF_EVENT_RELOAD_FAILED */
};

/*
 * A number for metrics: which is one of PF_COUNT_... Those over the pool's life never decrease,
 * and stay as they are after its end.
 *
 * Returns: the number; 0 for a counter that this library does not know, before the start, and
 *   instead of any error.
 * Since: 0.2
 */
PF_API uint64_t pf_pool_counter(const pf_pool *pool, int which);

/* The signal that stopped the pool, so that the host can die of it too; 0: none. */
PF_API int pf_pool_stop_signal(const pf_pool *pool);

/*
 * End this process as a signal would, above all the one that pf_pool_stop_signal() tells.
 *
 * stdio is flushed and the pid file of pf_daemonize() removed. Then the signal has its default
 * disposition, is unblocked and raised. As PID 1, which does not die of it, the process ends with
 * status 128 + signal. Free the pools before.
 *
 * Returns: only if it failed.
 * Errors: -EINVAL if signal is no signal, or one whose default action does not end a process.
 * Since: 0.2
 */
PF_API int pf_die_of_signal(int signal);

/* ---- In a worker ---------------------------------------------------------------------- */

/*
 * Tell the supervisor that this worker serves now. Also arms the parent death signal again,
 * which setuid(2) and its like clear. Any thread may call it.
 *
 * Returns: 0.
 * Errors: -ECHILD in a process that is no worker; -ESRCH if the supervisor is gone; -EAGAIN if
 *   there was no room in the pool's pipe for a second: call again; -EBADF if the worker has
 *   closed the library's descriptors.
 * Since: 0.2
 */
PF_API int pf_worker_ready(void);

/*
 * Give a sign of life. Writes to the pool's pipe at most four times in a heartbeat time-out, and
 * only looks at a clock otherwise. Any thread may call it.
 *
 * Returns: 0, also in a pool without a heartbeat time-out.
 * Errors: as for pf_worker_ready().
 * Since: 0.2
 */
PF_API int pf_worker_heartbeat(void);

/*
 * Ask for a new worker in the place of this one, for example after a number of requests, or when
 * it has grown too large. The replacement does not count as a restart. Its turn comes after the
 * requests before it, see pf_pool_set_replace_width(). This worker continues to work until it is
 * asked to stop, as in a reload. A worker that is not ready yet is replaced once it is. If the new
 * worker fails, PF_EVENT_RELOAD_FAILED tells, this worker stays, and the pool tries again after
 * 1,000 ms or the first delay of pf_pool_set_backoff(), whichever is longer. After the first call
 * that succeeded, further calls have no effect. Any thread may call it.
 *
 * Returns: 0.
 * Errors: as for pf_worker_ready().
 * Since: 0.2
 */
PF_API int pf_worker_retire(void);

/*
 * A descriptor that becomes readable, and stays so, when this worker should end: it has been
 * asked to, before any signal is sent, or the supervisor is gone. For poll, epoll and all that
 * builds on them; nothing is to be read from it. It belongs to the library. Who uses it handles
 * or ignores the stop signal, or the pool is set to send none. The first call opens it. Any thread
 * may call it.
 *
 * Returns: the descriptor.
 * Errors: -ECHILD in a process that is no worker; -EOPNOTSUPP if the workers of this pool have
 *   none; -EBADF if the worker has closed the library's descriptors; -EMFILE, -ENFILE, -ENOMEM.
 * Since: 0.2
 */
PF_API int pf_worker_stop_fd(void);

/*
 * Find a descriptor that the pool was given by pf_pool_add_fd(). In a worker made by exec it can
 * be asked for from the load of the library on. Any thread may call it.
 *
 * Returns: the descriptor.
 * Errors: -ENOENT if there is none of that name; -ECHILD in a process that is no worker; -EINVAL
 *   if name is NULL.
 * Since: 0.2
 */
PF_API int pf_worker_fd(const char *name);

/*
 * Tell the name of the pool that this worker belongs to; "" is that of pf_fork_processes() and of
 * pools without a name. In a worker made by exec it is known from the load of the library on. Any
 * thread may call it.
 *
 * Returns: the name, which stays valid, or NULL in a process that is no worker.
 * Since: 0.2
 */
PF_API const char *pf_worker_pool_name(void);

/* ---- Sockets -------------------------------------------------------------------------- */

enum { PF_BIND_REUSEPORT = 1 };

/*
 * Bind a listening TCP socket to every address that a host name has.
 *
 * host is a name or a numeric address; NULL or "": any address. family is AF_UNSPEC for both
 * kinds of addresses, AF_INET or AF_INET6. Sockets of IPv4 come first; those of IPv6 take IPv6
 * only. With port 0 all get one port that the kernel chooses. backlog is listen(2)'s; 0 or
 * negative: 128. PF_BIND_REUSEPORT lets others that set it too bind the same address. The
 * sockets are non-blocking and close-on-exec and belong to the caller. Bind before the workers
 * are started: they then share the sockets. In a worker made by exec the nth call with the same
 * words gives what the nth gave in the supervisor. One thread at a time may call it.
 *
 * Returns: how many sockets there are in ret_fds, at least 1.
 * Errors, with nothing bound: -EADDRINUSE; PF_ERESOLVE if the name is not found;
 *   -EADDRNOTAVAIL for an address that is not of this machine; -EACCES for a port that needs
 *   privileges; -ENOBUFS if there are more than max_fds, or than 64; -EAFNOSUPPORT if the kernel
 *   has none of the families; -EINVAL.
 * Since: 0.2
 */
PF_API int pf_bind_sockets(const char *host, int port, int family, int backlog, uint32_t flags,
			   int *ret_fds, int max_fds);

/*
 * Bind a listening UNIX stream socket to a path, whose mode (at most 0777) does not depend on
 * the umask.
 *
 * A socket there that nobody listens on is replaced, another kind of file never. The file stays
 * when the socket is closed. Otherwise like pf_bind_sockets().
 *
 * Returns: the socket.
 * Errors: -EADDRINUSE if somebody listens there; -EEXIST for another kind of file;
 *   -ENAMETOOLONG for more than 107 bytes; -EACCES, -ENOENT, -EROFS and the like for the
 *   directory; -EINVAL.
 * Since: 0.2
 */
PF_API int pf_bind_unix_socket(const char *path, uint32_t mode, int backlog);

/*
 * Accept a connection from a non-blocking listening socket.
 *
 * EINTR, ECONNABORTED and other errors of the connection itself are passed over. Any thread
 * and any signal handler may call it.
 *
 * Returns: the connection, non-blocking and close-on-exec.
 * Errors: -EAGAIN if none waits: in a pool, a sibling took it; -EMFILE, -ENFILE, -ENOBUFS and
 *   -ENOMEM, while the connection waits on; -EINVAL if the socket does not listen.
 * Since: 0.2
 */
PF_API int pf_accept(int fd);

/*
 * Take the descriptors that systemd has opened for this process (LISTEN_PID, LISTEN_FDS).
 *
 * They are made close-on-exec, those that listen also non-blocking, and belong to the caller; a
 * second call gives the same. The environment was read when the library was loaded, and is left
 * alone. A worker gets what its supervisor would get.
 *
 * Returns: how many there are in ret_fds, in their order; 0: none was passed.
 * Errors: -ENOBUFS if there are more than max_fds; -EBADF if one of them is not open; -EINVAL,
 *   also if LISTEN_FDS is no number.
 * Since: 0.2
 */
PF_API int pf_listen_fds(int *ret_fds, int max_fds);

/* ---- Daemon --------------------------------------------------------------------------- */

/*
 * Go on as a daemon: in a new session without a terminal, with the umask and the directory of the
 * caller. Call it before sockets are bound and pools made.
 *
 * The launching process waits for the daemon to be ready: until all pools that began before the
 * first wait of any, or the one of pf_fork_processes(), have had all workers ready; or until
 * pf_daemon_ready(). It then exits with status 0, or with 1 if the daemon has ended before. stdio
 * stays as it was until then, so that the daemon can say why it fails; afterwards 0 to 2 lead to
 * /dev/null, each unless the host has put another file there. In a worker they do so from its
 * start, or with a ready time-out from pf_worker_ready().
 *
 * pid_file, if not NULL, gets the daemon's process id. It is locked, and removed at the daemon's
 * normal end. A file that no living daemon holds is replaced. A read lock is not a daemon's.
 *
 * Returns: 0 in the daemon; 0 in a worker, where it does nothing; a negative code in the
 *   launching process if there is no daemon.
 * Errors: -EEXIST if a living daemon holds pid_file; PF_ETHREADS if other threads are running;
 *   -EALREADY in a daemon; -EINVAL if pid_file is another kind of file or has a second name;
 *   -EPERM if it belongs to another user; -ESRCH in a worker by
 *   exec whose parent is not its supervisor; any other errno of the pid file, of fork(2) or for
 *   want of descriptors.
 * Since: 0.2
 */
PF_API int pf_daemonize(const char *pid_file);

/*
 * Tell the launching process that the daemon is ready, without waiting for workers. Again, and in
 * a process that is no daemon, it has no effect.
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
