// SPDX-License-Identifier: MIT
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::os::raw::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;
use std::ptr;
use std::time::Duration;

use libprefork_sys as sys;

use crate::error::{check, check_library};
use crate::owned::Owned;
use crate::{
    Backend, Control, Error, Event, ExitAction, LimitAction, Pool, ProcessGroups, ReloadOrder,
    RestartPolicy, Signals,
};

/// The settings of a [`Pool`], each with the limits and the meaning that the manual page of the C
/// function of its name tells. The first one that is wrong makes [`build`](Builder::build) fail.
///
/// ```
/// use libprefork::{Pool, RestartPolicy, Signals};
/// use std::time::Duration;
///
/// let pool = Pool::builder()
///     .name("web")
///     .workers(4)
///     .restart_policy(RestartPolicy::Always)
///     .backoff(Duration::from_millis(100), Duration::from_secs(10))
///     .signals(Signals::Standard)
///     .build()?;
/// # Ok::<(), libprefork::Error>(())
/// ```
#[must_use]
pub struct Builder {
    pool: Result<Owned, Error>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("error", &self.pool.as_ref().err())
            .finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            pool: check_library().and_then(|()| Owned::new()),
        }
    }
}

/// Rounded up: zero means that there is no such time. The largest is longer than any that is meant.
fn ms(time: Duration) -> u64 {
    let rounded = time.as_nanos().saturating_add(999_999) / 1_000_000;
    u64::try_from(rounded).unwrap_or(u64::MAX)
}

fn string(text: &OsStr) -> Result<CString, Error> {
    CString::new(text.as_bytes()).map_err(|_| Error::invalid())
}

/// What the standard library has a command keep in the place of an argument with a NUL byte.
const NUL_IN_WORD: &str = "<string-with-nul>";

/// Pointers to all of them, ended by a null one.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|text| text.as_ptr())
        .chain([ptr::null()])
        .collect()
}

impl Builder {
    /// A pool with the default settings.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// The error of a setting has its name and value.
    fn set(
        mut self,
        name: &str,
        value: &dyn fmt::Debug,
        set: impl FnOnce(&mut Owned) -> Result<c_int, Error>,
    ) -> Builder {
        self.pool = self.pool.and_then(|mut pool| match set(&mut pool) {
            Ok(_) => Ok(pool),
            Err(error) => Err(error.at(|| match format!("{value:?}") {
                text if text.starts_with('(') => format!("{name}{text}"),
                text => format!("{name}({text})"),
            })),
        });
        self
    }

    fn set_number(
        self,
        name: &str,
        set: unsafe extern "C" fn(*mut sys::pf_pool, c_int) -> c_int,
        value: u32,
    ) -> Builder {
        self.set(name, &value, |pool| {
            let value = crate::int(value)?;
            // SAFETY: the pool is valid, and has not started.
            check(unsafe { set(pool.raw(), value) })
        })
    }

    fn set_times(
        self,
        name: &str,
        set: unsafe extern "C" fn(*mut sys::pf_pool, u64, u64) -> c_int,
        first: Duration,
        second: Duration,
    ) -> Builder {
        self.set(name, &(first, second), |pool| {
            // SAFETY: the pool is valid, and has not started.
            check(unsafe { set(pool.raw(), ms(first), ms(second)) })
        })
    }

    fn set_time(
        self,
        name: &str,
        set: unsafe extern "C" fn(*mut sys::pf_pool, u64) -> c_int,
        time: Duration,
    ) -> Builder {
        self.set(name, &time, |pool| {
            // SAFETY: the pool is valid, and has not started.
            check(unsafe { set(pool.raw(), ms(time)) })
        })
    }

    /// A name that tells pools apart, of at most 63 bytes.
    pub fn name(self, name: &str) -> Builder {
        self.set("name", &name, |pool| {
            let name = string(OsStr::new(name))?;
            // SAFETY: the pool is valid, and the name is copied.
            check(unsafe { sys::pf_pool_set_name(pool.raw(), name.as_ptr()) })
        })
    }

    /// The number of workers to start with; 0, the default, is one for each processor.
    pub fn workers(self, count: u32) -> Builder {
        self.set_number("workers", sys::pf_pool_set_workers, count)
    }

    /// Which ends lead to a restart.
    pub fn restart_policy(self, when: RestartPolicy) -> Builder {
        let when = match when {
            RestartPolicy::OnFailure => sys::PF_RESTART_ON_FAILURE,
            RestartPolicy::Always => sys::PF_RESTART_ALWAYS,
            RestartPolicy::Never => sys::PF_RESTART_NEVER,
        };
        self.set_number(
            "restart_policy",
            sys::pf_pool_set_restart_policy,
            when as u32,
        )
    }

    /// Restarts in the pool's life, over all slots; 100 by default, [`UNLIMITED`](crate::UNLIMITED)
    /// for any number.
    pub fn max_restarts(self, max: u32) -> Builder {
        self.set_number("max_restarts", sys::pf_pool_set_max_restarts, max)
    }

    /// Restarts in any window of this length, over all slots.
    pub fn restart_window(self, max: u32, window: Duration) -> Builder {
        self.set("restart_window", &(max, window), |pool| {
            let max = crate::int(max)?;
            // SAFETY: the pool is valid, and has not started.
            check(unsafe { sys::pf_pool_set_restart_window(pool.raw(), max, ms(window)) })
        })
    }

    /// The delay before a slot's restart, which doubles from the first to the largest. None by
    /// default.
    pub fn backoff(self, first: Duration, max: Duration) -> Builder {
        self.set_times("backoff", sys::pf_pool_set_backoff, first, max)
    }

    /// What happens at a limit of restarts.
    pub fn limit_action(self, action: LimitAction) -> Builder {
        let action = match action {
            LimitAction::Stop => sys::PF_LIMIT_STOP,
            LimitAction::Degrade => sys::PF_LIMIT_DEGRADE,
        };
        self.set_number("limit_action", sys::pf_pool_set_limit_action, action as u32)
    }

    /// The signal that stops workers (SIGTERM by default), and the time after which they are killed
    /// (10 seconds by default, zero: never).
    pub fn stop(self, signal: i32, timeout: Duration) -> Builder {
        self.set("stop", &(signal, timeout), |pool| {
            // SAFETY: the pool is valid, and has not started.
            check(unsafe { sys::pf_pool_set_stop(pool.raw(), signal, ms(timeout)) })
        })
    }

    /// Workers are asked to end by their stop descriptor alone, not by signals, also when the
    /// supervisor is gone: for workers that use [`Task::wait`](crate::Task::wait) or
    /// [`Task::stop_fd`](crate::Task::stop_fd). They are killed after the time-out.
    pub fn stop_by_descriptor(self, timeout: Duration) -> Builder {
        self.stop(0, timeout).parent_death_signal(0)
    }

    /// How many workers in a row may end before they are ready, while none is ready, until the pool
    /// fails with [`Error::GaveUp`]. 0, the default: no limit.
    pub fn boot_limit(self, max: u32) -> Builder {
        self.set_number("boot_limit", sys::pf_pool_set_boot_limit, max)
    }

    /// How long a worker must live to count as started well; one second by default. Without
    /// [`ready_timeout`](Builder::ready_timeout) a replacement takes over after this time.
    pub fn min_uptime(self, uptime: Duration) -> Builder {
        self.set_time("min_uptime", sys::pf_pool_set_min_uptime, uptime)
    }

    /// So many workers are started ahead of need, and wait without a task id; 0 by default. When a
    /// worker ends or is replaced a spare takes its slot at once. A spare by exec waits in
    /// [`Pool::run`], after what the program does before that call. One that is not needed any more
    /// exits with status 0.
    pub fn spares(self, count: u32) -> Builder {
        self.set_number("spares", sys::pf_pool_set_spares, count)
    }

    /// The program of [`exec`](Builder::exec) does not use this library. With a ready or heartbeat
    /// time-out it reports as a service does to systemd. If the supervisor is killed such a worker
    /// ends by the parent death signal alone: supervise the pool in the main thread.
    pub fn foreign_workers(self, on: bool) -> Builder {
        self.set_number(
            "foreign_workers",
            sys::pf_pool_set_foreign_workers,
            on.into(),
        )
    }

    /// What an exit status of a worker means.
    pub fn exit_action(self, status: u8, action: ExitAction) -> Builder {
        let code = match action {
            ExitAction::Default => sys::PF_EXIT_DEFAULT,
            ExitAction::Restart => sys::PF_EXIT_RESTART,
            ExitAction::Done => sys::PF_EXIT_DONE,
            ExitAction::Fatal => sys::PF_EXIT_FATAL,
        };
        self.set("exit_action", &(status, action), |pool| {
            // SAFETY: the pool is valid, and has not started.
            check(unsafe { sys::pf_pool_set_exit_action(pool.raw(), status.into(), code) })
        })
    }

    /// How long a worker may take until it calls [`Task::ready`](crate::Task::ready).
    pub fn ready_timeout(self, timeout: Duration) -> Builder {
        self.set_time("ready_timeout", sys::pf_pool_set_ready_timeout, timeout)
    }

    /// How long a worker may be without a call of [`Task::heartbeat`](crate::Task::heartbeat).
    pub fn heartbeat_timeout(self, timeout: Duration) -> Builder {
        self.set_time(
            "heartbeat_timeout",
            sys::pf_pool_set_heartbeat_timeout,
            timeout,
        )
    }

    /// The age at which a worker is replaced, and a random part that is added to it.
    pub fn lifetime(self, max: Duration, jitter: Duration) -> Builder {
        self.set_times("lifetime", sys::pf_pool_set_lifetime, max, jitter)
    }

    /// In which order a reload replaces a worker.
    pub fn reload_order(self, order: ReloadOrder) -> Builder {
        let order = match order {
            ReloadOrder::StartFirst => sys::PF_RELOAD_START_FIRST,
            ReloadOrder::StopFirst => sys::PF_RELOAD_STOP_FIRST,
        };
        self.set_number("reload_order", sys::pf_pool_set_reload_order, order as u32)
    }

    /// How many slots a reload replaces at a time; 1 by default.
    pub fn replace_width(self, count: u32) -> Builder {
        self.set_number("replace_width", sys::pf_pool_set_replace_width, count)
    }

    /// Which signals of this process control the pool while it runs.
    pub fn signals(self, signals: Signals) -> Builder {
        let set = match signals {
            Signals::None => sys::PF_SIGNALS_NONE,
            Signals::Standard => sys::PF_SIGNALS_STANDARD,
            Signals::StopOnly => sys::PF_SIGNALS_STOP_ONLY,
        };
        self.set_number("signals", sys::pf_pool_set_signals, set as u32)
    }

    /// Workers may be forked while other threads run.
    ///
    /// # Safety
    ///
    /// Such a worker may do no more than what POSIX allows after a fork beside threads: call
    /// async-signal-safe functions. Locks that other threads held stay locked in it for ever, among
    /// them those of memory allocation and of standard output.
    pub unsafe fn allow_threads(self) -> Builder {
        self.set("allow_threads", &(), |pool| {
            pool.allow_threads();
            // SAFETY: the pool is valid, and has not started.
            check(unsafe { sys::pf_pool_set_thread_policy(pool.raw(), sys::PF_THREADS_ALLOW) })
        })
    }

    /// Whether each worker leads a process group, what is left of which is killed after its end.
    pub fn process_groups(self, mode: ProcessGroups) -> Builder {
        let mode = match mode {
            ProcessGroups::None => 0,
            ProcessGroups::Signals => sys::PF_GROUP_SIGNALS,
            ProcessGroups::Kill => sys::PF_GROUP_KILL,
        };
        self.set_number(
            "process_groups",
            sys::pf_pool_set_process_groups,
            mode as u32,
        )
    }

    /// What the kernel sends a worker when the supervisor ends, SIGTERM by default; 0: nothing.
    pub fn parent_death_signal(self, signal: i32) -> Builder {
        self.set("parent_death_signal", &signal, |pool| {
            // SAFETY: the pool is valid, and has not started.
            check(unsafe { sys::pf_pool_set_parent_death_signal(pool.raw(), signal) })
        })
    }

    /// As process 1 or subreaper: reap the children that were adopted while the pool itself waits,
    /// never one of the program's own.
    pub fn reap_orphans(self, on: bool) -> Builder {
        let mode = if on { sys::PF_REAP_ADOPTED } else { 0 };
        self.set_number("reap_orphans", sys::pf_pool_set_reap_orphans, mode as u32)
    }

    /// As process 1 or subreaper: reap every child that is no worker of any pool. For programs
    /// that start no other children, above all with an event loop of their own.
    pub fn reap_all_children(self) -> Builder {
        self.set_number(
            "reap_orphans",
            sys::pf_pool_set_reap_orphans,
            sys::PF_REAP_ALL as u32,
        )
    }

    /// Speak to the service manager at the socket that `NOTIFY_SOCKET` names, if it does. Workers do
    /// not find it in their environment.
    pub fn manager_notify(self, on: bool) -> Builder {
        self.set_number("manager_notify", sys::pf_pool_set_manager_notify, on.into())
    }

    /// How ends of workers are noticed.
    pub fn backend(self, backend: Backend) -> Builder {
        let backend = match backend {
            Backend::Auto => sys::PF_BACKEND_AUTO,
            Backend::Pidfd => sys::PF_BACKEND_PIDFD,
            Backend::Sigchld => sys::PF_BACKEND_SIGCHLD,
        };
        self.set_number("backend", sys::pf_pool_set_backend, backend as u32)
    }

    /// A descriptor for each worker, which finds it by [`Task::fd`](crate::Task::fd) under this
    /// name. It is duplicated: what is given may be closed.
    pub fn fd(self, name: &str, fd: &impl AsFd) -> Builder {
        self.set("fd", &name, |pool| {
            let name = string(OsStr::new(name))?;
            let own: OwnedFd = fd
                .as_fd()
                .try_clone_to_owned()
                .map_err(|error| error.raw_os_error().map_or_else(Error::invalid, Error::Os))?;
            let fd = own.as_raw_fd();
            pool.keep(own);
            // SAFETY: the pool is valid, and the descriptor stays open as long as it lives.
            check(unsafe { sys::pf_pool_add_fd(pool.raw(), name.as_ptr(), fd) })
        })
    }

    /// Workers are this program started anew, with the arguments that it was started with and the
    /// environment that it has when the pool starts.
    ///
    /// In such a worker [`Task::current`](crate::Task::current) tells from the beginning of `main`
    /// on what it is, and [`Pool::run`] of the pool of the same name enters the closure at once.
    /// Other threads are no obstacle. In a worker, a pool with exec workers must have another name
    /// than the pool of the worker; otherwise it fails with `ELOOP` when it is run or started.
    pub fn exec_self(self) -> Builder {
        self.set("exec_self", &(), |pool| {
            pool.set_exec("exec_self()".to_owned());
            let null = ptr::null();
            // SAFETY: the pool is valid, and null means this program's own.
            check(unsafe { sys::pf_pool_set_exec(pool.raw(), ptr::null(), null, null) })
        })
    }

    /// Workers are another program. Of the command its program (a path: `PATH` is not searched),
    /// its arguments and the variables that it sets and removes are used, and nothing else.
    /// `env_clear` cannot be seen from outside: for a clean environment remove each variable by
    /// [`Command::env_remove`].
    pub fn exec(self, command: &Command) -> Builder {
        self.set("exec", &command.get_program(), |pool| {
            pool.set_exec(format!("exec({:?})", command.get_program()));
            let arguments = Arguments::new(command)?;
            let (path, argv, envp) = arguments.pointers();
            let envp = envp.as_ref().map_or(ptr::null(), |envp| envp.as_ptr());
            // SAFETY: the pool is valid; all strings are copied.
            check(unsafe { sys::pf_pool_set_exec(pool.raw(), path, argv.as_ptr(), envp) })
        })
    }

    /// Who is told of the events of [`Pool::run`], instead of the default that writes warnings and
    /// errors to standard error. Called from within `run`, with what controls the pool.
    ///
    /// A panic stops the pool, and goes on in the caller of `run` once all workers have ended.
    /// If the closure starts threads while workers are forked, the pool is killed and `run` fails
    /// with [`Error::Threads`]. A pool that is [started](Pool::start) ignores the closure.
    pub fn on_event(self, on_event: impl FnMut(&Event, &Control) + Send + 'static) -> Builder {
        self.set("on_event", &(), |pool| {
            pool.set_on_event(Box::new(on_event));
            Ok(0)
        })
    }

    /// The pool.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with the name and the value of the first setting that was wrong;
    /// [`Error::Library`] if another library was loaded; [`Error::Os`] with `ENOMEM`.
    pub fn build(self) -> Result<Pool, Error> {
        self.pool.map(Pool::new)
    }
}

/// A command as C takes it.
pub(crate) struct Arguments {
    words: Vec<CString>, // the first is the program
    environment: Option<Vec<CString>>,
}

impl Arguments {
    pub(crate) fn new(command: &Command) -> Result<Arguments, Error> {
        let mut words = vec![string(command.get_program())?];
        for argument in command.get_args() {
            if argument == NUL_IN_WORD {
                return Err(Error::invalid());
            }
            words.push(string(argument)?);
        }
        Ok(Arguments {
            words,
            environment: environment_of(command)?,
        })
    }

    /// The path, the arguments and the environment, if it was changed. They point into this value.
    pub(crate) fn pointers(
        &self,
    ) -> (
        *const c_char,
        Vec<*const c_char>,
        Option<Vec<*const c_char>>,
    ) {
        let environment = self.environment.as_deref().map(pointers);
        (self.words[0].as_ptr(), pointers(&self.words), environment)
    }
}

/// `None` if nothing was changed: then it is what the process has when the pool starts.
fn environment_of(command: &Command) -> Result<Option<Vec<CString>>, Error> {
    if command.get_envs().next().is_none() {
        return Ok(None);
    }
    let mut variables: std::collections::BTreeMap<OsString, OsString> =
        std::env::vars_os().collect();
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => variables.insert(name.into(), value.into()),
            None => variables.remove(name),
        };
    }
    let line = |(name, value): (OsString, OsString)| {
        let mut line = name;
        line.push("=");
        line.push(value);
        string(&line)
    };
    variables
        .into_iter()
        .map(line)
        .collect::<Result<_, _>>()
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_becomes_none() {
        assert_eq!(ms(Duration::ZERO), 0);
        assert_eq!(ms(Duration::from_nanos(1)), 1);
        assert_eq!(ms(Duration::from_micros(1_001)), 2);
        assert_eq!(ms(Duration::from_secs(2)), 2_000);
        assert_eq!(ms(Duration::MAX), u64::MAX);
    }
}
