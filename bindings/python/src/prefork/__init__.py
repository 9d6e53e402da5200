# SPDX-License-Identifier: MIT
"""Supervised pre-fork worker processes: libprefork for Python.

:func:`fork_processes` and :func:`task_id` are those of ``tornado.process``. A :class:`Pool`
has settings of its own, tells its events, and is controlled while it runs.
"""

from __future__ import annotations

from ._errors import Error, FatalExitError, GaveUpError, InvalidArgumentError, ThreadsError
from ._events import Event, EventType
from ._library import lib as _lib
from ._pool import (
    UNLIMITED,
    Backend,
    ExitAction,
    LimitAction,
    Pool,
    ReapOrphans,
    ReloadOrder,
    RestartPolicy,
    Signals,
    Worker,
    WorkerState,
)
from ._sockets import bind_sockets, bind_unix_socket, listen_fds
from ._tornado import cpu_count, die_of_signal, fork_processes, task_id
from ._worker import heartbeat, ready, stop_fd

__version__ = "0.2.0"

__all__ = [
    "UNLIMITED",
    "Backend",
    "Error",
    "Event",
    "EventType",
    "ExitAction",
    "FatalExitError",
    "GaveUpError",
    "InvalidArgumentError",
    "LimitAction",
    "Pool",
    "ReapOrphans",
    "ReloadOrder",
    "RestartPolicy",
    "Signals",
    "ThreadsError",
    "Worker",
    "WorkerState",
    "bind_sockets",
    "bind_unix_socket",
    "cpu_count",
    "die_of_signal",
    "fork_processes",
    "heartbeat",
    "library_version",
    "listen_fds",
    "ready",
    "stop_fd",
    "task_id",
]

for _error in (Error, FatalExitError, GaveUpError, InvalidArgumentError, ThreadsError):
    _error.__module__ = __name__  # where users find them


def library_version() -> str:
    """The version of the shared library that is in use."""
    version: bytes = _lib.pf_version()
    return version.decode("ascii")
