// SPDX-License-Identifier: MIT
use std::fmt;
use std::ops::Deref;
use std::os::raw::c_int;
use std::panic::resume_unwind;
use std::process::Termination;

use libprefork_sys as sys;

use crate::callbacks::{self, Enter};
use crate::error::check;
use crate::owned::Owned;
use crate::{Builder, Control, Error, Remote, RunningPool, Task};

/// A pool of worker processes that has its settings and is to run, once.
///
/// Dropping it kills the workers that are still alive.
pub struct Pool {
    owned: Owned,
    started: bool,
}

impl Pool {
    /// Begins with the default settings.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn new(owned: Owned) -> Pool {
        Pool {
            owned,
            started: false,
        }
    }

    /// Starts the workers and supervises them until all have ended. Continues after a signal handler
    /// of this process has run; a host that needs to look at what its handlers note uses
    /// [`start`](Pool::start) and [`RunningPool::dispatch`].
    ///
    /// Each worker enters the closure and exits with the status that `main` would have given for
    /// its result: an `ExitCode`, `()`, or a `Result`. It never returns to the caller, and drops
    /// nothing of what the caller has. A panic is caught, and the worker exits with status 101.
    ///
    /// If [exec workers](Builder::exec_self) are asked for, `run` enters the closure at once in
    /// the program that was started as such a worker, and does not return there either.
    ///
    /// # Errors
    ///
    /// [`Error::Threads`] if other threads are running and workers are forked: nothing was
    /// started, and `run` may be called again. If the closure of
    /// [`on_event`](Builder::on_event) has started threads: the workers have been killed.
    ///
    /// [`Error::Os`] with `EALREADY` if the pool has run before, or if this process was started as
    /// a worker of a pool of another name; with `EMFILE`, `ENFILE` or `ENOMEM` if the start failed:
    /// nothing was started.
    ///
    /// [`Error::GaveUp`], [`Error::Fatal`] or another error that the pool failed with: no worker is
    /// left.
    ///
    /// ```
    /// use libprefork::{Error, Pool};
    ///
    /// let mut pool = Pool::builder().workers(2).max_restarts(3).build()?;
    /// let result = pool.run(|task| if task.id() == 1 { Err("no luck") } else { Ok(()) });
    /// assert_eq!(result, Err(Error::GaveUp));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn run<F, T>(&mut self, worker: F) -> Result<(), Error>
    where
        F: FnOnce(Task) -> T,
        T: Termination,
    {
        let mut worker = Some(worker);
        self.owned.prepare(self.started)?;
        if !self.started {
            let delivers = self.owned.shared().on_event.is_some();
            self.owned.set_callbacks(true, delivers)?;
        }
        let mut enter = |task| match worker.take() {
            Some(worker) => callbacks::exit_status(worker(task)),
            None => unreachable!("a worker enters once"),
        };
        let enter: *mut (dyn FnMut(Task) -> c_int + '_) = &mut enter;
        // SAFETY: only the lifetime is changed; the pointer is taken away before it ends. C uses
        // it in this call only.
        let enter = unsafe {
            std::mem::transmute::<*mut (dyn FnMut(Task) -> c_int + '_), *mut Enter>(enter)
        };
        self.owned.shared().enter = Some(enter);
        let mut task_id = -1;
        // SAFETY: the pool is valid, and so is the place for the result.
        let result = unsafe { sys::pf_pool_run(self.owned.raw(), &mut task_id) };
        self.started |= self.owned.control.worker_count().is_ok();
        let shared = self.owned.shared();
        shared.enter = None;
        if let Some(panic) = shared.panic.take() {
            resume_unwind(panic);
        }
        if std::mem::take(&mut shared.found_threads) {
            return Err(Error::Threads);
        }
        self.owned.check(result).map(drop)
    }

    /// Begins the pool for an event loop. Workers are forked, and enter the closure as in
    /// [`run`](Pool::run), from within [`RunningPool::dispatch`].
    ///
    /// The first [`dispatch`](RunningPool::dispatch) starts the workers. Workers are copies of this
    /// process that share its event loop in the kernel: they must leave it alone. Where the loop
    /// belongs to a runtime, use [`start_exec`](Pool::start_exec).
    ///
    /// # Errors
    ///
    /// [`Error::Threads`] if other threads are running; [`Error::Os`] as for [`run`](Pool::run).
    /// Nothing was started, and the pool is gone.
    pub fn start<F, T>(mut self, worker: F) -> Result<RunningPool, Error>
    where
        F: FnOnce(Task) -> T + Send + 'static,
        T: Termination,
    {
        let mut worker = Some(worker);
        let enter: Box<Enter> = Box::new(move |task| match worker.take() {
            Some(worker) => callbacks::exit_status(worker(task)),
            None => unreachable!("a worker enters once"),
        });
        self.owned.worker = Some(Box::into_raw(enter));
        self.owned.shared().enter = self.owned.worker;
        self.owned.prepare(false)?;
        self.owned.set_callbacks(true, false)?;
        self.begin()
    }

    /// Begins a pool of [exec workers](Builder::exec_self) for an event loop.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] as for [`run`](Pool::run). Nothing was started, and the pool is gone.
    pub fn start_exec(self) -> Result<RunningPool, Error> {
        self.begin()
    }

    fn begin(mut self) -> Result<RunningPool, Error> {
        // SAFETY: the pool is valid.
        let fd = unsafe {
            check(sys::pf_pool_start(self.owned.raw()))?;
            check(sys::pf_pool_fd(self.owned.raw()))?
        };
        Ok(RunningPool::new(self.owned, fd))
    }

    /// Stops or reloads the pool from other threads.
    pub fn remote(&self) -> Remote {
        self.owned.remote.clone()
    }
}

impl Deref for Pool {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.owned.control
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("control", &self.owned.control)
            .finish_non_exhaustive()
    }
}
