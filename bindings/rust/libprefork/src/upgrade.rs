// SPDX-License-Identifier: MIT
use std::process::Command;
use std::ptr;

use libprefork_sys as sys;

use crate::builder::Arguments;
use crate::callbacks::flush_last;
use crate::Error;

/// Executes another program in this process, which goes on with the workers of this one: the process
/// id and the workers stay, and they serve meanwhile. `None` is this program, by the name that it was
/// started with, with its arguments and its present environment. A command is used as by
/// [`Builder::exec`](crate::Builder::exec).
///
/// In the new program a pool of the same [name](crate::Builder::name) adopts the workers when it is
/// run or started, which [`EventKind::Adopted`](crate::EventKind::Adopted) tells, and
/// [`Bind::listen`](crate::net::Bind::listen), [`bind_unix`](crate::net::bind_unix) and
/// [`listen_fds`](crate::net::listen_fds) return the sockets of this program. Forked workers run the
/// old program until [`Control::reload`](crate::Control::reload). A new program that fails ends all
/// workers: prove it first.
///
/// Returns only if it failed; the pools are as they were. Nothing of this program is dropped.
///
/// # Errors
///
/// [`Error::At`] with the program of the command. `EPERM` in another thread than the main one;
/// `EBUSY` within [`Pool::run`](crate::Pool::run) or while another thread runs a pool; `EAGAIN` while events wait: take them and call again; `ECANCELED` if a pool stops; `EOPNOTSUPP` in
/// a worker; and what `execve` reports.
///
/// ```no_run
/// use libprefork::{upgrade, Error, Pool};
///
/// # fn is_upgrade_requested() -> bool { false }
/// # fn main() -> Result<(), Error> {
/// let mut pool = Pool::builder().name("web").exec_self().build()?.start_exec()?;
/// while pool.dispatch(None)? {
///     for event in pool.events() {
///         println!("{}", event.message);
///     }
///     if is_upgrade_requested() {
///         println!("no upgrade: {}", upgrade(None));
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub fn upgrade(command: Option<&Command>) -> Error {
    let what = || match command {
        Some(command) => format!("upgrade({:?})", command.get_program()),
        None => "upgrade".to_owned(),
    };
    let arguments = match command.map(Arguments::new).transpose() {
        Ok(arguments) => arguments,
        Err(error) => return error.at(what),
    };
    let (path, argv, envp) = match &arguments {
        Some(arguments) => arguments.pointers(),
        None => (ptr::null(), Vec::new(), None),
    };
    let or_null = |list: &Vec<_>| {
        if list.is_empty() {
            ptr::null()
        } else {
            list.as_ptr()
        }
    };
    let envp = envp.as_ref().map_or(ptr::null(), or_null);
    flush_last();
    // SAFETY: the strings and lists live until the call has returned, which it does if it failed.
    let result = unsafe { sys::pf_upgrade(path, or_null(&argv), envp) };
    Error::from_code(result).at(what)
}
