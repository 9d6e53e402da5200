// SPDX-License-Identifier: MIT
use std::fmt;
use std::ops::Deref;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::time::Duration;

use libprefork_sys as sys;

use crate::error::check;
use crate::owned::Owned;
use crate::{Control, Error, Event, Remote};

/// A pool that an event loop drives: wait until its descriptor is readable, call
/// [`dispatch`](RunningPool::dispatch), and take the [`events`](RunningPool::events).
///
/// Dropping it kills the workers that are still alive.
///
/// ```
/// use libprefork::{EventKind, Pool};
///
/// let mut pool = Pool::builder().workers(1).build()?.start(|_task| ())?;
/// let mut kinds = Vec::new();
/// while pool.dispatch(None)? {
///     kinds.extend(pool.events().map(|event| event.kind)); // no loop of its own here
/// }
/// kinds.extend(pool.events().map(|event| event.kind));
/// assert_eq!(kinds.first(), Some(&EventKind::Starting));
/// assert_eq!(kinds.last(), Some(&EventKind::Done { error: None }));
/// # Ok::<(), libprefork::Error>(())
/// ```
pub struct RunningPool {
    owned: Owned,
    fd: RawFd,
}

impl RunningPool {
    pub(crate) fn new(owned: Owned, fd: RawFd) -> RunningPool {
        RunningPool { owned, fd }
    }

    /// Does what is to be done, after waiting for it for at most this time; `None`: without end.
    /// Does not wait while events are to be taken.
    ///
    /// `Ok(false)` when the pool is done. Returns also after a signal handler of this process has
    /// run.
    ///
    /// # Errors
    ///
    /// [`Error::Threads`] while other threads are running, if workers are forked: nothing was done,
    /// and the pool and its workers live. Call it again once the threads have ended: until then no
    /// worker is watched, replaced or stopped. A supervisor that needs threads uses [exec
    /// workers](crate::Builder::exec_self).
    ///
    /// [`Error::WrongProcess`] in a process that did not make the pool, which lives in the other.
    ///
    /// Any other error is the one that the pool failed with: no worker is left.
    pub fn dispatch(&mut self, timeout: Option<Duration>) -> Result<bool, Error> {
        self.owned.prepare(true)?;
        // SAFETY: the pool is valid.
        let result =
            unsafe { sys::pf_pool_dispatch(self.owned.raw(), crate::milliseconds(timeout)) };
        self.owned.check(result).map(|lives| lives != 0)
    }

    /// Whether there is work for [`dispatch`](RunningPool::dispatch) or events wait, that is, the
    /// descriptor is readable. Event loops that tell of changes only (`EPOLLET`, and so tokio) must
    /// go on until there is none.
    pub fn has_work(&self) -> bool {
        crate::task::is_readable(self.fd)
    }

    /// Takes the oldest event, if one waits.
    ///
    /// # Errors
    ///
    /// [`Error::WrongProcess`] in a process that did not make the pool.
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        let mut event = ptr::null();
        // SAFETY: the pool is valid, the event is until the next call.
        unsafe {
            Ok(
                match check(sys::pf_pool_next_event(self.owned.raw(), &mut event))? {
                    0 => None,
                    _ => Some(Event::read(event)),
                },
            )
        }
    }

    /// Takes all events that wait.
    pub fn events(&mut self) -> Events<'_> {
        Events { pool: self }
    }

    /// Stops or reloads the pool from other threads.
    pub fn remote(&self) -> Remote {
        self.owned.remote.clone()
    }
}

impl Deref for RunningPool {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.owned.control
    }
}

/// Becomes readable whenever there is work for [`RunningPool::dispatch`] or events wait.
impl AsRawFd for RunningPool {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

impl AsFd for RunningPool {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor lives as long as the pool.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

impl fmt::Debug for RunningPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningPool")
            .field("control", &self.owned.control)
            .finish_non_exhaustive()
    }
}

/// The events of a pool that wait, oldest first. See [`RunningPool::events`].
#[derive(Debug)]
pub struct Events<'a> {
    pool: &'a mut RunningPool,
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.pool.next_event().ok().flatten()
    }
}
