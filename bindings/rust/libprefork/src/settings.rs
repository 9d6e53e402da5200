// Choices that settings of a pool leave.
//
// SPDX-License-Identifier: MIT
#[cfg(doc)]
use crate::Error;

/// Which ends of workers lead to a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestartPolicy {
    /// A signal, or a status other than 0. The default.
    OnFailure,
    /// All.
    Always,
    /// None.
    Never,
}

/// What happens when a limit of restarts is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitAction {
    /// All workers are stopped, and the pool fails with [`Error::GaveUp`]. The default.
    Stop,
    /// The slot stays empty; the pool fails when none is left.
    Degrade,
}

/// What an exit status of a worker means, whatever the restart policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitAction {
    /// The restart policy decides. The default.
    Default,
    /// The worker is restarted, and the restart counts.
    Restart,
    /// The worker has finished, as with status 0.
    Done,
    /// All workers are stopped, and the pool fails with [`Error::Fatal`].
    Fatal,
}

/// In which order a reload replaces a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReloadOrder {
    /// The new one is started before the old one is stopped. The default.
    StartFirst,
    /// The old one is stopped before the new one is started.
    StopFirst,
}

/// Which signals of this process control the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signals {
    /// None. The default.
    None,
    /// Where their disposition is the default: TERM stops gracefully, INT and QUIT within a second,
    /// HUP reloads, TTIN and TTOU add and remove a slot; USR1, USR2 and WINCH are passed on.
    Standard,
    /// Where their disposition is the default: TERM, INT, QUIT and HUP stop gracefully, as with
    /// [`fork_processes`](crate::fork_processes).
    StopOnly,
}

/// Whether each worker leads a process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessGroups {
    /// Workers stay in the group of the supervisor. The default.
    None,
    /// Each signal of the pool goes to the group and to the worker.
    Signals,
    /// Signals go to the worker alone, which stops its processes itself.
    Kill,
}

/// How ends of workers are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// By what the kernel has. The default.
    Auto,
    /// By process descriptors.
    Pidfd,
    /// By the signal SIGCHLD, which then belongs to the pool.
    Sigchld,
}
