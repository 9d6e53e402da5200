// SPDX-License-Identifier: MIT
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use libprefork_sys as sys;

use crate::callbacks::flush_stdout;
use crate::error::{check, check_library};
use crate::threads::has_threads;
use crate::Error;

/// Goes on as a daemon: in a new session without a terminal. To be called before sockets are bound
/// and pools made; in a worker it does nothing.
///
/// The process that calls waits until the pools of the daemon have all workers ready, or the daemon
/// calls [`daemon_ready`], and then exits with status 0, or with 1 if the daemon has ended before.
/// It drops nothing. The daemon returns. Until it is ready it can say on standard error why it
/// fails; then standard input, output and error lead to `/dev/null`.
///
/// The file, if any, gets the process id of the daemon. It is locked, and removed at the daemon's
/// end.
///
/// # Errors
///
/// In the process that calls, which then lives on without a daemon: [`Error::Threads`] if other
/// threads are running; `EEXIST` if a living daemon holds the file; and others of `fork` and of the
/// file.
///
/// ```no_run
/// use libprefork::{daemonize, net::Bind, Pool};
/// use std::path::Path;
///
/// daemonize(Some(Path::new("/run/server.pid")))?;
/// let listeners = Bind::to("", 80).listen()?;
/// Pool::builder().build()?.run(|_task| { /* serve */ })?;
/// # Ok::<(), libprefork::Error>(())
/// ```
pub fn daemonize(pid_file: Option<&Path>) -> Result<(), Error> {
    check_library()?;
    let what =
        || pid_file.map_or_else(|| "daemonize".into(), |path| format!("daemonize({path:?})"));
    let path = match pid_file {
        Some(path) => {
            Some(CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::invalid().at(what))?)
        }
        None => None,
    };
    if !has_threads() {
        flush_stdout(); // or it would be written twice
    }
    let path = path.as_ref().map_or(ptr::null(), |path| path.as_ptr());
    // SAFETY: the path is a string of C or null.
    check(unsafe { sys::pf_daemonize(path) })
        .map(drop)
        .map_err(|error| error.at(what))
}

/// Tells the process that launched this daemon that it is ready, without waiting for workers. In
/// other processes it has no effect.
///
/// # Errors
///
/// [`Error::Os`] if the launching process cannot be told.
pub fn daemon_ready() -> Result<(), Error> {
    // SAFETY: may be called in any process.
    check(unsafe { sys::pf_daemon_ready() }).map(drop)
}
