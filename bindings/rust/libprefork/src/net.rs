//! Sockets that workers share: bound before the workers are started.
//!
//! ```
//! use libprefork::net::{accept, Bind};
//!
//! let listeners = Bind::to("localhost", 0).listen()?; // one for each address, all one port
//! assert!(accept(&listeners[0])?.is_none()); // nobody has come yet
//! # Ok::<(), libprefork::Error>(())
//! ```
//!
//! In a program that was started as an exec worker the same calls give the sockets that the
//! supervisor bound, so that one `main` fits both.
//
// SPDX-License-Identifier: MIT
use std::ffi::CString;
use std::net::TcpListener;
use std::os::raw::c_int;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use libprefork_sys as sys;

use crate::error::{check, EAGAIN};
use crate::Error;

/// More than one call could give.
const SOCKETS_MAX: usize = 64;
/// As many as systemd would pass.
const PASSED_MAX: usize = 1024;

/// Which kinds of addresses are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Both; one that the kernel lacks is passed over.
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A listening TCP socket for every address that a host name has.
#[derive(Clone, Debug)]
#[must_use]
pub struct Bind {
    host: String,
    port: u16,
    family: Family,
    backlog: u32,
    flags: u32,
}

/// The functions that bind are for one thread at a time.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static BINDING: Mutex<()> = Mutex::new(());
    BINDING
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Bind {
    /// The host is a name or a numeric address, "" any address. With port 0 the kernel chooses one
    /// for all addresses.
    pub fn to(host: &str, port: u16) -> Bind {
        Bind {
            host: host.to_owned(),
            port,
            family: Family::Any,
            backlog: 0,
            flags: 0,
        }
    }

    /// Binds addresses of this kind only.
    pub fn family(mut self, family: Family) -> Bind {
        self.family = family;
        self
    }

    /// How many connections may wait; 128 by default.
    pub fn backlog(mut self, backlog: u32) -> Bind {
        self.backlog = backlog;
        self
    }

    /// Lets others that do the same bind the same address.
    pub fn reuse_port(mut self) -> Bind {
        self.flags |= sys::PF_BIND_REUSEPORT as u32;
        self
    }

    /// Binds all of the sockets or none. They are non-blocking; those of IPv4 come first.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with the address, and what the operating system reports: `EADDRINUSE`, `EACCES` and
    /// others. [`Error::Resolve`] with the host if the name of the host was not found.
    pub fn listen(&self) -> Result<Vec<TcpListener>, Error> {
        const AF_UNSPEC: c_int = 0;
        const AF_INET: c_int = 2;
        const AF_INET6: c_int = 10;
        let family = match self.family {
            Family::Any => AF_UNSPEC,
            Family::V4 => AF_INET,
            Family::V6 => AF_INET6,
        };
        let what = || format!("listen({:?}, {})", self.host, self.port);
        let host = CString::new(self.host.as_str()).map_err(|_| Error::invalid().at(what))?;
        let backlog = crate::int(self.backlog).map_err(|error| error.at(what))?;
        let mut fds = [-1; SOCKETS_MAX];
        let _guard = one_at_a_time();
        // SAFETY: the name is a string of C, and there is room for so many descriptors.
        let count = check(unsafe {
            sys::pf_bind_sockets(
                host.as_ptr(),
                self.port.into(),
                family,
                backlog,
                self.flags,
                fds.as_mut_ptr(),
                SOCKETS_MAX as c_int,
            )
        })
        .map_err(|error| match error {
            Error::Resolve { .. } => Error::Resolve {
                host: self.host.clone(),
            },
            other => other.at(what),
        })?;
        // SAFETY: they are open and belong to the caller.
        let own = |&fd: &c_int| unsafe { TcpListener::from_raw_fd(fd) };
        Ok(fds[..count as usize].iter().map(own).collect())
    }
}

/// A non-blocking listening socket at a path, with this mode whatever the umask is. A socket there
/// that nobody listens on is replaced.
///
/// # Errors
///
/// [`Error::At`] with the path, and what the operating system reports: `EADDRINUSE` if somebody listens
/// there, `EEXIST` if it is no socket, `EACCES` and others.
pub fn bind_unix(path: impl AsRef<Path>, mode: u32, backlog: u32) -> Result<UnixListener, Error> {
    let name = path.as_ref();
    let what = || format!("bind_unix({name:?})");
    let path = CString::new(name.as_os_str().as_bytes()).map_err(|_| Error::invalid().at(what))?;
    let backlog = crate::int(backlog).map_err(|error| error.at(what))?;
    let _guard = one_at_a_time();
    // SAFETY: the path is a string of C.
    let fd = check(unsafe { sys::pf_bind_unix_socket(path.as_ptr(), mode, backlog) })
        .map_err(|error| error.at(what))?;
    // SAFETY: it is open and belongs to the caller.
    Ok(unsafe { UnixListener::from_raw_fd(fd) })
}

/// Accepts a connection, which is non-blocking, from a non-blocking socket; `None` if none waits:
/// in a pool a sibling took it. Errors of the connection itself are passed over.
///
/// # Errors
///
/// [`Error::Os`]: `EINVAL` if the socket does not listen, `EMFILE` and others.
pub fn accept(listener: &impl AsFd) -> Result<Option<OwnedFd>, Error> {
    // SAFETY: takes any number.
    match check(unsafe { sys::pf_accept(listener.as_fd().as_raw_fd()) }) {
        // SAFETY: it is open and belongs to the caller.
        Ok(fd) => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) })),
        Err(Error::Os(EAGAIN)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The descriptors that systemd has opened for this process, in their order. They stay open;
/// `try_clone_to_owned` gives one of one's own.
///
/// # Errors
///
/// [`Error::Os`] with `EINVAL` if there are more than 1,024.
pub fn listen_fds() -> Result<Vec<BorrowedFd<'static>>, Error> {
    let mut fds = [-1; PASSED_MAX];
    // SAFETY: there is room for so many descriptors.
    let count = check(unsafe { sys::pf_listen_fds(fds.as_mut_ptr(), PASSED_MAX as c_int) })?;
    // SAFETY: they were open when the process began, and nobody owns them, so nobody closes them.
    let borrow = |&fd: &c_int| unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(fds[..count as usize].iter().map(borrow).collect())
}
