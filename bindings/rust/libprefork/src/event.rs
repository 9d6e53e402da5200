// SPDX-License-Identifier: MIT
use std::ffi::CStr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use libprefork_sys as sys;

use crate::Error;

/// How severe an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Something failed for good, or keeps failing.
    Error,
    /// A worker ended abnormally, or had to be killed.
    Warning,
    /// All is well.
    Info,
    /// Of interest to developers only.
    Debug,
}

/// What a worker used, its own children included. All is 0 if it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// The largest resident set, in KiB.
    pub max_rss_kib: u64,
}

/// A fact about a pool or one of its workers, told in order and exactly once.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// How severe it is.
    pub level: Level,
    /// One line of English text.
    pub message: String,
    /// The restarts counted in the pool so far, this one included.
    pub restarts: u32,
    /// The slots of `Starting`, `Resized`, `Reloading` and `Reloaded`, the processes of `Adopted` and
    /// `Stopping`; otherwise 0.
    pub worker_count: u32,
    /// Why a worker was started or was to end, or why the pool stops.
    pub reason: Reason,
    /// When it happened, by the clock `CLOCK_MONOTONIC`.
    pub time: Duration,
}

/// What happened. Later versions of the library may add kinds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// The pool begins to start its workers. Its first event.
    Starting,
    /// A worker was started.
    #[allow(missing_docs)]
    Started { task_id: u32, pid: u32 },
    /// A worker said that it is ready.
    #[allow(missing_docs)]
    Ready { task_id: u32, pid: u32 },
    /// A worker ended.
    Exited {
        /// Which one.
        task_id: u32,
        /// The process that was; its number may belong to another one by now.
        pid: u32,
        /// How it ended; `None` if nobody knows.
        status: Option<ExitStatus>,
        /// Whether another one takes its place.
        will_restart: bool,
        /// After how long.
        delay: Duration,
        /// How long it had lived.
        uptime: Duration,
        /// What it used.
        usage: Usage,
    },
    /// Too many restarts. The pool stops, or with a task id only this slot is left empty.
    #[allow(missing_docs)]
    GaveUp { task_id: Option<u32>, error: Error },
    /// A worker could not be started.
    StartFailed {
        /// Which one.
        task_id: u32,
        /// Why not.
        error: Error,
        /// When it is tried again, if it is.
        retry: Option<Duration>,
    },
    /// The pool begins to stop its workers, because of this signal or for another reason.
    #[allow(missing_docs)]
    Stopping { signal: Option<i32> },
    /// A worker did not stop within this time and was killed.
    #[allow(missing_docs)]
    Killed {
        task_id: u32,
        pid: u32,
        timeout: Duration,
    },
    /// A worker did not get ready in time, or gives no sign of life, and is made to end; or, with
    /// an error, it could not be sent a signal.
    #[allow(missing_docs)]
    Unresponsive {
        task_id: u32,
        pid: u32,
        error: Option<Error>,
    },
    /// The workers are being replaced one after the other.
    Reloading,
    /// All of them have been.
    Reloaded,
    /// A replacement ended too soon or could not be started. The old worker stays.
    #[allow(missing_docs)]
    ReloadFailed { task_id: u32, error: Option<Error> },
    /// The pool has another number of slots.
    Resized,
    /// A signal of the chosen set that the program handles, ignores or blocks, so that it does not
    /// control the pool.
    #[allow(missing_docs)]
    SignalUnavailable { signal: i32 },
    /// All workers have ended; why, if the pool failed. Its last event.
    #[allow(missing_docs)]
    Done { error: Option<Error> },
    /// The pool goes on with the workers of the program before [`upgrade`](crate::upgrade). It comes
    /// instead of `Starting`; `worker_count` of the event is the number of adopted workers.
    Adopted,
    /// A spare was started: [`Builder::spares`](crate::Builder::spares).
    #[allow(missing_docs)]
    SpareStarted { pid: u32 },
    /// A spare ended without having had a slot.
    #[allow(missing_docs)]
    SpareExited {
        pid: u32,
        status: Option<ExitStatus>,
    },
    /// An event that this crate does not know, with its number in C.
    Other(i32),
}

/// Why a worker was started or was to end, or why the pool stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The worker ended by itself, or no reason is known.
    None,
    /// The pool starts.
    Start,
    /// The worker before it ended.
    Restart,
    /// [`Control::replace_worker`](crate::Control::replace_worker).
    Replace,
    /// A reload of all workers.
    Reload,
    /// The age of [`Builder::lifetime`](crate::Builder::lifetime).
    Lifetime,
    /// [`Task::retire`](crate::Task::retire).
    Retire,
    /// The pool has more slots, or fewer.
    Resize,
    /// The host or a signal stops the pool, or one worker.
    Stop,
    /// The worker was not ready in time.
    ReadyTimeout,
    /// It sent no heartbeats.
    HeartbeatTimeout,
    /// A limit of restarts was reached.
    Limit,
    /// It sent more messages than any correct worker.
    Protocol,
    /// SIGKILL; the kernel has killed for lack of memory.
    OutOfMemory,
    /// One that this crate does not know, with its number in C.
    Other(i32),
}

impl Reason {
    fn from_number(reason: i32) -> Reason {
        match reason {
            sys::PF_REASON_NONE => Reason::None,
            sys::PF_REASON_START => Reason::Start,
            sys::PF_REASON_RESTART => Reason::Restart,
            sys::PF_REASON_REPLACE => Reason::Replace,
            sys::PF_REASON_RELOAD => Reason::Reload,
            sys::PF_REASON_LIFETIME => Reason::Lifetime,
            sys::PF_REASON_RETIRE => Reason::Retire,
            sys::PF_REASON_RESIZE => Reason::Resize,
            sys::PF_REASON_STOP => Reason::Stop,
            sys::PF_REASON_READY_TIMEOUT => Reason::ReadyTimeout,
            sys::PF_REASON_HEARTBEAT_TIMEOUT => Reason::HeartbeatTimeout,
            sys::PF_REASON_LIMIT => Reason::Limit,
            sys::PF_REASON_PROTOCOL => Reason::Protocol,
            sys::PF_REASON_OUT_OF_MEMORY => Reason::OutOfMemory,
            other => Reason::Other(other),
        }
    }
}

/// Negative: none.
fn number(value: i32) -> Option<u32> {
    u32::try_from(value).ok()
}

impl Event {
    /// # Safety
    ///
    /// The event is valid, and this thread got it.
    pub(crate) unsafe fn read(event: *const sys::pf_event) -> Event {
        // SAFETY: all getters ask for no more than this function does.
        unsafe {
            let kind = EventKind::read(event);
            let level = match sys::pf_event_level(event) {
                level if level <= 3 => Level::Error,
                4 => Level::Warning,
                5 | 6 => Level::Info,
                _ => Level::Debug,
            };
            let message = CStr::from_ptr(sys::pf_event_message(event));
            Event {
                kind,
                level,
                message: message.to_string_lossy().into_owned(),
                restarts: number(sys::pf_event_restarts(event)).unwrap_or(0),
                reason: Reason::from_number(sys::pf_event_reason(event)),
                worker_count: number(sys::pf_event_worker_count(event)).unwrap_or(0),
                time: Duration::from_nanos(sys::pf_event_time_ns(event)),
            }
        }
    }
}

impl EventKind {
    unsafe fn read(event: *const sys::pf_event) -> EventKind {
        // SAFETY: as for Event::read().
        unsafe {
            let slot = number(sys::pf_event_task_id(event));
            let task_id = slot.unwrap_or(0);
            let pid = number(sys::pf_event_pid(event)).unwrap_or(0);
            let delay = Duration::from_millis(sys::pf_event_delay_ms(event));
            let signal = sys::pf_event_signal(event);
            let error = match sys::pf_event_error(event) {
                0 => None,
                code => Some(Error::from_code(code)),
            };
            match sys::pf_event_type(event) {
                sys::PF_EVENT_STARTING => EventKind::Starting,
                sys::PF_EVENT_STARTED => EventKind::Started { task_id, pid },
                sys::PF_EVENT_READY => EventKind::Ready { task_id, pid },
                sys::PF_EVENT_EXITED => EventKind::Exited {
                    task_id,
                    pid,
                    status: exit_status(event),
                    will_restart: sys::pf_event_will_restart(event) != 0,
                    delay,
                    uptime: Duration::from_millis(sys::pf_event_uptime_ms(event)),
                    usage: Usage {
                        user: Duration::from_micros(sys::pf_event_user_us(event)),
                        system: Duration::from_micros(sys::pf_event_system_us(event)),
                        max_rss_kib: sys::pf_event_max_rss_kib(event),
                    },
                },
                sys::PF_EVENT_GAVE_UP => EventKind::GaveUp {
                    task_id: slot,
                    error: error.unwrap_or(Error::GaveUp),
                },
                sys::PF_EVENT_START_FAILED => EventKind::StartFailed {
                    task_id,
                    error: error.unwrap_or(Error::Os(0)),
                    retry: Some(delay).filter(|_| sys::pf_event_will_restart(event) != 0),
                },
                sys::PF_EVENT_STOPPING => EventKind::Stopping {
                    signal: Some(signal).filter(|&signal| signal != 0),
                },
                sys::PF_EVENT_KILLED => EventKind::Killed {
                    task_id,
                    pid,
                    timeout: delay,
                },
                sys::PF_EVENT_UNRESPONSIVE => EventKind::Unresponsive {
                    task_id,
                    pid,
                    error,
                },
                sys::PF_EVENT_RELOADING => EventKind::Reloading,
                sys::PF_EVENT_RELOADED => EventKind::Reloaded,
                sys::PF_EVENT_RELOAD_FAILED => EventKind::ReloadFailed { task_id, error },
                sys::PF_EVENT_RESIZED => EventKind::Resized,
                sys::PF_EVENT_SIGNAL_UNAVAILABLE => EventKind::SignalUnavailable { signal },
                sys::PF_EVENT_ADOPTED => EventKind::Adopted,
                sys::PF_EVENT_SPARE_STARTED => EventKind::SpareStarted { pid },
                sys::PF_EVENT_SPARE_EXITED => EventKind::SpareExited {
                    pid,
                    status: exit_status(event),
                },
                sys::PF_EVENT_DONE => EventKind::Done { error },
                other => EventKind::Other(other),
            }
        }
    }
}

/// As `waitpid` would have told it.
unsafe fn exit_status(event: *const sys::pf_event) -> Option<ExitStatus> {
    const CORE_DUMPED: i32 = 0x80;
    // SAFETY: as for Event::read().
    let (code, signal, core_dumped) = unsafe {
        (
            sys::pf_event_exit_code(event),
            sys::pf_event_signal(event),
            sys::pf_event_core_dumped(event) != 0,
        )
    };
    if code >= 0 {
        Some(ExitStatus::from_raw(code << 8))
    } else if signal > 0 {
        Some(ExitStatus::from_raw(
            signal | if core_dumped { CORE_DUMPED } else { 0 },
        ))
    } else {
        None
    }
}
