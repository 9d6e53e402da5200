// What C calls: nothing may unwind through these functions.
//
// SPDX-License-Identifier: MIT
use std::any::Any;
use std::io::Write;
use std::mem::{size_of, transmute};
use std::os::raw::{c_int, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::{ExitCode, Termination};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use libprefork_sys as sys;

use crate::threads::{has_threads, is_alone};
use crate::{Control, Event, Task};

/// What a worker that panics exits with, as every Rust program does.
const PANICKED: c_int = 101;

pub(crate) type OnEvent = Box<dyn FnMut(&Event, &Control) + Send>;
pub(crate) type Enter = dyn FnMut(Task) -> c_int;

/// What the callbacks of one pool share. C has its address, so it stays where it is, and is used
/// through that address only.
pub(crate) struct Shared {
    pub(crate) pool: *mut sys::pf_pool,
    pub(crate) on_event: Option<OnEvent>,
    /// Set while workers may be forked.
    pub(crate) enter: Option<*mut Enter>,
    /// What the event callback panicked with; it goes on in the host.
    pub(crate) panic: Option<Box<dyn Any + Send>>,
    /// Workers are forked, and must not be once there are other threads.
    pub(crate) refuses_threads: bool,
    pub(crate) found_threads: bool,
}

/// Called with each event, in the supervisor.
pub(crate) unsafe extern "C" fn deliver(event: *const sys::pf_event, user: *mut c_void) {
    let shared = user.cast::<Shared>();
    // SAFETY: `user` lives as long as the pool, which calls from the thread that runs it. The
    // closure is taken out, so that nothing of it is borrowed twice whatever it calls.
    unsafe {
        let mut on_event = match (*shared).on_event.take() {
            Some(on_event) if (*shared).panic.is_none() => on_event,
            _ => return,
        };
        let control = Control::new((*shared).pool);
        let result = catch_unwind(AssertUnwindSafe(|| on_event(&Event::read(event), &control)));
        (*shared).on_event = Some(on_event);
        if let Err(panic) = result {
            (*shared).panic = Some(panic);
            sys::pf_pool_stop((*shared).pool);
        }
        if (*shared).refuses_threads {
            if has_threads() {
                (*shared).found_threads = true;
                sys::pf_pool_kill((*shared).pool);
            } else {
                flush_stdout();
            }
        }
    }
}

/// What each worker runs; the library ends it with the result.
pub(crate) unsafe extern "C" fn enter(task_id: c_int, user: *mut c_void) -> c_int {
    // SAFETY: `enter` points to a closure that lives as long as the call that starts workers.
    let (enter, found_threads) = unsafe {
        let shared = user.cast::<Shared>();
        ((*shared).enter, (*shared).found_threads)
    };
    if found_threads {
        return PANICKED; // forked beside threads while the pool is about to be killed for them
    }
    let result = catch_unwind(AssertUnwindSafe(|| match (enter, Task::from_id(task_id)) {
        // SAFETY: this process has no other user of it.
        (Some(enter), Some(task)) => unsafe { (*enter)(task) },
        _ => PANICKED,
    }));
    let status = result.unwrap_or_else(|panic| {
        std::mem::forget(panic); // its drop may panic again
        PANICKED
    });
    let _ = catch_unwind(flush_last);
    status
}

/// What is in the buffer now would be written by every process that is forked later. For a process
/// without other threads.
pub(crate) fn flush_stdout() {
    let _ = std::io::stdout().flush();
}

/// Before the process ends. Another thread may keep the lock of standard output: then what it has
/// printed is lost, as when a main function returns.
pub(crate) fn flush_last() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    if is_alone() {
        return flush_stdout();
    }
    let (flushed, is_flushed) = channel();
    let flush = move || {
        flush_stdout();
        let _ = flushed.send(());
    };
    if thread::Builder::new().spawn(flush).is_ok() {
        let _ = is_flushed.recv_timeout(TIMEOUT);
    }
}

/// The status that the program would exit with if its `main` returned this.
pub(crate) fn exit_status<T: Termination>(result: T) -> c_int {
    let code = result.report();
    // It has no number that can be read, and is compared with one of each number.
    let is_it = |status: &u8| bytes_of(ExitCode::from(*status)) == bytes_of(code);
    (0..=u8::MAX).find(is_it).map_or(1, c_int::from)
}

fn bytes_of(code: ExitCode) -> [u8; size_of::<ExitCode>()] {
    // SAFETY: on Linux it is a number, all bytes of which are initialised; any bytes are an array.
    unsafe { transmute(code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_has_its_number() {
        assert!((0..=u8::MAX).all(|status| exit_status(ExitCode::from(status)) == status.into()));
        assert_eq!(exit_status(()), 0);
        assert_eq!(exit_status(Ok::<(), &str>(())), 0);
        assert_eq!(exit_status(Err::<(), &str>("as a test wants it")), 1);
    }
}
