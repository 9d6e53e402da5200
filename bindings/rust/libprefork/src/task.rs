// SPDX-License-Identifier: MIT
use std::ffi::{CStr, CString};
use std::os::raw::{c_int, c_short, c_ulong};
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Mutex;
use std::time::Duration;

use libprefork_sys as sys;

use crate::error::{check, EINTR};
use crate::Error;

/// In a worker: which one it is, and what it and its supervisor tell each other.
///
/// ```
/// assert_eq!(libprefork::Task::current(), None); // this process is no worker
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    id: u32,
}

/// Why [`Task::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wake {
    /// The worker should end: it was asked to, or its supervisor is gone.
    Stop,
    /// There is something to read or accept.
    Readable,
    /// Neither, for as long as was asked for.
    TimedOut,
}

impl Task {
    /// This process as a worker; `None` if it is none. The task id stays with the children of a
    /// worker, too.
    pub fn current() -> Option<Task> {
        // SAFETY: may be called at any time.
        Task::from_id(unsafe { sys::pf_task_id() })
    }

    pub(crate) fn from_id(id: c_int) -> Option<Task> {
        u32::try_from(id).ok().map(|id| Task { id })
    }

    /// The task id, from 0 on. A worker that takes the place of another has the same.
    pub fn id(self) -> u32 {
        self.id
    }

    /// The name of the pool that the worker belongs to.
    pub fn pool(self) -> String {
        // SAFETY: may be called at any time; the text stays valid.
        unsafe {
            let name = sys::pf_worker_pool_name();
            if name.is_null() {
                return String::new();
            }
            CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }

    /// Tells the supervisor that this worker serves now.
    ///
    /// # Errors
    ///
    /// [`Error::WrongProcess`] in a process that is not a worker. [`Error::Os`] with `ESRCH` if the
    /// supervisor has ended; with `EAGAIN` in a spare that has no slot yet, and if the supervisor has
    /// read nothing for a second: call it again; with `EBADF` if the descriptors of the library were
    /// closed.
    pub fn ready(self) -> Result<(), Error> {
        // SAFETY: may be called by any thread of any process.
        check(unsafe { sys::pf_worker_ready() }).map(drop)
    }

    /// Gives a sign of life, see [`Builder::heartbeat_timeout`](crate::Builder::heartbeat_timeout).
    ///
    /// # Errors
    ///
    /// As [`ready`](Task::ready).
    pub fn heartbeat(self) -> Result<(), Error> {
        // SAFETY: may be called by any thread of any process.
        check(unsafe { sys::pf_worker_heartbeat() }).map(drop)
    }

    /// Asks the supervisor to replace this worker, for example after so many requests. The worker
    /// goes on until it is asked to stop.
    ///
    /// # Errors
    ///
    /// As [`ready`](Task::ready).
    pub fn retire(self) -> Result<(), Error> {
        // SAFETY: may be called by any thread of any process.
        check(unsafe { sys::pf_worker_retire() }).map(drop)
    }

    /// A descriptor that becomes readable, and stays so, when this worker should end: it has been
    /// asked to, or the supervisor is gone. For event loops; nothing is to be read from it.
    ///
    /// A worker that uses it should not be sent a signal as well:
    /// [`Builder::stop_by_descriptor`](crate::Builder::stop_by_descriptor).
    ///
    /// # Errors
    ///
    /// [`Error::WrongProcess`] in a process that is not a worker. [`Error::Os`] with `EMFILE`, `ENFILE`
    /// or `ENOMEM`: call it again; with `EBADF` if the descriptors of the library were closed.
    pub fn stop_fd(self) -> Result<BorrowedFd<'static>, Error> {
        static FIRST_CALL: Mutex<()> = Mutex::new(());
        let _guard = FIRST_CALL
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        // SAFETY: the lock keeps two first calls apart.
        let fd = check(unsafe { sys::pf_worker_stop_fd() })?;
        // SAFETY: the library keeps it open as long as the process lives.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// A descriptor that the pool was given by [`Builder::fd`](crate::Builder::fd).
    ///
    /// It stays open as long as the process lives; `try_clone_to_owned` gives one of one's own.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with the name, and `ENOENT` if the pool has no such descriptor.
    /// [`Error::WrongProcess`] in a process that is not a worker.
    pub fn fd(self, name: &str) -> Result<BorrowedFd<'static>, Error> {
        let what = || format!("fd({name:?})");
        let text = CString::new(name).map_err(|_| Error::invalid().at(what))?;
        // SAFETY: the name is a string of C.
        let fd = check(unsafe { sys::pf_worker_fd(text.as_ptr()) }).map_err(|e| e.at(what))?;
        // SAFETY: the library keeps it open as long as the process lives.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// Waits until there is something to read or accept, or the worker should end, or the time is
    /// over (`None`: without end). A stop is told first.
    ///
    /// For workers without an event loop. What is waited for should be non-blocking: with a shared
    /// listening socket a sibling may be faster.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] after a signal handler of this process has run: call it again. Others as
    /// of [`stop_fd`](Task::stop_fd).
    pub fn wait(self, readable: &impl AsFd, timeout: Option<Duration>) -> Result<Wake, Error> {
        let mut fds = [
            Poll::readable(self.stop_fd()?.as_raw_fd()),
            Poll::readable(readable.as_fd().as_raw_fd()),
        ];
        let timeout = crate::milliseconds(timeout);
        // SAFETY: two valid entries.
        let count = unsafe { poll(fds.as_mut_ptr(), 2, timeout) };
        if count < 0 {
            let errno = std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(EINTR);
            return Err(Error::from_code(-errno));
        }
        Ok(match (fds[0].revents, fds[1].revents) {
            (0, 0) => Wake::TimedOut,
            (0, _) => Wake::Readable,
            _ => Wake::Stop,
        })
    }
}

pub(crate) fn is_readable(fd: RawFd) -> bool {
    // SAFETY: one valid entry.
    unsafe { poll(&mut Poll::readable(fd), 1, 0) > 0 }
}

/// `struct pollfd`, which is alike on all architectures of Linux.
#[repr(C)]
struct Poll {
    fd: RawFd,
    events: c_short,
    revents: c_short,
}

impl Poll {
    fn readable(fd: RawFd) -> Poll {
        const POLLIN: c_short = 1;
        Poll {
            fd,
            events: POLLIN,
            revents: 0,
        }
    }
}

extern "C" {
    fn poll(fds: *mut Poll, count: c_ulong, timeout_ms: c_int) -> c_int;
}
