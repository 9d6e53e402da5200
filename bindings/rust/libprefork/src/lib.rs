//! One program becomes a supervised pool of worker processes.
//!
//! The workers share what was opened before, such as a listening socket. Each has a *task id* that
//! survives restarts: a worker that crashes is replaced by one with the same id. No worker outlives
//! its supervisor, whatever ends it.
//!
//! ```
//! use libprefork::{Pool, Task};
//! use std::process::ExitCode;
//!
//! fn serve(task: Task) -> ExitCode {
//!     println!("worker {} is process {}", task.id(), std::process::id());
//!     ExitCode::SUCCESS
//! }
//!
//! # fn main() -> Result<(), libprefork::Error> {
//! let mut pool = Pool::builder().workers(2).build()?;
//! pool.run(serve)?; // returns when all workers have ended, in the supervisor only
//! # Ok(())
//! # }
//! ```
//!
//! # Which way
//!
//! A worker is made in one of two ways:
//!
//! * **fork**, by [`Pool::run`]: the worker is a copy of this process that enters a closure, and
//!   ends when it returns. As nothing but the thread that forks lives on in the copy, a process
//!   with other threads is refused ([`Error::Threads`]). So fork first, and start runtimes and
//!   threads in the workers. An event loop or tokio runtime that was made before the fork must not
//!   be used in a worker: the kernel shares it with the supervisor.
//! * **exec**, by [`Builder::exec_self`] or [`Builder::exec`]: the worker is a program started
//!   anew, with the descriptors of [`Builder::fd`]. The supervisor may have threads, a tokio
//!   runtime and any size, and a replaced program file is used from the next start on.
//!
//! And the supervisor waits in one of two ways: [`Pool::run`] blocks until the pool is done; a pool
//! that is [started](Pool::start) has a descriptor for an event loop, and events to be taken.
//!
//! [`fork_processes`] is both fork and wait in one call that returns in the workers, and `unsafe`.
//!
//! # What a forked worker is
//!
//! The closure runs on top of the supervisor's stack, and the worker ends without unwinding that:
//! values that were made before are dropped once, by the supervisor. A panic ends the worker with
//! status 101, or by SIGABRT where panics abort, which is an abnormal end. What was printed without
//! a newline before the fork is written by the supervisor alone.
//!
//! # The library
//!
//! libprefork must be installed, version 0.2: its `prefork.pc` is found by `pkg-config`. Manual
//! pages, from `prefork(7)` on, tell what each setting does to the letter. Linux only.
//
// SPDX-License-Identifier: MIT
#![warn(missing_docs, rust_2018_idioms)]
#![warn(clippy::missing_errors_doc)]
#![deny(unsafe_op_in_unsafe_fn)]

mod builder;
mod callbacks;
mod control;
mod daemon;
mod error;
mod event;
mod fork;
pub mod net;
mod owned;
mod pool;
mod running;
mod settings;
mod task;
mod threads;
mod upgrade;

use std::os::raw::c_int;
use std::time::Duration;

pub use builder::Builder;
pub use control::{Control, Counter, Remote, WorkerState};
pub use daemon::{daemon_ready, daemonize};
pub use error::Error;
pub use event::{Event, EventKind, Level, Reason, Usage};
pub use fork::{cpu_count, die_of_signal, fork_processes, set_event_callback, version, UNLIMITED};
pub use pool::Pool;
pub use running::{Events, RunningPool};
pub use settings::{
    Backend, ExitAction, LimitAction, ProcessGroups, ReloadOrder, RestartPolicy, Signals,
};
pub use task::{Task, Wake};
pub use upgrade::upgrade;

/// A number that C takes as an `int`.
fn int(value: u32) -> Result<c_int, Error> {
    c_int::try_from(value).map_err(|_| Error::invalid())
}

/// A time-out of `poll`: rounded up, so that nobody wakes too early; `None`: -1.
fn milliseconds(timeout: Option<Duration>) -> c_int {
    timeout.map_or(-1, |timeout| {
        let rounded = timeout.as_nanos().saturating_add(999_999) / 1_000_000;
        c_int::try_from(rounded).unwrap_or(c_int::MAX)
    })
}

/// The README's examples are compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    /// What this crate does not use: bindings/README.md tells why.
    const UNREACHED: &[&str] = &[
        "pf_event_type_name",
        "pf_pool_fork_child",
        "pf_pool_fork_parent",
        "pf_pool_fork_prepare",
        "pf_pool_set_host_fork",
        "pf_pool_set_stop_fd",
        "pf_version_number",
    ];

    #[test]
    fn pools_and_their_events_go_to_other_threads() {
        fn is_send<T: Send>() {}
        is_send::<crate::Builder>();
        is_send::<crate::Pool>();
        is_send::<crate::RunningPool>();
        is_send::<crate::Events<'_>>(); // across an await of tokio::spawn
        is_send::<crate::Remote>();
    }

    #[test]
    fn every_function_of_the_library_is_used() {
        let mut own = String::new();
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
            own += &std::fs::read_to_string(file.unwrap().path()).unwrap();
        }
        let path = std::process::Command::new("pkg-config")
            .args(["--variable=interface", "prefork"])
            .output();
        let path = String::from_utf8(path.unwrap().stdout).unwrap();
        let text = std::fs::read_to_string(path.trim()).unwrap();
        let words: Vec<&str> = text.split('"').collect();
        let mut functions: Vec<&str> = words
            .windows(2)
            .filter(|pair| pair[0].starts_with("pf_") && pair[1].trim_start().starts_with(':'))
            .map(|pair| pair[0])
            .collect();
        assert!(functions.len() > 80, "{functions:?}");
        let used = |name: &str| {
            let call = format!("sys::{name}");
            own.split(&call).skip(1).any(|rest| {
                !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
            })
        };
        functions.retain(|name| !used(name));
        functions.sort_unstable();
        assert_eq!(functions, UNREACHED);
    }
}
