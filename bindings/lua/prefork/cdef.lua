--- The declarations of prefork.h. generate.sh makes this file.
--
-- SPDX-License-Identifier: MIT
return [[
enum {
PF_EGAVEUP = -4097,
PF_ETHREADS = -4098,
PF_ERESOLVE = -4099,
PF_EFATAL = -4100
};
enum { PF_UNLIMITED = 2147483647 };
int pf_fork_processes(int num_processes, int max_restarts);
int pf_task_id(void);
int pf_cpu_count(void);
const char *pf_version(void);
int pf_version_number(void);
const char *pf_strerror(int error);
typedef struct pf_event pf_event;
typedef void (*pf_event_fn)(const pf_event *event, void *user);
enum {
PF_EVENT_STARTING = 1,
PF_EVENT_STARTED = 2,
PF_EVENT_READY = 3,
PF_EVENT_EXITED = 4,
PF_EVENT_GAVE_UP = 5,
PF_EVENT_START_FAILED = 6,
PF_EVENT_STOPPING = 7,
PF_EVENT_KILLED = 8,
PF_EVENT_UNRESPONSIVE = 9,
PF_EVENT_RELOADING = 10,
PF_EVENT_RELOADED = 11,
PF_EVENT_RELOAD_FAILED = 12,
PF_EVENT_RESIZED = 13,
PF_EVENT_DONE = 14,
PF_EVENT_FORK_WANTED = 15,
PF_EVENT_SIGNAL_UNAVAILABLE = 16,
PF_EVENT_ADOPTED = 17,
PF_EVENT_SPARE_STARTED = 18,
PF_EVENT_SPARE_EXITED = 19
};
enum {
PF_REASON_NONE = 0,
PF_REASON_START = 1,
PF_REASON_RESTART = 2,
PF_REASON_REPLACE = 3,
PF_REASON_RELOAD = 4,
PF_REASON_LIFETIME = 5,
PF_REASON_RETIRE = 6,
PF_REASON_RESIZE = 7,
PF_REASON_STOP = 8,
PF_REASON_READY_TIMEOUT = 9,
PF_REASON_HEARTBEAT_TIMEOUT = 10,
PF_REASON_LIMIT = 11,
PF_REASON_PROTOCOL = 12,
PF_REASON_OUT_OF_MEMORY = 13
};
void pf_set_event_callback(pf_event_fn fn, void *user);
int pf_event_type(const pf_event *event);
int pf_event_level(const pf_event *event);
const char *pf_event_message(const pf_event *event);
int pf_event_task_id(const pf_event *event);
int32_t pf_event_pid(const pf_event *event);
int pf_event_exit_code(const pf_event *event);
int pf_event_signal(const pf_event *event);
int pf_event_core_dumped(const pf_event *event);
int pf_event_will_restart(const pf_event *event);
int pf_event_error(const pf_event *event);
int pf_event_restarts(const pf_event *event);
uint64_t pf_event_delay_ms(const pf_event *event);
uint64_t pf_event_uptime_ms(const pf_event *event);
uint64_t pf_event_time_ns(const pf_event *event);
uint64_t pf_event_user_us(const pf_event *event);
uint64_t pf_event_system_us(const pf_event *event);
uint64_t pf_event_max_rss_kib(const pf_event *event);
int pf_event_worker_count(const pf_event *event);
int pf_event_reason(const pf_event *event);
const char *pf_event_type_name(int type);
typedef struct pf_pool pf_pool;
int pf_pool_new(pf_pool **ret_pool);
pf_pool *pf_pool_free(pf_pool *pool);
enum { PF_RESTART_ON_FAILURE = 0, PF_RESTART_ALWAYS = 1, PF_RESTART_NEVER = 2 };
enum { PF_LIMIT_STOP = 0, PF_LIMIT_DEGRADE = 1 };
enum { PF_EXIT_DEFAULT = 0, PF_EXIT_RESTART = 1, PF_EXIT_DONE = 2, PF_EXIT_FATAL = 3 };
enum { PF_RELOAD_START_FIRST = 0, PF_RELOAD_STOP_FIRST = 1 };
enum { PF_SIGNALS_NONE = 0, PF_SIGNALS_STANDARD = 1, PF_SIGNALS_STOP_ONLY = 2 };
enum { PF_THREADS_REFUSE = 0, PF_THREADS_ALLOW = 1 };
enum { PF_BACKEND_AUTO = 0, PF_BACKEND_PIDFD = 1, PF_BACKEND_SIGCHLD = 2 };
enum { PF_REAP_ADOPTED = 1, PF_REAP_ALL = 2 };
enum { PF_GROUP_SIGNALS = 1, PF_GROUP_KILL = 2 };
int pf_pool_set_name(pf_pool *pool, const char *name);
int pf_pool_set_workers(pf_pool *pool, int count);
int pf_pool_set_restart_policy(pf_pool *pool, int when);
int pf_pool_set_max_restarts(pf_pool *pool, int max);
int pf_pool_set_restart_window(pf_pool *pool, int max, uint64_t window_ms);
int pf_pool_set_backoff(pf_pool *pool, uint64_t first_ms, uint64_t max_ms);
int pf_pool_set_boot_limit(pf_pool *pool, int max);
int pf_pool_set_limit_action(pf_pool *pool, int action);
int pf_pool_set_stop(pf_pool *pool, int signal, uint64_t timeout_ms);
int pf_pool_set_exit_action(pf_pool *pool, int code, int action);
int pf_pool_set_ready_timeout(pf_pool *pool, uint64_t timeout_ms);
int pf_pool_set_min_uptime(pf_pool *pool, uint64_t uptime_ms);
int pf_pool_set_heartbeat_timeout(pf_pool *pool, uint64_t timeout_ms);
int pf_pool_set_lifetime(pf_pool *pool, uint64_t max_ms, uint64_t jitter_ms);
int pf_pool_set_reload_order(pf_pool *pool, int order);
int pf_pool_set_replace_width(pf_pool *pool, int count);
int pf_pool_set_signals(pf_pool *pool, int set);
int pf_pool_set_thread_policy(pf_pool *pool, int policy);
int pf_pool_set_stop_fd(pf_pool *pool, int on);
int pf_pool_set_process_groups(pf_pool *pool, int mode);
int pf_pool_set_parent_death_signal(pf_pool *pool, int signal);
int pf_pool_set_reap_orphans(pf_pool *pool, int mode);
int pf_pool_set_manager_notify(pf_pool *pool, int on);
int pf_pool_set_backend(pf_pool *pool, int backend);
int pf_pool_set_event_callback(pf_pool *pool, pf_event_fn fn, void *user,
void (*free_user)(void *));
int pf_pool_set_worker_fn(pf_pool *pool, int (*fn)(int task_id, void *user), void *user,
void (*free_user)(void *));
int pf_pool_add_fd(pf_pool *pool, const char *name, int fd);
int pf_pool_set_exec(pf_pool *pool, const char *path, const char *const *argv,
const char *const *envp);
enum { PF_TASK_SPARE = -2 };
int pf_pool_set_spares(pf_pool *pool, int count);
int pf_pool_set_foreign_workers(pf_pool *pool, int on);
int pf_pool_set_host_fork(pf_pool *pool, int on);
int pf_pool_run(pf_pool *pool, int *ret_task_id);
int pf_pool_start(pf_pool *pool);
int pf_pool_fd(const pf_pool *pool);
int pf_pool_dispatch(pf_pool *pool, int timeout_ms);
int pf_pool_next_event(pf_pool *pool, const pf_event **ret_event);
int pf_pool_fork_prepare(pf_pool *pool, int task_id);
int pf_pool_fork_parent(pf_pool *pool, int task_id, int32_t pid);
int pf_pool_fork_child(pf_pool *pool, int task_id);
int pf_pool_stop(pf_pool *pool);
int pf_pool_kill(pf_pool *pool);
int pf_pool_wake(pf_pool *pool);
int pf_pool_reload(pf_pool *pool);
int pf_pool_handle_signal(pf_pool *pool, int signal);
int pf_pool_resize(pf_pool *pool, int count);
int pf_pool_replace_worker(pf_pool *pool, int task_id);
int pf_pool_stop_worker(pf_pool *pool, int task_id);
int pf_pool_send_signal(pf_pool *pool, int task_id, int signal);
enum {
PF_WORKER_EMPTY = 0,
PF_WORKER_STARTING = 1,
PF_WORKER_READY = 2,
PF_WORKER_STOPPING = 3,
PF_WORKER_BACKOFF = 4,
PF_WORKER_DONE = 5
};
int pf_pool_worker_count(const pf_pool *pool);
int pf_pool_alive_count(const pf_pool *pool);
int32_t pf_pool_worker_pid(const pf_pool *pool, int task_id);
int pf_pool_worker_state(const pf_pool *pool, int task_id);
int pf_pool_worker_restarts(const pf_pool *pool, int task_id);
uint64_t pf_pool_worker_uptime_ms(const pf_pool *pool, int task_id);
enum {
PF_COUNT_STARTED = 1,
PF_COUNT_EXITED = 2,
PF_COUNT_ABNORMAL = 3,
PF_COUNT_RESTARTED = 4,
PF_COUNT_START_FAILED = 5,
PF_COUNT_UNRESPONSIVE = 6,
PF_COUNT_RELOADS = 7,
PF_COUNT_READY = 8,
PF_COUNT_ALIVE = 9,
PF_COUNT_REPLACE_FAILED = 10,
PF_COUNT_SPARES = 11
};
uint64_t pf_pool_counter(const pf_pool *pool, int which);
int pf_pool_stop_signal(const pf_pool *pool);
int pf_upgrade(const char *path, const char *const *argv, const char *const *envp);
int pf_die_of_signal(int signal);
int pf_worker_ready(void);
int pf_worker_heartbeat(void);
int pf_worker_retire(void);
int pf_worker_stop_fd(void);
int pf_worker_fd(const char *name);
const char *pf_worker_pool_name(void);
enum { PF_BIND_REUSEPORT = 1 };
int pf_bind_sockets(const char *host, int port, int family, int backlog, uint32_t flags,
int *ret_fds, int max_fds);
int pf_bind_unix_socket(const char *path, uint32_t mode, int backlog);
int pf_accept(int fd);
int pf_listen_fds(int *ret_fds, int max_fds);
int pf_daemonize(const char *pid_file);
int pf_daemon_ready(void);
]]
