// SPDX-License-Identifier: MIT
use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::raw::c_int;

use libprefork_sys as sys;

pub(crate) const ENOENT: c_int = 2;
pub(crate) const ENOEXEC: c_int = 8;
pub(crate) const EACCES: c_int = 13;
pub(crate) const ENOTDIR: c_int = 20;
pub(crate) const EINTR: c_int = 4;
pub(crate) const ECHILD: c_int = 10;
pub(crate) const EAGAIN: c_int = 11;
pub(crate) const EINVAL: c_int = 22;

/// Why something did not work.
///
/// ```
/// use libprefork::{Error, Pool};
///
/// let error = Pool::builder().workers(1_000_000).build().unwrap_err();
/// assert_eq!(error.to_string(), "workers(1000000): Invalid argument");
/// assert_eq!(error.raw_os_error(), Some(22)); // EINVAL
/// assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::InvalidInput);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// More restarts were needed than are allowed. The other workers have been stopped.
    GaveUp,
    /// Other threads are running, so that forking is not safe; or nobody can tell whether there are
    /// any: without `/proc`, where the kernel cannot be asked in another way either.
    Threads,
    /// A worker exited with the status that says: the pool cannot work.
    Fatal,
    /// The name of a host was not found.
    Resolve {
        /// The host that was asked for.
        host: String,
    },
    /// A signal handler of this process has run during [`Task::wait`](crate::Task::wait). Call again.
    Interrupted,
    /// This process did not make the pool, or is not a worker.
    WrongProcess,
    /// The library that was loaded is not one that this crate was made for. It has this version.
    Library(String),
    /// The error of the operating system with this `errno`.
    Os(i32),
    /// The same, of a setting or an address.
    At {
        /// The call and its value, such as `workers(1000000)` or `listen("localhost", 80)`.
        what: String,
        /// The number of the error.
        errno: i32,
    },
}

impl Error {
    /// The code that the C interface has for it.
    pub fn code(&self) -> i32 {
        match *self {
            Error::At { errno, .. } => -errno,
            Error::GaveUp => sys::PF_EGAVEUP,
            Error::Threads => sys::PF_ETHREADS,
            Error::Fatal => sys::PF_EFATAL,
            Error::Resolve { .. } => sys::PF_ERESOLVE,
            Error::Interrupted => -EINTR,
            Error::WrongProcess => -ECHILD,
            Error::Library(_) => -EINVAL,
            Error::Os(errno) => -errno,
        }
    }

    pub(crate) fn from_code(code: c_int) -> Error {
        match code {
            sys::PF_EGAVEUP => Error::GaveUp,
            sys::PF_ETHREADS => Error::Threads,
            sys::PF_EFATAL => Error::Fatal,
            sys::PF_ERESOLVE => Error::Resolve {
                host: String::new(),
            },
            _ if code == -EINTR => Error::Interrupted,
            _ if code == -ECHILD => Error::WrongProcess,
            _ => Error::Os(-code),
        }
    }

    pub(crate) fn invalid() -> Error {
        Error::Os(EINVAL)
    }

    /// The `errno`, if it is an error of the operating system.
    pub fn raw_os_error(&self) -> Option<i32> {
        match *self {
            Error::Os(errno) | Error::At { errno, .. } => Some(errno),
            Error::Interrupted => Some(EINTR),
            Error::WrongProcess => Some(ECHILD),
            _ => None,
        }
    }

    /// With what it is an error of.
    pub(crate) fn at(self, what: impl FnOnce() -> String) -> Error {
        match self {
            Error::Os(errno) => Error::At {
                what: what(),
                errno,
            },
            other => other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Error::Library(found) = self {
            return write!(
                f,
                "libprefork {found} was loaded, but {}.{}.{} or a later {}.{} is needed",
                sys::PF_VERSION_MAJOR,
                sys::PF_VERSION_MINOR,
                sys::PF_VERSION_PATCH,
                sys::PF_VERSION_MAJOR,
                sys::PF_VERSION_MINOR
            );
        }
        match self {
            Error::At { what, .. } => write!(f, "{what}: ")?,
            Error::Resolve { host } => write!(f, "{host:?}: ")?,
            _ => {}
        }
        // SAFETY: takes any number, and the text is static.
        let text = unsafe { CStr::from_ptr(sys::pf_strerror(self.code())) };
        f.write_str(&text.to_string_lossy())
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Os(_) | Error::Interrupted | Error::WrongProcess => {
                io::Error::from_raw_os_error(-error.code())
            }
            Error::At { errno, .. } => {
                io::Error::new(io::Error::from_raw_os_error(errno).kind(), error)
            }
            _ => io::Error::new(io::ErrorKind::Other, error),
        }
    }
}

/// What a C function returned, if that is no error.
pub(crate) fn check(result: c_int) -> Result<c_int, Error> {
    if result < 0 {
        Err(Error::from_code(result))
    } else {
        Ok(result)
    }
}

/// Before the first use: a loader takes any library of the right soname.
pub(crate) fn check_library() -> Result<(), Error> {
    let found = crate::version();
    let mut numbers = found.split('.').map(str::parse);
    let right = match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => {
            is_right_version(major, minor, patch)
        }
        _ => false,
    };
    if right {
        Ok(())
    } else {
        Err(Error::Library(found.to_owned()))
    }
}

/// Before 1.0 another minor version may have another interface.
fn is_right_version(major: c_int, minor: c_int, patch: c_int) -> bool {
    (major, minor) == (sys::PF_VERSION_MAJOR, sys::PF_VERSION_MINOR)
        && patch >= sys::PF_VERSION_PATCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_the_way_there_and_back() {
        for error in [
            Error::GaveUp,
            Error::Threads,
            Error::Fatal,
            Error::Resolve {
                host: String::new(),
            },
            Error::Interrupted,
            Error::WrongProcess,
            Error::Os(12),
        ] {
            assert_eq!(Error::from_code(error.code()), error);
        }
    }

    #[test]
    fn another_minor_version_is_refused() {
        assert!(is_right_version(0, 2, 0) && is_right_version(0, 2, 7));
        assert!(!is_right_version(0, 1, 9) && !is_right_version(0, 3, 0));
        assert!(!is_right_version(1, 2, 0));
    }
}
