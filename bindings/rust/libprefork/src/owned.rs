// A pool of C with all that must live as long as it.
//
// SPDX-License-Identifier: MIT
use std::os::raw::c_int;
use std::os::unix::io::OwnedFd;
use std::process;
use std::ptr;

use libprefork_sys as sys;

use crate::callbacks::{self, deliver, enter, Enter, OnEvent, Shared};
use crate::error::{check, EACCES, ENOENT, ENOEXEC, ENOTDIR};
use crate::threads::has_threads;
use crate::{Control, Error, Remote, Task};

/// A pool of C, and what its callbacks need.
pub(crate) struct Owned {
    pub(crate) control: Control,
    shared: ptr::NonNull<Shared>,
    pub(crate) remote: Remote,
    process: u32,
    /// The setting that workers by exec come from.
    exec: Option<String>,
    allows_threads: bool,
    fds: Vec<OwnedFd>,
    /// The closure of workers that are forked by a pool with an event loop.
    pub(crate) worker: Option<*mut Enter>,
}

// SAFETY: a pool belongs to one thread at a time, any. All closures in it are Send: start() and
// on_event() ask for that, and that of run() is there only while it runs.
unsafe impl Send for Owned {}

impl Owned {
    pub(crate) fn new() -> Result<Owned, Error> {
        let mut pool = ptr::null_mut();
        // SAFETY: a valid place for the result.
        check(unsafe { sys::pf_pool_new(&mut pool) })?;
        let shared = Box::new(Shared {
            pool,
            on_event: None,
            enter: None,
            panic: None,
            refuses_threads: false,
            found_threads: false,
        });
        Ok(Owned {
            control: Control::new(pool),
            shared: ptr::NonNull::from(Box::leak(shared)),
            remote: Remote::new(pool),
            process: process::id(),
            exec: None,
            allows_threads: false,
            fds: Vec::new(),
            worker: None,
        })
    }

    pub(crate) fn raw(&mut self) -> *mut sys::pf_pool {
        self.control.raw()
    }

    /// Only between calls of C, which uses it too.
    pub(crate) fn shared(&mut self) -> &mut Shared {
        // SAFETY: it lives as long as self, and nobody else borrows it now.
        unsafe { self.shared.as_mut() }
    }

    pub(crate) fn allow_threads(&mut self) {
        self.allows_threads = true;
    }

    /// The setting is named in errors.
    pub(crate) fn set_exec(&mut self, setting: String) {
        self.exec = Some(setting);
    }

    /// What C returned while the pool ran, with the program that could not be executed.
    pub(crate) fn check(&self, result: c_int) -> Result<c_int, Error> {
        check(result).map_err(|error| match (&self.exec, &error) {
            (Some(setting), Error::Os(ENOENT | EACCES | ENOEXEC | ENOTDIR)) => {
                error.at(|| setting.clone())
            }
            _ => error,
        })
    }

    pub(crate) fn keep(&mut self, fd: OwnedFd) {
        self.fds.push(fd);
    }

    pub(crate) fn set_on_event(&mut self, on_event: OnEvent) {
        self.shared().on_event = Some(on_event);
    }

    /// Before the start.
    pub(crate) fn set_callbacks(&mut self, enters: bool, delivers: bool) -> Result<(), Error> {
        let (pool, user) = (self.raw(), self.shared.as_ptr().cast());
        // SAFETY: the pool is valid, and what the callbacks use lives as long as it.
        unsafe {
            if enters {
                check(sys::pf_pool_set_worker_fn(pool, Some(enter), user, None))?;
            }
            if delivers {
                check(sys::pf_pool_set_event_callback(
                    pool,
                    Some(deliver),
                    user,
                    None,
                ))?;
            }
        }
        Ok(())
    }

    /// Before each call that may fork. C looks for threads at the start only, and not in a program
    /// that was started as a worker, where nothing is forked.
    pub(crate) fn prepare(&mut self, started: bool) -> Result<(), Error> {
        let refuses = self.exec.is_none() && !self.allows_threads;
        self.shared().refuses_threads = refuses;
        if refuses && !has_threads() {
            callbacks::flush_stdout();
        } else if refuses && (started || Task::current().is_none()) {
            return Err(Error::Threads);
        }
        Ok(())
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // In a child the lock may be held by a thread that is not there.
        if process::id() == self.process {
            self.remote.forget();
        }
        // SAFETY: nobody has the pool any more, and C no longer calls once it is freed.
        unsafe {
            sys::pf_pool_free(self.control.raw());
            drop(Box::from_raw(self.shared.as_ptr()));
            if let Some(worker) = self.worker {
                drop(Box::from_raw(worker));
            }
        }
    }
}
