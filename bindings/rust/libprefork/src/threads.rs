// Other threads beside a fork: a lock that one of them holds stays locked in the child.
//
// SPDX-License-Identifier: MIT
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::raw::{c_char, c_int, c_void};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::error::EINVAL;

const TASKS: &str = "/proc/self/task";
/// Of the flags in `stat`: a thread that the kernel has made for io_uring, which holds no lock.
const IO_WORKER: u64 = 0x10;

extern "C" {
    fn unshare(flags: c_int) -> c_int;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// Whether this process has other threads than the one that asks, or may have: true where that can
/// not be found out.
pub(crate) fn has_threads() -> bool {
    const LOOKS: u32 = 50;
    // The kernel wakes a joiner a moment before the thread has left the process.
    (0..LOOKS).all(|look| {
        if look > 0 {
            sleep(Duration::from_micros(100));
        }
        !is_alone()
    })
}

/// The same by a single look, which may find a thread that has just ended.
pub(crate) fn is_alone() -> bool {
    listed().or_else(told_by_unshare).unwrap_or_else(never_had)
}

/// What the kernel lists; `None` if it does not: there is no `/proc`, or something else is there.
fn listed() -> Option<bool> {
    let own = fs::read_link("/proc/thread-self").ok()?;
    let own = Path::new(TASKS).join(own.file_name()?);
    let mut found_own = false;
    for task in fs::read_dir(TASKS).ok()? {
        let path = task.ok()?.path();
        if path == own {
            found_own = true;
        } else if !is_of_kernel(&path) {
            return Some(false);
        }
    }
    found_own.then_some(true)
}

fn is_of_kernel(task: &Path) -> bool {
    let stat = match fs::read(task.join("stat")) {
        Ok(stat) => String::from_utf8_lossy(&stat).into_owned(),
        // It has ended. ESRCH has no kind.
        Err(error) => return error.kind() == io::ErrorKind::NotFound || is(&error, 3),
    };
    // The name before it, in parentheses, may hold anything.
    let flags = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().nth(6));
    flags
        .and_then(|flags| flags.parse::<u64>().ok())
        .unwrap_or(0)
        & IO_WORKER
        != 0
}

/// Threads cannot be separated: the kernel refuses it where there are several, and agrees, with
/// no effect, where there is one.
fn told_by_unshare() -> Option<bool> {
    const CLONE_THREAD: c_int = 0x10000;
    // SAFETY: no memory is touched.
    if unsafe { unshare(CLONE_THREAD) } == 0 {
        return Some(true);
    }
    is(&io::Error::last_os_error(), EINVAL).then_some(false)
}

/// Whether the C library knows that there never was another thread.
fn never_had() -> bool {
    let name = CStr::from_bytes_with_nul(b"__libc_single_threaded\0").expect("a string of C");
    // SAFETY: null stands for all that is loaded. The variable is a char that stays where it is.
    unsafe {
        let flag = dlsym(std::ptr::null_mut(), name.as_ptr()).cast::<c_char>();
        !flag.is_null() && flag.read_volatile() != 0
    }
}

fn is(error: &io::Error, errno: c_int) -> bool {
    error.raw_os_error() == Some(errno)
}
