# SPDX-License-Identifier: MIT
"""What a worker says to its supervisor, and hears from it."""

from __future__ import annotations

import os
import socket
from typing import Optional

from ._errors import check, text
from ._library import lib


def ready() -> None:
    """Tell the supervisor that this worker serves now. Raises ChildProcessError elsewhere."""
    check(lib.pf_worker_ready())


def heartbeat() -> None:
    """Give a sign of life.

    Reads a clock, and writes to a pipe at most four times in the heartbeat time-out. May wait for
    a second if the supervisor does not read, and raises BlockingIOError then: call it again.
    """
    check(lib.pf_worker_heartbeat())


def stop_fd() -> int:
    """A descriptor that is readable, and stays so, when this worker should end.

    It belongs to the library: wait for it, read nothing, do not close it. Who uses it handles or
    ignores the stop signal, or has the pool send none (``stop_signal=0``).
    """
    return check(lib.pf_worker_stop_fd())


def retire() -> None:
    """Ask for a replacement of this worker, which works on until it is asked to stop."""
    check(lib.pf_worker_retire())


def worker_fd(name: str) -> int:
    """The descriptor that the pool has under this name in ``fds``. It belongs to the pool."""
    return check(lib.pf_worker_fd(text(name, "name")), name)


def worker_socket(name: str) -> socket.socket:
    """A socket of the pool's ``fds``, as an object of its own."""
    return socket.socket(fileno=os.dup(worker_fd(name)))


def pool_name() -> Optional[str]:
    """The name of the pool that this worker belongs to. None in a process that is no worker."""
    name = lib.pf_worker_pool_name()
    return None if name is None else os.fsdecode(name)
