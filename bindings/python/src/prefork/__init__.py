# SPDX-License-Identifier: MIT
"""Supervised pre-fork worker processes: libprefork for Python.

:func:`fork_processes` and :func:`task_id` are those of ``tornado.process``. A :class:`Pool`
has settings of its own, tells its events, and is controlled while it runs.
"""

from __future__ import annotations

from ._control import Counter, Worker, WorkerState
from ._drain import Drain
from ._errors import Error, FatalExitError, GaveUpError, InvalidArgumentError, ThreadsError
from ._events import Event, EventType, Reason
from ._executed import forget_environment as _forget_environment
from ._library import lib as _lib
from ._pool import Pool
from ._process import cpu_count, daemon_ready, daemonize, die_of_signal
from ._settings import (
    UNLIMITED,
    Backend,
    ExitAction,
    LimitAction,
    ProcessGroups,
    ReapOrphans,
    ReloadOrder,
    RestartPolicy,
    Signals,
)
from ._sockets import bind_sockets, bind_unix_socket, listen_fds
from ._tornado import fork_processes, install_in_tornado, task_id
from ._worker import (
    heartbeat,
    pool_name,
    ready,
    retire,
    stop_fd,
    worker_fd,
    worker_socket,
)

__version__ = "0.2.0"

__all__ = [
    "UNLIMITED",
    "Backend",
    "Counter",
    "Drain",
    "Error",
    "Event",
    "EventType",
    "ExitAction",
    "FatalExitError",
    "GaveUpError",
    "InvalidArgumentError",
    "LimitAction",
    "Pool",
    "ProcessGroups",
    "ReapOrphans",
    "Reason",
    "ReloadOrder",
    "RestartPolicy",
    "Signals",
    "ThreadsError",
    "Worker",
    "WorkerState",
    "bind_sockets",
    "bind_unix_socket",
    "cpu_count",
    "daemon_ready",
    "daemonize",
    "die_of_signal",
    "fork_processes",
    "heartbeat",
    "install_in_tornado",
    "library_version",
    "listen_fds",
    "pool_name",
    "ready",
    "retire",
    "stop_fd",
    "task_id",
    "worker_fd",
    "worker_socket",
]

for _error in (Error, FatalExitError, GaveUpError, InvalidArgumentError, ThreadsError):
    _error.__module__ = __name__  # where users find them


def library_version() -> str:
    """The version of the shared library that is in use."""
    version: bytes = _lib.pf_version()
    return version.decode("ascii")


_forget_environment()
