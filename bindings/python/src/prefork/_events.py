# SPDX-License-Identifier: MIT
"""What happens to a pool, as values."""

from __future__ import annotations

import enum
from ctypes import c_void_p
from dataclasses import dataclass
from typing import Optional

from ._library import lib


class EventType(enum.IntEnum):
    """What happened."""

    STARTING = 1
    STARTED = 2
    READY = 3
    EXITED = 4
    GAVE_UP = 5
    START_FAILED = 6
    STOPPING = 7
    KILLED = 8
    UNRESPONSIVE = 9
    RELOADING = 10
    RELOADED = 11
    RELOAD_FAILED = 12
    RESIZED = 13
    DONE = 14
    FORK_WANTED = 15
    SIGNAL_UNAVAILABLE = 16
    ADOPTED = 17
    SPARE_STARTED = 18
    SPARE_EXITED = 19

    @classmethod
    def _missing_(cls, value: object) -> Optional[EventType]:
        # A later library may know more types than this module. They are passed on.
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member


class Reason(enum.IntEnum):
    """Why a worker was started or stopped, or why the pool ends."""

    NONE = 0
    START = 1
    RESTART = 2
    REPLACE = 3
    RELOAD = 4
    LIFETIME = 5
    RETIRE = 6
    RESIZE = 7
    STOP = 8
    READY_TIMEOUT = 9
    HEARTBEAT_TIMEOUT = 10
    LIMIT = 11
    PROTOCOL = 12
    OUT_OF_MEMORY = 13

    @classmethod
    def _missing_(cls, value: object) -> Optional[Reason]:
        return cls.NONE if isinstance(value, int) else None  # of a later library


@dataclass(frozen=True)
class Event:
    """A fact about the pool or one worker. ``None``: the field means nothing for this type.

    Times and durations are in seconds; ``time`` is that of :func:`time.monotonic`.
    """

    type: EventType
    level: int  #: as syslog has it: 3 error, 4 warning, 5 notice, 6 information, 7 debug
    message: str
    task_id: Optional[int]  #: None: the whole pool
    pid: Optional[int]
    exit_code: Optional[int]  #: None: it did not exit, or that is not known
    signal: Optional[int]  #: that ended the worker, or asked the pool to stop
    core_dumped: bool
    will_restart: bool
    error: int  #: a negative code of the library; 0: none
    restarts: int  #: counted so far in the pool
    delay: float  #: before the next attempt
    uptime: float  #: of the worker that ended
    time: float
    user_time: float  #: CPU time of the worker that ended, in user mode
    system_time: float  #: and in the kernel
    max_rss_kib: int  #: its largest resident set
    worker_count: int  #: slots, in events of the whole pool; ADOPTED, STOPPING: processes; 0: none
    reason: Reason = Reason.NONE  #: why it was started, stopped or replaced


def read_event(event: c_void_p, message: str) -> Event:
    """Copy all fields of the library's event, which the next one overwrites."""
    task_id = lib.pf_event_task_id(event)
    exit_code = lib.pf_event_exit_code(event)
    return Event(
        type=EventType(lib.pf_event_type(event)),
        level=lib.pf_event_level(event),
        message=message,
        task_id=None if task_id < 0 else task_id,
        pid=lib.pf_event_pid(event) or None,
        exit_code=None if exit_code < 0 else exit_code,
        signal=lib.pf_event_signal(event) or None,
        core_dumped=lib.pf_event_core_dumped(event) != 0,
        will_restart=lib.pf_event_will_restart(event) != 0,
        error=lib.pf_event_error(event),
        restarts=lib.pf_event_restarts(event),
        delay=lib.pf_event_delay_ms(event) / 1e3,
        uptime=lib.pf_event_uptime_ms(event) / 1e3,
        time=lib.pf_event_time_ns(event) / 1e9,
        user_time=lib.pf_event_user_us(event) / 1e6,
        system_time=lib.pf_event_system_us(event) / 1e6,
        max_rss_kib=lib.pf_event_max_rss_kib(event),
        worker_count=lib.pf_event_worker_count(event),
        reason=Reason(lib.pf_event_reason(event)),
    )
