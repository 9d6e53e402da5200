// SPDX-License-Identifier: MIT
use std::os::raw::{c_int, c_void};
use std::panic::catch_unwind;

use libprefork_sys as sys;

use crate::callbacks::{flush_last, flush_stdout};
use crate::error::{check, check_library};
use crate::threads::has_threads;
use crate::{Error, Event, Task};

/// As a number of restarts: any number.
pub const UNLIMITED: u32 = sys::PF_UNLIMITED as u32;

/// Forks workers and supervises them until they have all finished.
///
/// In each worker the call returns its [`Task`]. The caller itself becomes the supervisor: a worker
/// that is killed by a signal or exits with a status other than 0 is forked again with the same
/// task id. When every worker has exited with status 0 the supervisor calls `exit(0)`; TERM, INT,
/// QUIT and HUP stop the workers, and then the supervisor dies of that signal.
///
/// `workers` is the number of workers, `None` one for each processor; `max_restarts` bounds the
/// restarts of all workers together, `None` is 100.
///
/// # Errors
///
/// In the supervisor: [`Error::GaveUp`] after too many restarts, [`Error::Threads`] if other
/// threads are running, or the error that made the start fail. No worker is left behind.
///
/// # Safety
///
/// The call returns more than once, in several processes: each runs what follows the call,
/// destructors of values that were made before it included. The caller sees to it that this is
/// right for all that is alive at that moment: a guard that removes a file would do so in every
/// process. [`Pool::run`](crate::Pool::run) does not have this difficulty.
///
/// ```no_run
/// # fn serve(task: libprefork::Task) {}
/// // SAFETY: nothing has been made yet that would have to be dropped once.
/// let task = unsafe { libprefork::fork_processes(None, None)? };
/// serve(task);
/// # Ok::<(), libprefork::Error>(())
/// ```
pub unsafe fn fork_processes(
    workers: impl Into<Option<u32>>,
    max_restarts: impl Into<Option<u32>>,
) -> Result<Task, Error> {
    check_library()?;
    let workers = crate::int(workers.into().unwrap_or(0))?;
    let max_restarts = match max_restarts.into() {
        Some(max) => crate::int(max)?,
        None => -1,
    };
    if !has_threads() {
        flush_stdout(); // or each process would write it
    }
    // SAFETY: the caller answers for what a fork does to the values of the program.
    let task_id = check(unsafe { sys::pf_fork_processes(workers, max_restarts) })?;
    Task::from_id(task_id).ok_or_else(Error::invalid)
}

/// Ends this process as the signal would, above all the one that
/// [`Control::stop_signal`](crate::Control::stop_signal) tells.
///
/// The signal has its default action, also where the program has a handler. As process 1, which
/// does not die of it, the process ends with status 128 + `signal`. Nothing is dropped. Returns only
/// if it failed: with `EINVAL` if the signal does not end processes by default.
///
/// ```no_run
/// let mut pool = libprefork::Pool::builder().build()?;
/// pool.run(|_task| { /* serve */ })?;
/// if let Some(signal) = pool.stop_signal() {
///     drop(pool);
///     return Err(libprefork::die_of_signal(signal));
/// }
/// # Ok::<(), libprefork::Error>(())
/// ```
pub fn die_of_signal(signal: i32) -> Error {
    flush_last();
    // SAFETY: no memory is touched.
    Error::from_code(unsafe { sys::pf_die_of_signal(signal) })
}

/// Chooses who is told of the events of later calls of [`fork_processes`]. `None` restores the
/// default, which writes warnings and errors to standard error. For pools see
/// [`Builder::on_event`](crate::Builder::on_event).
///
/// # Safety
///
/// No other thread may use the library at the same time. The function must not panic: that would
/// abort the process.
pub unsafe fn set_event_callback(callback: Option<fn(&Event)>) {
    unsafe extern "C" fn deliver(event: *const sys::pf_event, user: *mut c_void) {
        // SAFETY: `user` is the function that was given below, the event is valid in a callback.
        let (callback, event) = unsafe {
            (
                std::mem::transmute::<*mut c_void, fn(&Event)>(user),
                Event::read(event),
            )
        };
        if catch_unwind(|| callback(&event)).is_err() {
            std::process::abort(); // C cannot be unwound
        }
    }
    let (deliver, user): (Option<sys::pf_event_fn>, _) = match callback {
        Some(callback) => (Some(deliver), callback as *mut c_void),
        None => (None, std::ptr::null_mut()),
    };
    // SAFETY: the caller sees to it that no other thread interferes.
    unsafe { sys::pf_set_event_callback(deliver, user) }
}

/// The number of processors that this process may use: by its affinity and the quotas of its
/// control groups.
///
/// ```
/// assert!(libprefork::cpu_count() >= 1);
/// ```
pub fn cpu_count() -> u32 {
    // SAFETY: may be called at any time.
    let count: c_int = unsafe { sys::pf_cpu_count() };
    u32::try_from(count).unwrap_or(1)
}

/// The version of the library that is loaded, not of this crate.
///
/// ```
/// assert!(libprefork::version().starts_with("0.2."));
/// ```
pub fn version() -> &'static str {
    // SAFETY: a static string.
    unsafe { std::ffi::CStr::from_ptr(sys::pf_version()) }
        .to_str()
        .unwrap_or("")
}
