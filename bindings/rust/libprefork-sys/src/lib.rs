//! The C interface of [libprefork](https://docs.rs/libprefork), name by name.
//!
//! libprefork turns one program into a supervised pool of worker processes. This crate declares
//! what `prefork.h` declares and links the installed library, which its build script finds with
//! `pkg-config`. Names, types and meanings are those of C: the manual pages, from `prefork(7)` on,
//! tell them. Programs should rather use the safe crate `libprefork`.
//!
//! ```
//! // SAFETY: both may be called by any thread, and the text is static.
//! let text = unsafe { std::ffi::CStr::from_ptr(libprefork_sys::pf_version()) };
//! assert!(text.to_str().unwrap().starts_with("0.2."));
//! assert!(unsafe { libprefork_sys::pf_cpu_count() } >= 1);
//! ```
//!
//! # For build scripts
//!
//! A crate that depends directly on this one finds the directory of `prefork.h` in
//! `DEP_PREFORK_INCLUDE` and the version of the library that was linked in `DEP_PREFORK_VERSION`.
//
// SPDX-License-Identifier: MIT
#![allow(non_camel_case_types)]
#![warn(rust_2018_idioms)]

use std::marker::{PhantomData, PhantomPinned};
use std::os::raw::{c_char, c_int, c_void};

macro_rules! opaque {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[repr(C)]
        pub struct $name {
            _data: [u8; 0],
            _marker: PhantomData<(*mut u8, PhantomPinned)>,
        }
    };
}

opaque! {
    /// A pool of workers. Known by address only.
    pf_pool
}
opaque! {
    /// What happened to a pool or a worker. Known by address only.
    pf_event
}

/// Is told of events. Must return: a panic that would leave it aborts the process.
pub type pf_event_fn = unsafe extern "C" fn(event: *const pf_event, user: *mut c_void);
/// What a worker runs; its result is the worker's exit status.
pub type pf_worker_fn = unsafe extern "C" fn(task_id: c_int, user: *mut c_void) -> c_int;
/// Releases what a callback was given.
pub type pf_free_fn = unsafe extern "C" fn(user: *mut c_void);

pub const PF_VERSION_MAJOR: c_int = 0;
pub const PF_VERSION_MINOR: c_int = 2;
pub const PF_VERSION_PATCH: c_int = 0;
pub const PF_EGAVEUP: c_int = -4097;
pub const PF_ETHREADS: c_int = -4098;
pub const PF_ERESOLVE: c_int = -4099;
pub const PF_EFATAL: c_int = -4100;
pub const PF_UNLIMITED: c_int = 2147483647;

// ---- One call ----

extern "C" {
    pub fn pf_fork_processes(num_processes: c_int, max_restarts: c_int) -> c_int;
    pub fn pf_task_id() -> c_int;
    pub fn pf_cpu_count() -> c_int;
    pub fn pf_version() -> *const c_char;
    pub fn pf_version_number() -> c_int;
    pub fn pf_event_type_name(type_: c_int) -> *const c_char;
    pub fn pf_event_worker_count(event: *const pf_event) -> c_int;
    pub fn pf_event_reason(event: *const pf_event) -> c_int;
    pub fn pf_strerror(error: c_int) -> *const c_char;
    pub fn pf_die_of_signal(signal: c_int) -> c_int;
    pub fn pf_upgrade(
        path: *const c_char,
        argv: *const *const c_char,
        envp: *const *const c_char,
    ) -> c_int;
}

// ---- Events ----

pub const PF_EVENT_STARTING: c_int = 1;
pub const PF_EVENT_STARTED: c_int = 2;
pub const PF_EVENT_READY: c_int = 3;
pub const PF_EVENT_EXITED: c_int = 4;
pub const PF_EVENT_GAVE_UP: c_int = 5;
pub const PF_EVENT_START_FAILED: c_int = 6;
pub const PF_EVENT_STOPPING: c_int = 7;
pub const PF_EVENT_KILLED: c_int = 8;
pub const PF_EVENT_UNRESPONSIVE: c_int = 9;
pub const PF_EVENT_RELOADING: c_int = 10;
pub const PF_EVENT_RELOADED: c_int = 11;
pub const PF_EVENT_RELOAD_FAILED: c_int = 12;
pub const PF_EVENT_RESIZED: c_int = 13;
pub const PF_EVENT_DONE: c_int = 14;
pub const PF_EVENT_FORK_WANTED: c_int = 15;
pub const PF_EVENT_SIGNAL_UNAVAILABLE: c_int = 16;
pub const PF_EVENT_ADOPTED: c_int = 17;
pub const PF_EVENT_SPARE_STARTED: c_int = 18;
pub const PF_EVENT_SPARE_EXITED: c_int = 19;

pub const PF_TASK_SPARE: c_int = -2;

pub const PF_REASON_NONE: c_int = 0;
pub const PF_REASON_START: c_int = 1;
pub const PF_REASON_RESTART: c_int = 2;
pub const PF_REASON_REPLACE: c_int = 3;
pub const PF_REASON_RELOAD: c_int = 4;
pub const PF_REASON_LIFETIME: c_int = 5;
pub const PF_REASON_RETIRE: c_int = 6;
pub const PF_REASON_RESIZE: c_int = 7;
pub const PF_REASON_STOP: c_int = 8;
pub const PF_REASON_READY_TIMEOUT: c_int = 9;
pub const PF_REASON_HEARTBEAT_TIMEOUT: c_int = 10;
pub const PF_REASON_LIMIT: c_int = 11;
pub const PF_REASON_PROTOCOL: c_int = 12;
pub const PF_REASON_OUT_OF_MEMORY: c_int = 13;

extern "C" {
    pub fn pf_set_event_callback(r#fn: Option<pf_event_fn>, user: *mut c_void);
    pub fn pf_event_type(event: *const pf_event) -> c_int;
    pub fn pf_event_level(event: *const pf_event) -> c_int;
    pub fn pf_event_message(event: *const pf_event) -> *const c_char;
    pub fn pf_event_task_id(event: *const pf_event) -> c_int;
    pub fn pf_event_pid(event: *const pf_event) -> i32;
    pub fn pf_event_exit_code(event: *const pf_event) -> c_int;
    pub fn pf_event_signal(event: *const pf_event) -> c_int;
    pub fn pf_event_core_dumped(event: *const pf_event) -> c_int;
    pub fn pf_event_will_restart(event: *const pf_event) -> c_int;
    pub fn pf_event_error(event: *const pf_event) -> c_int;
    pub fn pf_event_restarts(event: *const pf_event) -> c_int;
    pub fn pf_event_delay_ms(event: *const pf_event) -> u64;
    pub fn pf_event_uptime_ms(event: *const pf_event) -> u64;
    pub fn pf_event_time_ns(event: *const pf_event) -> u64;
    pub fn pf_event_user_us(event: *const pf_event) -> u64;
    pub fn pf_event_system_us(event: *const pf_event) -> u64;
    pub fn pf_event_max_rss_kib(event: *const pf_event) -> u64;
}

// ---- Pools: settings ----

pub const PF_RESTART_ON_FAILURE: c_int = 0;
pub const PF_RESTART_ALWAYS: c_int = 1;
pub const PF_RESTART_NEVER: c_int = 2;
pub const PF_LIMIT_STOP: c_int = 0;
pub const PF_LIMIT_DEGRADE: c_int = 1;
pub const PF_EXIT_DEFAULT: c_int = 0;
pub const PF_EXIT_RESTART: c_int = 1;
pub const PF_EXIT_DONE: c_int = 2;
pub const PF_EXIT_FATAL: c_int = 3;
pub const PF_RELOAD_START_FIRST: c_int = 0;
pub const PF_RELOAD_STOP_FIRST: c_int = 1;
pub const PF_SIGNALS_NONE: c_int = 0;
pub const PF_SIGNALS_STANDARD: c_int = 1;
pub const PF_SIGNALS_STOP_ONLY: c_int = 2;
pub const PF_THREADS_REFUSE: c_int = 0;
pub const PF_THREADS_ALLOW: c_int = 1;
pub const PF_BACKEND_AUTO: c_int = 0;
pub const PF_BACKEND_PIDFD: c_int = 1;
pub const PF_BACKEND_SIGCHLD: c_int = 2;

pub const PF_REAP_ADOPTED: c_int = 1;
pub const PF_REAP_ALL: c_int = 2;
pub const PF_GROUP_SIGNALS: c_int = 1;
pub const PF_GROUP_KILL: c_int = 2;

extern "C" {
    pub fn pf_pool_new(ret_pool: *mut *mut pf_pool) -> c_int;
    pub fn pf_pool_free(pool: *mut pf_pool) -> *mut pf_pool;
    pub fn pf_pool_set_name(pool: *mut pf_pool, name: *const c_char) -> c_int;
    pub fn pf_pool_set_workers(pool: *mut pf_pool, count: c_int) -> c_int;
    pub fn pf_pool_set_restart_policy(pool: *mut pf_pool, when: c_int) -> c_int;
    pub fn pf_pool_set_max_restarts(pool: *mut pf_pool, max: c_int) -> c_int;
    pub fn pf_pool_set_restart_window(pool: *mut pf_pool, max: c_int, window_ms: u64) -> c_int;
    pub fn pf_pool_set_backoff(pool: *mut pf_pool, first_ms: u64, max_ms: u64) -> c_int;
    pub fn pf_pool_set_boot_limit(pool: *mut pf_pool, max: c_int) -> c_int;
    pub fn pf_pool_set_limit_action(pool: *mut pf_pool, action: c_int) -> c_int;
    pub fn pf_pool_set_stop(pool: *mut pf_pool, signal: c_int, timeout_ms: u64) -> c_int;
    pub fn pf_pool_set_exit_action(pool: *mut pf_pool, code: c_int, action: c_int) -> c_int;
    pub fn pf_pool_set_min_uptime(pool: *mut pf_pool, uptime_ms: u64) -> c_int;
    pub fn pf_pool_set_ready_timeout(pool: *mut pf_pool, timeout_ms: u64) -> c_int;
    pub fn pf_pool_set_heartbeat_timeout(pool: *mut pf_pool, timeout_ms: u64) -> c_int;
    pub fn pf_pool_set_lifetime(pool: *mut pf_pool, max_ms: u64, jitter_ms: u64) -> c_int;
    pub fn pf_pool_set_reload_order(pool: *mut pf_pool, order: c_int) -> c_int;
    pub fn pf_pool_set_replace_width(pool: *mut pf_pool, count: c_int) -> c_int;
    pub fn pf_pool_set_signals(pool: *mut pf_pool, set: c_int) -> c_int;
    pub fn pf_pool_set_thread_policy(pool: *mut pf_pool, policy: c_int) -> c_int;
    pub fn pf_pool_set_stop_fd(pool: *mut pf_pool, on: c_int) -> c_int;
    pub fn pf_pool_set_process_groups(pool: *mut pf_pool, mode: c_int) -> c_int;
    pub fn pf_pool_set_parent_death_signal(pool: *mut pf_pool, signal: c_int) -> c_int;
    pub fn pf_pool_set_reap_orphans(pool: *mut pf_pool, mode: c_int) -> c_int;
    pub fn pf_pool_set_manager_notify(pool: *mut pf_pool, on: c_int) -> c_int;
    pub fn pf_pool_set_backend(pool: *mut pf_pool, backend: c_int) -> c_int;
    pub fn pf_pool_set_event_callback(
        pool: *mut pf_pool,
        r#fn: Option<pf_event_fn>,
        user: *mut c_void,
        free_user: Option<pf_free_fn>,
    ) -> c_int;
    pub fn pf_pool_set_worker_fn(
        pool: *mut pf_pool,
        r#fn: Option<pf_worker_fn>,
        user: *mut c_void,
        free_user: Option<pf_free_fn>,
    ) -> c_int;
    pub fn pf_pool_add_fd(pool: *mut pf_pool, name: *const c_char, fd: c_int) -> c_int;
    pub fn pf_pool_set_exec(
        pool: *mut pf_pool,
        path: *const c_char,
        argv: *const *const c_char,
        envp: *const *const c_char,
    ) -> c_int;
    pub fn pf_pool_set_spares(pool: *mut pf_pool, count: c_int) -> c_int;
    pub fn pf_pool_set_foreign_workers(pool: *mut pf_pool, on: c_int) -> c_int;
    pub fn pf_pool_set_host_fork(pool: *mut pf_pool, on: c_int) -> c_int;
}

// ---- Pools: running ----

pub const PF_WORKER_EMPTY: c_int = 0;
pub const PF_WORKER_STARTING: c_int = 1;
pub const PF_WORKER_READY: c_int = 2;
pub const PF_WORKER_STOPPING: c_int = 3;
pub const PF_WORKER_BACKOFF: c_int = 4;
pub const PF_WORKER_DONE: c_int = 5;

extern "C" {
    pub fn pf_pool_run(pool: *mut pf_pool, ret_task_id: *mut c_int) -> c_int;
    pub fn pf_pool_start(pool: *mut pf_pool) -> c_int;
    pub fn pf_pool_fd(pool: *const pf_pool) -> c_int;
    pub fn pf_pool_dispatch(pool: *mut pf_pool, timeout_ms: c_int) -> c_int;
    pub fn pf_pool_next_event(pool: *mut pf_pool, ret_event: *mut *const pf_event) -> c_int;
    pub fn pf_pool_fork_prepare(pool: *mut pf_pool, task_id: c_int) -> c_int;
    pub fn pf_pool_fork_parent(pool: *mut pf_pool, task_id: c_int, pid: i32) -> c_int;
    pub fn pf_pool_fork_child(pool: *mut pf_pool, task_id: c_int) -> c_int;
    pub fn pf_pool_stop(pool: *mut pf_pool) -> c_int;
    pub fn pf_pool_kill(pool: *mut pf_pool) -> c_int;
    pub fn pf_pool_wake(pool: *mut pf_pool) -> c_int;
    pub fn pf_pool_reload(pool: *mut pf_pool) -> c_int;
    pub fn pf_pool_handle_signal(pool: *mut pf_pool, signal: c_int) -> c_int;
    pub fn pf_pool_resize(pool: *mut pf_pool, count: c_int) -> c_int;
    pub fn pf_pool_replace_worker(pool: *mut pf_pool, task_id: c_int) -> c_int;
    pub fn pf_pool_stop_worker(pool: *mut pf_pool, task_id: c_int) -> c_int;
    pub fn pf_pool_send_signal(pool: *mut pf_pool, task_id: c_int, signal: c_int) -> c_int;
    pub fn pf_pool_worker_count(pool: *const pf_pool) -> c_int;
    pub fn pf_pool_alive_count(pool: *const pf_pool) -> c_int;
    pub fn pf_pool_worker_pid(pool: *const pf_pool, task_id: c_int) -> i32;
    pub fn pf_pool_worker_state(pool: *const pf_pool, task_id: c_int) -> c_int;
    pub fn pf_pool_worker_restarts(pool: *const pf_pool, task_id: c_int) -> c_int;
    pub fn pf_pool_worker_uptime_ms(pool: *const pf_pool, task_id: c_int) -> u64;
    pub fn pf_pool_counter(pool: *const pf_pool, which: c_int) -> u64;
    pub fn pf_pool_stop_signal(pool: *const pf_pool) -> c_int;
}

pub const PF_COUNT_STARTED: c_int = 1;
pub const PF_COUNT_EXITED: c_int = 2;
pub const PF_COUNT_ABNORMAL: c_int = 3;
pub const PF_COUNT_RESTARTED: c_int = 4;
pub const PF_COUNT_START_FAILED: c_int = 5;
pub const PF_COUNT_UNRESPONSIVE: c_int = 6;
pub const PF_COUNT_RELOADS: c_int = 7;
pub const PF_COUNT_READY: c_int = 8;
pub const PF_COUNT_ALIVE: c_int = 9;
pub const PF_COUNT_REPLACE_FAILED: c_int = 10;
pub const PF_COUNT_SPARES: c_int = 11;

// ---- In a worker ----

extern "C" {
    pub fn pf_worker_ready() -> c_int;
    pub fn pf_worker_retire() -> c_int;
    pub fn pf_worker_heartbeat() -> c_int;
    pub fn pf_worker_stop_fd() -> c_int;
    pub fn pf_worker_fd(name: *const c_char) -> c_int;
    pub fn pf_worker_pool_name() -> *const c_char;
}

// ---- Sockets ----

pub const PF_BIND_REUSEPORT: c_int = 1;

extern "C" {
    pub fn pf_bind_sockets(
        host: *const c_char,
        port: c_int,
        family: c_int,
        backlog: c_int,
        flags: u32,
        ret_fds: *mut c_int,
        max_fds: c_int,
    ) -> c_int;
    pub fn pf_bind_unix_socket(path: *const c_char, mode: u32, backlog: c_int) -> c_int;
    pub fn pf_accept(fd: c_int) -> c_int;
    pub fn pf_listen_fds(ret_fds: *mut c_int, max_fds: c_int) -> c_int;
}

// ---- Daemon ----

extern "C" {
    pub fn pf_daemonize(pid_file: *const c_char) -> c_int;
    pub fn pf_daemon_ready() -> c_int;
}

/// The README's example is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
