// SPDX-License-Identifier: MIT
use std::fmt;
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
    /// Workers started with `Reason::Restart`.
    Restarted,
    /// Starts that failed, also those that no event reports.
    StartFailed,
    /// Workers that were killed because they did not respond.
    Unresponsive,
    /// Reloads that have begun.
    Reloads,
    /// Workers that are ready now.
    Ready,
    /// Processes now, as `pf_pool_alive_count()`.
    Alive,
    /// Events `ReloadFailed`.
    ReplaceFailed,
    /// Spares now, which `Alive` does not include.
    Spares,
}

/// Controls a pool that runs, and tells what it looks like now. Task ids that the pool does not
/// have, and a pool that has not started, are an error.
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

    /// Stops all workers gracefully.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn stop(&self) -> Result<(), Error> {
        // SAFETY: the pool is valid, here and below, and this is the thread that uses it.
        check(unsafe { sys::pf_pool_stop(self.pool) }).map(drop)
    }

    /// Kills all workers.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn kill(&self) -> Result<(), Error> {
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_kill(self.pool) }).map(drop)
    }

    /// Replaces all workers, one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
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
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn handle_signal(&self, signal: i32) -> Result<(), Error> {
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_handle_signal(self.pool, signal) }).map(drop)
    }

    /// Changes the number of slots.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn resize(&self, count: u32) -> Result<(), Error> {
        let count = crate::int(count)?;
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_resize(self.pool, count) }).map(drop)
    }

    /// Replaces one worker, which does not count as a restart.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn replace_worker(&self, task_id: u32) -> Result<(), Error> {
        let task_id = crate::int(task_id)?;
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_replace_worker(self.pool, task_id) }).map(drop)
    }

    /// Stops one worker, which is not restarted. [`replace_worker`](Control::replace_worker) starts
    /// one again.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn stop_worker(&self, task_id: u32) -> Result<(), Error> {
        let task_id = crate::int(task_id)?;
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_stop_worker(self.pool, task_id) }).map(drop)
    }

    /// Changes the number of [`spares`](crate::Builder::spares).
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn set_spares(&self, count: u32) -> Result<(), Error> {
        let count = crate::int(count)?;
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_set_spares(self.pool, count) }).map(drop)
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
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn send_signal(&self, task_id: impl Into<Option<u32>>, signal: i32) -> Result<(), Error> {
        let task_id = task_id.into().map_or(Ok(-1), crate::int)?;
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_send_signal(self.pool, task_id, signal) }).map(drop)
    }

    /// The number of slots.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn worker_count(&self) -> Result<u32, Error> {
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_worker_count(self.pool) }).map(|count| count as u32)
    }

    /// The number of processes.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn alive_count(&self) -> Result<u32, Error> {
        // SAFETY: as above.
        check(unsafe { sys::pf_pool_alive_count(self.pool) }).map(|count| count as u32)
    }

    /// The process of a slot, if it has one now.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn worker_pid(&self, task_id: u32) -> Result<Option<u32>, Error> {
        let task_id = crate::int(task_id)?;
        // SAFETY: as above.
        let pid = check(unsafe { sys::pf_pool_worker_pid(self.pool, task_id) })?;
        Ok(Some(pid as u32).filter(|&pid| pid != 0))
    }

    /// What a slot holds.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn worker_state(&self, task_id: u32) -> Result<WorkerState, Error> {
        let task_id = crate::int(task_id)?;
        // SAFETY: as above.
        let state = check(unsafe { sys::pf_pool_worker_state(self.pool, task_id) })?;
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
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn worker_restarts(&self, task_id: u32) -> Result<u32, Error> {
        let task_id = crate::int(task_id)?;
        // SAFETY: as above.
        let count = unsafe { sys::pf_pool_worker_restarts(self.pool, task_id) };
        check(count).map(|count| count as u32)
    }

    /// How long the worker of a slot has lived.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn worker_uptime(&self, task_id: u32) -> Result<Duration, Error> {
        self.worker_state(task_id)?;
        let task_id = crate::int(task_id)?;
        // SAFETY: as above.
        let uptime = unsafe { sys::pf_pool_worker_uptime_ms(self.pool, task_id) };
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

/// Stops or reloads a pool, or hands it a signal, from any thread. Once the pool is gone nothing is left to be done.
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
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn stop(&self) -> Result<(), Error> {
        self.ask(Control::stop)
    }

    /// Kills all workers.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn kill(&self) -> Result<(), Error> {
        self.ask(Control::kill)
    }

    /// Replaces all workers, one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
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
    /// [`Error::Os`] with `EINVAL` before the start, for a task id that the pool does not have, and for a
    /// value that is out of range; with `ECANCELED` if the pool has ended and the call changes it.
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
