// SPDX-License-Identifier: MIT
use std::fmt;
use std::os::raw::c_int;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use libprefork_sys as sys;

use crate::error::check;
use crate::Error;

/// What a slot of a pool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkerState {
    /// No worker, and none is to come.
    Empty,
    /// On its way.
    Starting,
    /// At work.
    Ready,
    /// Asked to end.
    Stopping,
    /// Restarted after a delay.
    Backoff,
    /// Exited normally; not restarted.
    Done,
}

/// A number about a pool, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Counter {
    /// Workers that were started.
    Started,
    /// Workers that have ended.
    Exited,
    /// Of these: abnormally, without having been asked to end.
    Abnormal,
    /// Workers started with [`Reason::Restart`](crate::Reason::Restart).
    Restarted,
    /// Starts that failed, also those that no event reports.
    StartFailed,
    /// Workers that were killed because they did not respond.
    Unresponsive,
    /// Reloads that have begun.
    Reloads,
    /// Workers that are ready now.
    Ready,
    /// Processes now, as [`Control::alive_count`].
    Alive,
    /// Events [`ReloadFailed`](crate::EventKind::ReloadFailed).
    ReplaceFailed,
    /// Spares now, which [`Alive`](Counter::Alive) does not include.
    Spares,
}

/// Controls a pool that runs, and tells what it looks like now. Task ids that the pool does not
/// have, and a pool that has not started, are an error, which names the call and its values.
pub struct Control {
    pool: *mut sys::pf_pool,
}

impl Control {
    pub(crate) fn raw(&self) -> *mut sys::pf_pool {
        self.pool
    }

    pub(crate) fn new(pool: *mut sys::pf_pool) -> Control {
        Control { pool }
    }

    /// A call with a number; its error has the name and the number.
    fn with_number(
        &self,
        name: &str,
        value: u32,
        call: impl FnOnce(c_int) -> c_int,
    ) -> Result<c_int, Error> {
        crate::int(value)
            .and_then(|number| check(call(number)))
            .map_err(|error| error.at(|| format!("{name}({value})")))
    }

    /// Stops all workers gracefully.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn stop(&self) -> Result<(), Error> {
        // SAFETY: the pool is valid, here and below, and this is the thread that uses it.
        check(unsafe { sys::pf_pool_stop(self.pool) }).map(drop)
    }

    /// Kills all workers.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn kill(&self) -> Result<(), Error> {
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_kill(self.pool) }).map(drop)
    }

    /// Replaces all workers, one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn reload(&self) -> Result<(), Error> {
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_reload(self.pool) }).map(drop)
    }

    /// Does what [`Signals::Standard`](crate::Signals::Standard) says of a signal that the host
    /// has received by itself, as under tokio. Other signals are an error.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with `EINVAL` before the start and for a signal that is not of the set.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn handle_signal(&self, signal: i32) -> Result<(), Error> {
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_handle_signal(self.pool, signal) })
            .map(drop)
            .map_err(|error| error.at(|| format!("handle_signal({signal})")))
    }

    /// Changes the number of slots.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with `EINVAL` before the start and for a count that is not 1 to 65,536, with
    /// `ECANCELED` if the pool stops or has ended, with `ENOMEM`.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn resize(&self, count: u32) -> Result<(), Error> {
        self.with_number("resize", count, |number| {
            // SAFETY: as above.
            unsafe { sys::pf_pool_resize(self.pool, number) }
        })
        .map(drop)
    }

    /// Replaces one worker, which does not count as a restart.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with `EINVAL` before the start and for a task id that the pool does not have, with
    /// `EALREADY` if the worker is being replaced, with `ECANCELED` if the pool stops or has ended.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn replace_worker(&self, task_id: u32) -> Result<(), Error> {
        self.with_number("replace_worker", task_id, |number| {
            // SAFETY: as above.
            unsafe { sys::pf_pool_replace_worker(self.pool, number) }
        })
        .map(drop)
    }

    /// Stops one worker, which is not restarted. [`replace_worker`](Control::replace_worker) starts
    /// one again.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with `EINVAL` before the start and for a task id that the pool does not have, with
    /// `EALREADY` if the slot was stopped before, with `ECANCELED` if the pool stops or has ended.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn stop_worker(&self, task_id: u32) -> Result<(), Error> {
        self.with_number("stop_worker", task_id, |number| {
            // SAFETY: as above.
            unsafe { sys::pf_pool_stop_worker(self.pool, number) }
        })
        .map(drop)
    }

    /// Changes the number of [`spares`](crate::Builder::spares).
    ///
    /// # Errors
    ///
    /// [`Error::At`] with `EINVAL` for more than 65,536, and in a pool of foreign workers that runs;
    /// with `ECANCELED` if the pool stops or has ended, with `ENOMEM`.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn set_spares(&self, count: u32) -> Result<(), Error> {
        self.with_number("set_spares", count, |number| {
            // SAFETY: as above.
            unsafe { sys::pf_pool_set_spares(self.pool, number) }
        })
        .map(drop)
    }

    /// A number for metrics; 0 before the start.
    pub fn counter(&self, which: Counter) -> u64 {
        let which = match which {
            Counter::Started => sys::PF_COUNT_STARTED,
            Counter::Exited => sys::PF_COUNT_EXITED,
            Counter::Abnormal => sys::PF_COUNT_ABNORMAL,
            Counter::Restarted => sys::PF_COUNT_RESTARTED,
            Counter::StartFailed => sys::PF_COUNT_START_FAILED,
            Counter::Unresponsive => sys::PF_COUNT_UNRESPONSIVE,
            Counter::Reloads => sys::PF_COUNT_RELOADS,
            Counter::Ready => sys::PF_COUNT_READY,
            Counter::Alive => sys::PF_COUNT_ALIVE,
            Counter::ReplaceFailed => sys::PF_COUNT_REPLACE_FAILED,
            Counter::Spares => sys::PF_COUNT_SPARES,
        };
        // SAFETY: as above.
        unsafe { sys::pf_pool_counter(self.pool, which) }
    }

    /// Sends a signal to one worker, or with `None` to all. An end that it leads to is abnormal.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with `EINVAL` before the start, for a task id that the pool does not have and for
    /// a signal that does not exist, with `ESRCH` if the slot has no process, with `ECANCELED` if the
    /// pool has ended, and with what `kill` reports, such as `EPERM`. For all workers it is the first
    /// error; the others have got the signal.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn send_signal(&self, task_id: impl Into<Option<u32>>, signal: i32) -> Result<(), Error> {
        let task_id = task_id.into();
        let worker = || task_id.map_or("None".to_owned(), |id| id.to_string());
        task_id
            .map_or(Ok(-1), crate::int)
            // SAFETY: as above.
            .and_then(|id| check(unsafe { sys::pf_pool_send_signal(self.pool, id, signal) }))
            .map(drop)
            .map_err(|error| error.at(|| format!("send_signal({}, {signal})", worker())))
    }

    /// The number of slots.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn worker_count(&self) -> Result<u32, Error> {
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_worker_count(self.pool) }).map(|count| count as u32)
    }

    /// The number of processes.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn alive_count(&self) -> Result<u32, Error> {
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_alive_count(self.pool) }).map(|count| count as u32)
    }

    /// The process of a slot, if it has one now.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with `EINVAL` before the start and for a task id that the pool does not have.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn worker_pid(&self, task_id: u32) -> Result<Option<u32>, Error> {
        let pid = self.with_number("worker_pid", task_id, |number| {
            // SAFETY: as above.
            unsafe { sys::pf_pool_worker_pid(self.pool, number) }
        })?;
        Ok(Some(pid as u32).filter(|&pid| pid != 0))
    }

    /// What a slot holds.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with `EINVAL` before the start and for a task id that the pool does not have.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn worker_state(&self, task_id: u32) -> Result<WorkerState, Error> {
        let state = self.with_number("worker_state", task_id, |number| {
            // SAFETY: as above.
            unsafe { sys::pf_pool_worker_state(self.pool, number) }
        })?;
        Ok(match state {
            sys::PF_WORKER_EMPTY => WorkerState::Empty,
            sys::PF_WORKER_STARTING => WorkerState::Starting,
            sys::PF_WORKER_STOPPING => WorkerState::Stopping,
            sys::PF_WORKER_BACKOFF => WorkerState::Backoff,
            sys::PF_WORKER_DONE => WorkerState::Done,
            _ => WorkerState::Ready,
        })
    }

    /// The restarts of a slot that were counted.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with `EINVAL` before the start and for a task id that the pool does not have.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn worker_restarts(&self, task_id: u32) -> Result<u32, Error> {
        self.with_number("worker_restarts", task_id, |number| {
            // SAFETY: as above.
            unsafe { sys::pf_pool_worker_restarts(self.pool, number) }
        })
        .map(|count| count as u32)
    }

    /// How long the worker of a slot has lived.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with `EINVAL` before the start and for a task id that the pool does not have.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn worker_uptime(&self, task_id: u32) -> Result<Duration, Error> {
        self.with_number("worker_uptime", task_id, |number| {
            // SAFETY: as above.
            unsafe { sys::pf_pool_worker_state(self.pool, number) }
        })?;
        // SAFETY: as above.
        let uptime = unsafe { sys::pf_pool_worker_uptime_ms(self.pool, crate::int(task_id)?) };
        Ok(Duration::from_millis(uptime))
    }

    /// The signal that stopped the pool, for [`die_of_signal`](crate::die_of_signal).
    pub fn stop_signal(&self) -> Option<i32> {
        // SAFETY: as above.
        Some(unsafe { sys::pf_pool_stop_signal(self.pool) }).filter(|&signal| signal > 0)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("worker_count", &self.worker_count().ok())
            .field("alive_count", &self.alive_count().ok())
            .finish()
    }
}

/// The address of a pool for other threads; null once it is freed.
struct Address(*mut sys::pf_pool);

// SAFETY: what is done with it, see Remote, may be done from any thread.
unsafe impl Send for Address {}

/// Stops or reloads a pool, or hands it a signal, from any thread. Once the pool is gone each call
/// does nothing and succeeds.
#[derive(Clone)]
pub struct Remote {
    address: Arc<Mutex<Address>>,
}

impl Remote {
    pub(crate) fn new(pool: *mut sys::pf_pool) -> Remote {
        Remote {
            address: Arc::new(Mutex::new(Address(pool))),
        }
    }

    /// Before the pool is freed.
    pub(crate) fn forget(&self) {
        self.lock().0 = ptr::null_mut();
    }

    fn lock(&self) -> MutexGuard<'_, Address> {
        self.address
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Any thread may ask for what `Control` is used for here.
    fn ask(&self, ask: impl FnOnce(&Control) -> Result<(), Error>) -> Result<(), Error> {
        let address = self.lock(); // while it is, the pool is not freed
        if address.0.is_null() {
            return Ok(());
        }
        ask(&Control::new(address.0))
    }

    /// Stops all workers gracefully.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn stop(&self) -> Result<(), Error> {
        self.ask(Control::stop)
    }

    /// Kills all workers.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn kill(&self) -> Result<(), Error> {
        self.ask(Control::kill)
    }

    /// Replaces all workers, one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn reload(&self) -> Result<(), Error> {
        self.ask(Control::reload)
    }

    /// Makes the descriptor of the pool readable, so that an event loop calls
    /// [`dispatch`](crate::RunningPool::dispatch).
    ///
    /// # Errors
    ///
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn wake(&self) -> Result<(), Error> {
        // SAFETY: the pool is valid; any thread may call it.
        self.ask(|pool| check(unsafe { sys::pf_pool_wake(pool.raw()) }).map(drop))
    }

    /// As [`Control::handle_signal`].
    ///
    /// # Errors
    ///
    /// [`Error::At`] with `EINVAL` before the start and for a signal that is not of the set.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn handle_signal(&self, signal: i32) -> Result<(), Error> {
        self.ask(|pool| pool.handle_signal(signal))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}
